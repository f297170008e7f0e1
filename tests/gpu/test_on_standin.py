"""All of tinybar on the stand-in for CuPy: what would break on a GPU, and what is asked of it."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import train.toy
from safetensors.numpy import load_file
from train.toy import TINY, cut_toy, pruned_of, resume_toy, run_toy

from tinybar import nn
from tinybar.audit.gradients import audit_primitives, problems_of
from tinybar.autograd import PRIMITIVES, Tensor
from tinybar.bench import launches
from tinybar.kernels import dispatch
from tinybar.pruning.methods import METHODS, search
from tinybar.runtime import arrays
from tinybar.runtime.arrays import array_module, to_device, to_numpy
from tinybar.train import loop
from tinybar.train.config import Config

ROOT = Path(__file__).parents[2]


def test_the_audit_has_no_failure(on_standin):
    """Every primitive's gradient in float64, and every closed form."""
    rows = json.loads(on_standin("tinybar", "audit", "--device", "gpu", "--json"))
    assert not [row["name"] for row in rows if not row["passed"]]
    assert len(rows) > 100


def test_the_tests_for_a_gpu(on_standin):
    """tests/gpu/test_on_gpu.py, its kernels compiled for the host."""
    file = str(Path(__file__).with_name("test_on_gpu.py"))
    out = on_standin("pytest", "-n0", file, cwd=ROOT)
    assert re.search(r"^\.+ +\[100%\]", out, re.MULTILINE)


# --- gradients in float32 -------------------------------------------------------------------------


def computed(name: str, dtype: str) -> list[np.ndarray]:
    """Outputs and gradients at the problems of a primitive, on the current device."""
    found = []
    for _, function, inputs in problems_of(name):
        tensors = []
        for values in inputs:
            is_float = values.dtype.kind == "f"
            values = to_device(values.astype(dtype) if is_float else values)
            tensors.append(Tensor(values, requires_grad=is_float))
        y = function(*tensors)
        gy = np.random.default_rng(0).standard_normal(y.shape)
        y.backward(to_device(gy.astype(dtype)))
        grads = [t.grad for t in tensors if t.grad is not None]
        found += [np.array(to_numpy(array)) for array in (y.data, *grads)]
    return found


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_a_primitive_in_float32(name, gpu):
    """With all kernels, beside the references in float64 on the host."""
    got = computed(name, "f4")
    arrays.use_device("cpu")
    dispatch.enable(False)
    for low, high in zip(got, computed(name, "f8"), strict=True):
        assert (low.dtype, low.shape) == ("f4", high.shape)
        np.testing.assert_allclose(low, high, rtol=1e-4, atol=1e-5 * abs(high).max(initial=1))


# --- whole runs -----------------------------------------------------------------------------------

SHORT = {"epochs": (1, 1, 0), "teacher_epochs": 1}
RUNS = [
    *({"method": name} for name in METHODS),
    {"skip_closed": True},
    {"live": "soft", "distill": False, "metric": "flops"},
    {"model": "resnet-8"},
]


@pytest.fixture
def plain(tmp_path, monkeypatch):
    """Run on the CPU without kernels.

    Adam's eps, in all runs, keeps steps small where a gradient is nothing but rounding.
    """
    monkeypatch.setattr(loop, "Adam", partial(nn.Adam, eps=1e-2))

    def run(config):
        arrays.use_device("cpu")
        dispatch.enable(False)
        return run_toy(tmp_path / "plain", config)

    return run


def same_weights(folder, plain, **tolerance) -> None:
    """The teachers and the pruned networks of two runs agree."""
    for name in ("teacher", "pruned"):
        got, wanted = (load_file(getattr(each, name)) for each in (folder, plain))
        assert got.keys() == wanted.keys()
        for key, array in wanted.items():
            np.testing.assert_allclose(got[key], array, **tolerance)


@pytest.mark.parametrize("options", RUNS, ids=str)
def test_a_run_resumed_on_a_gpu_is_that_of_the_cpu(options, gpu, plain, tmp_path, monkeypatch):
    """To 1e-6, but where rounding puts an activation on the other side of a ReLU's kink: to 1 %."""
    monkeypatch.setattr(search, "PROBES", 2)
    config = Config(**{**vars(TINY), **SHORT, **options})
    cut_toy(tmp_path / "gpu", config, 2)
    folder, facts = resume_toy(tmp_path / "gpu")
    expected_folder, expected = plain(config)
    assert facts["budget"] == expected["budget"]
    assert facts["volume"] == expected["volume"]
    assert facts[config.metric] <= facts["budget"]
    same_weights(folder, expected_folder, rtol=1e-2, atol=1e-3)


