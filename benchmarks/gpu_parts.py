"""The parts of gpu.py, each in a process of its own: it ends with a line of JSON.

    python benchmarks/gpu_parts.py step --network wrn-16-4 --engine torch
    python benchmarks/gpu_parts.py launches --network wrn-28-12 --batch-size 64

--device cpu does the same on the CPU, which shows that the script works, and nothing else.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # of this tinybar, whether or not it is installed

import click  # noqa: E402
import numpy as np  # noqa: E402
from common import importing  # noqa: E402
from resources import compiled  # noqa: E402

from tinybar import pruning  # noqa: E402
from tinybar.bench import tinybar_steps  # noqa: E402
from tinybar.bench.case import Case  # noqa: E402
from tinybar.bench.launches import gated_step  # noqa: E402
from tinybar.bench.results import milliseconds  # noqa: E402
from tinybar.kernels.cuda import launcher  # noqa: E402
from tinybar.runtime import arrays, memory  # noqa: E402

BLOCK = 0.2  # seconds of steps between two waits for the device
LEAST_BLOCKS, WARM_STEPS = 5, 5


@click.group()
def main() -> None:
    """The parts."""


def part(function):
    """A command that prints the JSON of what it returns, after all that libraries print."""

    @functools.wraps(function)
    def command(**options):
        print(json.dumps(function(**options)), flush=True)

    device = click.option("--device", default="gpu", show_default=True)
    return main.command(function.__name__)(device(command))


def network_options(function):
    """What is trained."""
    for option in (
        click.option("--network", default="wrn-16-1", show_default=True),
        click.option("--image-size", default=32, show_default=True),
        click.option("--batch-size", default=64, show_default=True),
    ):
        function = option(function)
    return function


# --- the card ---------------------------------------------------------------------------------


@part
@click.option("--mebibytes", default=2048, show_default=True, help="Of a copy.")
@click.option("--size", default=8192, show_default=True, help="Rows and columns of a product.")
@click.option("--seconds", default=2.0, show_default=True)
def ceilings(mebibytes, size, seconds, device) -> dict:
    """What no step exceeds: the rates of a copy on the device and of a product of matrices."""
    arrays.use_device(device)
    xp, rng = arrays.xp(), np.random.default_rng(0)
    source = xp.ones(mebibytes << 18, "f4")
    target = source.copy()
    times = timed(lambda: xp.copyto(target, source), arrays.synchronize, seconds)
    found = {"tb_per_second": 2 * source.nbytes / times["median_ms"] / 1e9}
    a, b = (arrays.to_device(rng.standard_normal((size, size), "f4")) for _ in range(2))
    for name in arrays.PRECISIONS:
        arrays.use_precision(name)
        times = timed(lambda: xp.matmul(a, b), arrays.synchronize, seconds)
        found[f"{name}_tflop_per_second"] = 2 * size**3 / times["median_ms"] / 1e9
    return found


# --- steps ---------------------------------------------------------------------------------------


@part
@click.option("--engine", type=click.Choice(["tinybar", "torch", "torch.compile"]), required=True)
@click.option("--gated", is_flag=True)
@click.option("--seconds", default=4.0, show_default=True)
@network_options
def step(network, image_size, batch_size, gated, engine, seconds, device) -> dict:
    """A training step in TF32: times, and memory on the device."""
    shape = (image_size, image_size, 3)
    case = Case("step", network, shape, batch_size=batch_size, gated=gated)
    operations = 3 * batch_size * pruning.flops(case.build())  # forward, and backward twice
    one, wait, peak = (ours if engine == "tinybar" else torch_s)(case, engine, device)
    start = time.perf_counter()
    for _ in range(WARM_STEPS):
        one()
    wait()
    warm_up = time.perf_counter() - start
    found = timed(one, wait, seconds)
    return {
        "network": network, "gated": gated, "batch_size": batch_size, "engine": engine,
        "warm_up_seconds": warm_up, **found, "device_bytes": peak(),
        "tflop_per_second": operations / found["median_ms"] / 1e9,
        "loss": float(one().item()),
    }  # fmt: skip


def timed(one: Callable, wait: Callable, seconds: float) -> dict:
    """Times of a step, from blocks of steps that end with waiting for the device.

    queued_ms: until the steps of a block were asked for. As long as the steps themselves take, it
    is the host that limits them.
    """
    start = time.perf_counter()
    one()
    wait()
    count = max(1, min(100, round(BLOCK / (time.perf_counter() - start))))
    blocks, queued, end = [], [], time.perf_counter() + seconds
    while len(blocks) < LEAST_BLOCKS or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            one()
        queued.append((time.perf_counter() - start) / count)
        wait()
        blocks.append((time.perf_counter() - start) / count)
    return {
        **milliseconds(blocks),
        "queued_ms": 1000 * median(queued),
        "steps": count * len(blocks),
    }


def ours(case: Case, engine: str, device: str) -> tuple[Callable, Callable, Callable]:
    """(step, wait for the device, peak bytes on it) of tinybar."""
    arrays.use_device(device)
    arrays.use_precision("tf32")
    return tinybar_steps.prepare(case), arrays.synchronize, memory.device_peak


def torch_s(case: Case, engine: str, device: str) -> tuple[Callable, Callable, Callable]:
    """The same of PyTorch; on the CPU, without the compiler's last stage, which takes long."""
    import torch
    from peers import torch_peer

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    on_gpu = device != "cpu"
    compiled_by = {
        "torch": lambda model: model,
        "torch.compile": lambda model: torch.compile(
            model, backend="inductor" if on_gpu else "aot_eager"
        ),
    }[engine]
    one = torch_peer.prepare(case, "cuda" if on_gpu else "cpu", compiled_by)
    if not on_gpu:
        return one, lambda: None, lambda: None
    return one, torch.cuda.synchronize, torch.cuda.max_memory_reserved


