"""The page of gpu.py, from what its parts found."""

from __future__ import annotations

from common import commit, table


def page(found: dict[str, dict]) -> str:
    """In Markdown. found: by the name of the part, its result, or what it said when it failed."""
    results = {name: of["result"] for name, of in found.items() if "result" in of}
    sections = [
        _system(results.get("system"), results.get("ceilings")),
        _audit(results.get("audit")),
        _tests(results.get("tests")),
        _steps([of for name, of in results.items() if name.startswith("step: ")]),
        _launches(results),
        _kernels(results.get("kernels")),
        _failures(found),
    ]
    return "\n\n".join(
        filter(None, [f"# On a GPU\n\n`python benchmarks/gpu.py`, {commit()}.", *sections])
    )


def _system(facts: dict | None, ceilings: dict | None) -> str:
    if facts is None:
        return ""
    gpu = facts["gpu"]
    lines = [
        f"- {card['name']}, compute capability {card['compute_capability']}, "
        f"{card['memory'] / 2**30:.1f} GiB, {card['free'] / 2**30:.1f} GiB of them free"
        for card in gpu["gpus"]
    ]
    versions = {name: value for name, value in gpu.items() if name not in ("gpus", "missing")}
    known = {"python": facts["python"], **facts["packages"], **versions}
    lines += [f"- {facts['processors']} processors: {facts['processor']}"]
    lines += ["- " + ", ".join(f"{n.replace('_', ' ')} {v}" for n, v in known.items() if v)]
    lines += [f"- missing: {line}" for line in gpu["missing"]]
    if ceilings:
        lines.append(
            f"- a copy: {ceilings['tb_per_second']:.2f} TB/s, read and written; a product of "
            f"matrices: {ceilings['fp32_tflop_per_second']:.1f} TFLOP/s in fp32, "
            f"{ceilings['tf32_tflop_per_second']:.1f} in tf32"
        )
    return "\n".join(["## The machine", "", *lines])


def _audit(rows: list[dict] | None) -> str:
    if rows is None:
        return ""
    failed = [row for row in rows if not row["passed"]]
    lines = [f"## The audit\n\n{len(rows)} checks, {len(failed)} failed."]
    lines += [f"- {row['group']}: {row['name']}: {row['detail']}" for row in failed]
    return "\n".join(lines)


def _tests(found: dict | None) -> str:
    if found is None:
        return ""
    head = f"{found['passed']} passed, {found['skipped']} skipped, {len(found['failed'])} failed."
    lines = [f"- `{name}`: {said}" for name, said in found["failed"]]
    return "\n".join([f"## The tests\n\n{head}", *lines])


def _steps(found: list[dict]) -> str:
    """A row for each network and engine."""
    if not found:
        return ""
    headings = (
        "network", "batch", "engine", "ms, median (quartiles)", "asked for within, ms", "images/s",
        "TFLOP/s", "GiB on the device", "warm-up, s",
    )  # fmt: skip
    rows = []
    for of in sorted(found, key=lambda of: (of["network"], of["gated"], of["engine"])):
        memory = of["device_bytes"]
        rows.append((
            f"{of['network']}, {'gated' if of['gated'] else 'plain'}", of["batch_size"],
            of["engine"], f"{of['median_ms']:.2f} ({of['lower_ms']:.2f}-{of['upper_ms']:.2f})",
            f"{of['queued_ms']:.2f}", f"{1000 * of['batch_size'] / of['median_ms']:,.0f}",
            f"{of['tflop_per_second']:.2f}", "" if memory is None else f"{memory / 2**30:.2f}",
            f"{of['warm_up_seconds']:.1f}",
        ))  # fmt: skip
    about = (
        "Forward pass, cross-entropy, backward pass and Adam with weight decay, images of 32x32x3, "
        "TF32; PyTorch with channels_last, the fused Adam and cuDNN's search. After five steps "
        "that are not measured, blocks of steps that end with waiting for the device. Where asking "
        "for a step takes as long as the step, the host limits it. Operations: three times those "
        "of the direct algorithm in a forward pass."
    )
    return f"## Training steps\n\n{about}\n\n{table(headings, rows)}"


def _launches(results: dict[str, dict]) -> str:
    """What the device was asked for, beside the stand-in's count; where its time went."""
    counted = {n: of for n, of in results.items() if n.startswith(("launches: ", "stand-in: "))}
    if not counted:
        return ""
    kinds = ("launches", "copies", "reads", "allocations")
    rows = [
        (of["network"], of["batch_size"], of["by"], *(of.get(kind, "") for kind in kinds))
        for of in counted.values()
    ]
    text = [
        "## Launches",
        "One training step with gates, V and L_S. Copies: from the host; reads: to the host.",
        table(("network", "batch", "counted by", *kinds), rows),
    ]
    for of in counted.values():
        if of.get("longest"):
            head = f"{of['network']}: {of['device_ms']:.2f} ms in kernels; the longest:"
            lines = [(f"`{n[:90]}`", count, f"{ms:.3f}") for n, count, ms in of["longest"]]
            text += [head, table(("kernel", "launches", "ms"), lines)]
    return "\n\n".join(text)


def _kernels(found: dict[str, dict] | None) -> str:
    if not found:
        return ""
    headings = list(next(iter(found.values())))
    rows = [(f"`{name}`", *of.values()) for name, of in sorted(found.items())]
    return "## Kernels\n\n" + table(("kernel", *headings), rows)


def _failures(found: dict[str, dict]) -> str:
    lines = []
    for name, of in found.items():
        if "said" in of:
            lines += [f"- {name}:", "", "```", *of["said"], "```", ""]
    return "\n".join(["## What failed, was cut or was not run", "", *lines]) if lines else ""