def test_large_steps_on_a_gpu_are_those_of_the_cpu(gpu, plain, tmp_path, monkeypatch):
    """Of images that are whole tiles of Winograd's: a wrong gradient would move all weights."""
    monkeypatch.setattr(train.toy, "toy", partial(train.toy.toy, size=8))
    config = Config(**{**vars(TINY), **SHORT, "method": "scratch", "lr": 0.02})
    folder, _ = run_toy(tmp_path / "gpu", config)
    same_weights(folder, plain(config)[0], rtol=0, atol=1e-4)


def test_on_a_gpu_a_run_resumes_bit_for_bit(gpu, tmp_path):
    config = Config(**{**vars(TINY), **SHORT, "method": "lagrangian"})  # its penalty has a memory
    whole, _ = run_toy(tmp_path / "whole", config)
    cut_toy(tmp_path / "cut", config, 1)
    folder, _ = resume_toy(tmp_path / "cut")
    assert pruned_of(folder) == pruned_of(whole)


def test_the_commands(on_standin, tmp_path):
    run = str(tmp_path / "run")
    short = ["--model", "wrn-10-1", "--epochs", "1", "1", "0", "--teacher-epochs", "1"]
    options = ["--budget", "4x", "--batch-size", "256", "--device", "gpu", "--out", run]
    on_standin("tinybar", "train", *short, *options)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["device"] == "gpu"
    assert result["volume"] <= result["budget"]
    outcome = json.loads(on_standin("tinybar", "eval", run, "--device", "gpu", "--json"))
    assert outcome["accuracy"] == result["accuracy"]
    table = on_standin("tinybar", "bench", "--run", run, "--seconds", "0.1", "--threads", "1")
    assert "FLOP reduction realised" in table


# --- what is asked of a GPU -----------------------------------------------------------------------


def test_the_counts_of_a_step_are_those_of_the_page(on_standin, tmp_path):
    """docs/performance.md holds the numbers; `tinybar bench --launches` prints them."""
    on_standin("tinybar", "bench", "--launches", "--json", str(tmp_path / "counts.json"))
    counts = json.loads((tmp_path / "counts.json").read_text())["launches"]
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    section = page.partition("## What a step asks of a GPU")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\w-]+) \| ([\d,]+) \| (\d+) \| (\d+) \| ([\d,]+) \|$", section, re.M)
    documented = {name: [int(n.replace(",", "")) for n in numbers] for name, *numbers in rows}
    assert documented == {name: [*found["total"].values()] for name, found in counts.items()}


# --- planted faults -------------------------------------------------------------------------------


def host_array(x):
    y = array_module(x).maximum(x, 0) + np.zeros(x.shape)
    return y, lambda gy: gy * (y > 0)


def numpy_for_xp(x):
    y = array_module(x).maximum(x, np.zeros(x.shape))
    return y, lambda gy: gy * (y > 0)


def numpy_in_the_pullback(x):
    return array_module(x).maximum(x, 0), lambda gy: np.ascontiguousarray(gy) * (x > 0)


def function_that_cupy_lacks(x):
    xp = array_module(x)
    y = xp.maximum(x, 0)
    return y, lambda gy: gy * xp.astype(y > 0, y.dtype)


def keyword_that_cupy_lacks(x):
    xp = array_module(x)
    y = xp.maximum(x, 0)
    return y, lambda gy: xp.multiply(gy, 1.0, where=y > 0, out=xp.zeros_like(gy))


FAULTS = (
    host_array,
    numpy_for_xp,
    numpy_in_the_pullback,
    function_that_cupy_lacks,
    keyword_that_cupy_lacks,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, gpu, monkeypatch):
    """A relu that only works on the CPU."""
    monkeypatch.setattr(PRIMITIVES["relu"], "function", fault)
    (row,) = audit_primitives(names=["relu"])
    assert not row.passed
    arrays.use_device("cpu")
    (row,) = audit_primitives(names=["relu"])
    assert row.passed


def test_a_planted_read_is_counted(gpu, monkeypatch):
    def total():
        return launches.bench_launches("wrn-10-1", (8, 8, 3), None, 4)["launches"]["wrn-10-1"]

    plain, loss = total(), launches.cross_entropy
    monkeypatch.setattr(launches, "cross_entropy", lambda *a: (float((y := loss(*a)).item()), y)[1])
    planted = total()
    assert planted["total"]["reads"] == plain["total"]["reads"] + 1
    assert planted["places"]["network"]["reads"] == plain["places"]["network"]["reads"] + 1