# --- launches ------------------------------------------------------------------------------------


@part
@network_options
def launches(network, image_size, batch_size, device) -> dict:
    """What a step with gates, V and L_S asks of the device, by CuPy's stand-in or by CUPTI."""
    arrays.use_device(device)
    arrays.use_precision("tf32")
    case = Case("step", network, (image_size,) * 2 + (3,), batch_size=batch_size, gated=True)
    one = gated_step(case, SimpleNamespace(place=""))
    asked = {"network": network, "batch_size": batch_size}
    try:
        from cupy import standin
    except ImportError:
        return asked | {"by": "CUPTI"} | traced(one)
    with standin.dry():
        one()
        with standin.counting() as counts:
            one()
    kinds = ("launches", "copies", "reads", "allocations")
    return asked | {"by": "stand-in"} | {kind: standin.total(counts, kind) for kind in kinds}


def traced(one: Callable) -> dict:
    """Counts of a step, and where the device's time goes, from PyTorch's profiler.

    CUPTI, on which it stands, sees the kernels of all libraries in the process.
    """
    from torch.profiler import ProfilerActivity, profile

    on_gpu = arrays.device() != "cpu"
    wanted = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    for _ in range(3):  # kernels are compiled, and CUPTI may miss what happens while it starts
        with profile(activities=[wanted]) as profiler:
            one()
            arrays.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(file))
        found = counted(json.loads(file.read_text("utf-8"))["traceEvents"])
    if not on_gpu:
        return found
    if not found["launches"]:
        raise RuntimeError("PyTorch's profiler saw no kernel: CUPTI may not be allowed here")
    return found | {"allocations": allocations(one)}


def allocations(one: Callable) -> int:
    """How often CuPy's pool is asked for memory in a step."""
    from cupy.cuda.memory_hook import MemoryHook

    class Counting(MemoryHook):
        name, count = "Counting", 0

        def malloc_postprocess(self, **_) -> None:
            self.count += 1

    with Counting() as hook:
        one()
    return hook.count


def counted(events: list[dict]) -> dict:
    """Launches, copies and reads in a trace, and the ten kernels that take most time."""
    kinds = Counter({"launches": 0, "copies": 0, "reads": 0})
    times: dict[str, list[float]] = {}
    for event in events:
        category, name = event.get("cat"), event.get("name", "")
        if category == "gpu_memcpy" and "DtoH" in name:
            kinds["reads"] += 1
        elif category == "gpu_memcpy" and "HtoD" in name:
            kinds["copies"] += 1
        elif category in ("kernel", "gpu_memcpy", "gpu_memset"):
            kinds["launches"] += 1
        if category == "kernel":
            times.setdefault(name, []).append(event["dur"])
    longest = sorted(times.items(), key=lambda item: -sum(item[1]))[:10]
    return dict(kinds) | {
        "device_ms": sum(map(sum, times.values())) / 1000,
        "longest": [[name, len(each), sum(each) / 1000] for name, each in longest],
    }


# --- kernels and tests ---------------------------------------------------------------------------


@part
def kernels(device) -> dict:
    """Registers and memory of every kernel, as the driver loaded it; else as NVRTC compiles it."""
    if device == "cpu":
        return {name: found._asdict() for name, found in compiled("90").items()}
    arrays.use_device(device)
    found = {}
    for name in re.findall(r"__global__ void (\w+)\(", launcher.source()):
        kernel = launcher.kernel(name)
        found[name] = {
            "registers": kernel.num_regs,
            "local": kernel.local_size_bytes,
            "shared": kernel.shared_size_bytes,
            "threads": kernel.max_threads_per_block,
        }
    return found


@part
@click.option("--expression", default="gpu", help="Marker of the tests, as for pytest -m.")
@click.argument("files", nargs=-1)
def tests(expression, files, device) -> dict:
    """The tests that are marked, in those files that mark any, or in `files`."""
    marked = (
        path for path in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text()
    )
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "4",
            "-m",
            expression,
            f"--junit-xml={report}",
        ]
        subprocess.run(
            [*command, *map(str, files or sorted(marked))], cwd=ROOT, env=importing(ROOT),
            check=False, stdout=sys.stderr, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return outcomes(ET.parse(report).getroot())


def outcomes(report: ET.Element) -> dict:
    """How many tests passed, were skipped, and failed, these with what they said first."""
    found = {"passed": 0, "skipped": 0, "failed": []}
    for test in report.iter("testcase"):
        faults = [*test.findall("failure"), *test.findall("error")]
        if faults:
            said = faults[0].get("message", "").partition("\n")[0]
            found["failed"].append([f"{test.get('classname')}::{test.get('name')}", said[:300]])
        else:
            found["skipped" if test.find("skipped") is not None else "passed"] += 1
    return found


if __name__ == "__main__":
    main()
