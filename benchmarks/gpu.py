"""What tinybar does on a GPU, in one call of less than ten minutes, on a page.

    python benchmarks/gpu.py                  # results/gpu-NAME.md and .json, of the GPU's name
    python benchmarks/gpu.py --resume         # what was cut, failed, or had no time
    python benchmarks/gpu.py --device cpu --quick --out /tmp/x    # does the script itself work?

It needs CuPy and tinybar's other dependencies, PyTorch to compare with, and the tests' for these;
tinybar itself need not be installed. Every part (gpu_parts.py) has a process and a time limit of
its own, and results are written after each, so a part that fails or is cut loses nothing else.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # of this tinybar, whether or not it is installed

import click  # noqa: E402
from common import RESULTS, commit, importing  # noqa: E402
from gpu_page import page  # noqa: E402

from tinybar.runtime.files import write_json, write_text  # noqa: E402

PARTS = str(Path(__file__).with_name("gpu_parts.py"))
STANDIN = ROOT / "tests" / "gpu" / "standin"
NETWORKS = tuple(
    (name, gated) for name in ("wrn-28-12", "wrn-16-4", "wrn-16-1") for gated in (False, True)
)
PRUNED = (("wrn-28-12", 32), ("wrn-16-4", 32), ("resnet50", 128))  # whose launches are counted
SAID = 8  # lines of what a part that failed said last


@dataclass(frozen=True)
class Part:
    """arguments: of Python. limit: seconds. folder: to import from before all others."""

    name: str
    arguments: tuple[str, ...]
    limit: float
    folder: Path = ROOT


def parts(device: str, quick: bool) -> list[Part]:
    """All of them, the most important first. quick: small networks, few tests."""

    def of(name: str, limit: float, *arguments) -> Part:
        return Part(name, (PARTS, *map(str, arguments), "--device", device), limit)

    def steps(engine: str, limit: float) -> list[Part]:
        shape = ("--batch-size", 4, "--image-size", 8, "--seconds", 0.1) if quick else ()
        return [
            of(f"step: {network}, {'gated' if gated else 'plain'}, {engine}", limit, "step",
               "--network", network, "--engine", engine, *(["--gated"] if gated else []), *shape)
            for network, gated in networks
        ]  # fmt: skip

    networks = (("wrn-10-1", True),) if quick else NETWORKS
    audit = ("-m", "tinybar", "audit", "--json", "--device", device)
    few = ("--expression", "not slow", ROOT / "tests" / "gpu" / "test_precision.py")
    return [
        Part("system", ("-m", "tinybar", "info", "--system", "--json"), 60),
        of("kernels", 60, "kernels"),
        of("ceilings", 60, "ceilings", *(("--mebibytes", 1, "--size", 64) if quick else ())),
        Part("audit", audit, 150),
        *_launches(of, quick),
        *steps("tinybar", 40),
        *steps("torch", 40),
        of("tests", 200, "tests", *(few if quick else ())),
        *steps("torch.compile", 120),
    ]


def _launches(of, quick: bool) -> list[Part]:
    """Counted on the device and on the stand-in, where the repository has it."""
    found = []
    for network, size in (("wrn-10-1", 8),) if quick else PRUNED:
        shape = ("launches", "--network", network, "--image-size", size)
        shape += ("--batch-size", 4) if quick else ()
        found.append(of(f"launches: {network}", 60, *shape))
        if STANDIN.exists():
            arguments = (PARTS, *map(str, shape), "--device", "gpu")
            found.append(Part(f"stand-in: {network}", arguments, 90, STANDIN))
    return found


# --- running them --------------------------------------------------------------------------------


def run(part: Part, seconds: float) -> dict:
    """What the part found, or what it said when it failed or was cut after `seconds`."""
    environ = importing(part.folder, ROOT) | {"PYTHONUNBUFFERED": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *part.arguments], cwd=ROOT, env=environ, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    cut = None
    try:
        out, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
        out, said = process.communicate()
        cut = f"cut after {seconds:.0f} s"
    except BaseException:
        _kill(process)
        raise
    found = {"seconds": round(time.perf_counter() - start, 1), "code": process.returncode}
    with suppress(ValueError, IndexError):
        found["result"] = json.loads(out.strip().splitlines()[-1])
    if cut or "result" not in found:
        end = cut or f"ended with exit code {process.returncode}"
        found["said"] = [*said.strip().splitlines()[-SAID:], end]
    return found


def _kill(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def name_of(system: dict) -> str:
    """A file's name for the first GPU, from what `tinybar info --system` found."""
    cards = system.get("result", {}).get("gpu", {}).get("gpus", [])
    return re.sub(r"[^a-z0-9]+", "-", cards[0]["name"].lower()).strip("-") if cards else "none"


@click.command()
@click.option("--device", default="gpu", show_default=True)
@click.option("--minutes", default=9.0, show_default=True, help="For all; what is left can resume.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder.")
@click.option("--resume", is_flag=True, help="Keep what was found before, of this GPU.")
@click.option("--quick", is_flag=True, help="Small networks, few tests.")
@click.option("--only", default="", metavar="REGEX", help="Parts whose name matches.")
def main(device: str, minutes: float, out: Path, resume: bool, quick: bool, only: str) -> None:
    end = time.monotonic() + 60 * minutes
    system, *others = parts(device, quick)
    found = {system.name: run(system, system.limit)}
    facts = found[system.name].get("result", {}).get("gpu", {"gpus": [], "missing": []})
    if device != "cpu" and not facts["gpus"]:
        raise click.ClickException("; ".join(["no GPU computes here", *facts["missing"]]))
    file = out / f"gpu-{name_of(found[system.name])}.json"
    if resume and file.exists():
        found = json.loads(file.read_text("utf-8"))["parts"] | found
    out.mkdir(parents=True, exist_ok=True)
    wanted = [part for part in others if re.search(only, part.name)]
    for part in wanted:
        if resume and "result" in found.get(part.name, {}):
            continue
        left = end - time.monotonic()
        if left < 5:
            found.setdefault(part.name, {"said": ["not run: no time was left"]})
        else:
            print(f"{part.name} ...", end=" ", flush=True)
            found[part.name] = run(part, min(part.limit, left))
            print("; ".join(found[part.name].get("said", ["done"])[-2:])[:300])
        write_json(file, {"commit": commit(), "parts": found})
        write_text(file.with_suffix(".md"), page(found))
    print(f"{file.with_suffix('.md')}: {sum('result' in of for of in found.values())} parts done")
    sys.exit(int(any("result" not in found[part.name] for part in wanted)))


if __name__ == "__main__":
    main()
