"""The CUDA kernels compute what their references do; here they run on the CPU."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.problems import (
    KERNELS,
    PROBLEMS,
    at_the_edges,
    copied,
    flushed,
    hold,
    results,
    without_zeros,
)

from gpu import emulation
from tinybar.autograd.conv import winograd
from tinybar.kernels import cuda, dispatch, in_place
from tinybar.kernels.cuda import launcher
from tinybar.kernels.dispatch import ACCELERATED
from tinybar.runtime import arrays

needs_compiler = pytest.mark.skipif(
    emulation.COMPILER is None, reason="needs a C++ compiler: g++ or clang++"
)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """The emulated kernels in the place of CuPy's, and no result that is right by chance."""
    found = emulation.Emulation(emulation.build(tmp_path_factory.mktemp("kernels")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher, "kernel", found.kernel)
        patch.setattr(launcher, "address", emulation.address)
        patch.setattr(launcher, "_gemm", lambda: (emulation.gemm, 1))
        patch.setattr(cuda, "_empty", lambda shape, like: np.full(shape, np.nan, like.dtype))
        yield found


@needs_compiler
@pytest.mark.parametrize("name", KERNELS["cuda"])
@given(data=st.data())
def test_a_kernel_computes_what_its_reference_does(emulated, name, data):
    arguments, kernel = data.draw(PROBLEMS[name]), KERNELS["cuda"][name]
    emulated.is_backward = False
    got = results(kernel, copied(arguments))
    hold(name, got, arguments)
    emulated.is_backward = True  # no thread depends on what another has done
    for one, other in zip(got, results(kernel, copied(arguments)), strict=True):
        np.testing.assert_array_equal(one, other)


@needs_compiler
@pytest.mark.parametrize("name", KERNELS["cuda"])
@given(data=st.data())
def test_a_kernel_at_the_edges(emulated, name, data):
    """A network that diverges must not look as if it did not."""
    arguments = flushed(data.draw(at_the_edges(name, PROBLEMS)))
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "transformed", without_zeros)
        hold(name, results(KERNELS["cuda"][name], copied(arguments)), arguments)


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors are left as they are")
def test_denormal_numbers_are_zeros_in_a_kernel_alone(emulated):
    """As CuPy compiles it. 1e-38 / 4 would be denormal, too: it is in the transformed weight."""
    weight = np.zeros((3, 3, 1, 2), "f4")
    weight[0, 0] = 1e-40, 1.2e-38
    assert not cuda.weight_transform(weight, None)[:, :, 0].any()
    assert set(abs(cuda.weight_transform(weight, None)[:, :, 1]).ravel()) <= {
        0,
        np.float32(1.2e-38),
    }
    assert weight[0, 0, 0, 0] * np.float32(1) > 0


@needs_compiler
def test_every_kernel_is_launched(emulated):
    emulated.launched.clear()
    x, row = np.ones((3000, 2), "f4"), np.ones(2, "f4")
    image, tiles = np.ones((1, 4, 4, 2), "f4"), np.ones((36, 1, 2), "f4")
    cuda.weight_transform_pullback(cuda.weight_transform(np.ones((3, 3, 2, 2), "f4"), row))
    cuda.input_transform(image, (1, 1), (1, 1))
    cuda.input_transform_pullback(tiles, image.shape, (1, 1), (1, 1))
    cuda.output_transform(tiles, 1, (1, 1), (4, 4))
    cuda.output_transform_pullback(image, (1, 1))
    rows = cuda.gather_rows(image, (1, 1), (1, 1), (0, 0), (4, 4))
    cuda.scatter_rows(rows, image.shape, (1, 1), (1, 1), (0, 0), (4, 4))
    cuda.gate_pullback(x, x, row)
    cuda.moments(x)
    y = cuda.normalise_relu(x, row, row, row)
    cuda.normalise_batch(x, *[row] * 5, row.copy(), row.copy(), len(x), 0.1, 1e-5, 0.0)
    sums = cuda.gradient_sums(x, y, x, row)
    cuda.normalise_pullback(x, y, x, sums, *[row] * 6, len(x))
    cuda.hard_after(row, cuda.any_open(row), row)
    cuda.end_to_end([row, row])
    cuda.concrete_pullback(row, *cuda.concrete(cuda.logistic(row), row, 1.0, -0.1, 1.1), 1.0)
    cuda.raised(row, (slice(0, 1),), 3.0)
    cuda.adam_step(*[[row]] * 4, (1,), 1e-3, 0.0, 0.9, 0.999, 1e-8)
    assert set(emulated.launched) == set(emulation.KERNELS)


def test_a_launch_of_adam_has_room_for_so_many_parameters_and_numbers():
    full, large = launcher.PARAMETERS, 2**30
    assert [*cuda._tables([1] * (full + 2), full)] == [slice(0, full), slice(full, full + 2)]
    assert [*cuda._tables([large, large - 1, large, 1], full)] == [slice(0, 2), slice(2, 4)]


# --- when they are called ------------------------------------------------------------------------


class OnGPU(np.ndarray):
    """An array that takes itself for CuPy's, with NumPy behind it."""

    def get(self) -> np.ndarray:
        return np.asarray(self)


OnGPU.__module__ = "cupy"


@pytest.fixture
def numpy_as_cupy(monkeypatch):
    """NumPy under another name: its arrays are then not those of the CPU."""
    module = type(np)("cupy")
    module.__dict__.update(vars(np))
    monkeypatch.setattr(arrays, "_cupy", lambda: module)
    dispatch.enable(True)
    yield module
    dispatch.enable(False)


def gradient_of_tiles(dtype="f4"):
    gy = np.random.default_rng(0).standard_normal((2, 6, 5, 3)).astype(dtype)
    return gy.view(OnGPU), (2, 2)


@needs_compiler
def test_float32_arrays_on_a_gpu_take_the_kernel(emulated, numpy_as_cupy):
    emulated.launched.clear()
    name, (gy, tiles) = "output_transform_pullback", gradient_of_tiles()
    hold(name, results(ACCELERATED[name], (gy, tiles)), (gy, tiles))
    turned = gy.transpose(0, 2, 1, 3)  # another layout is copied first
    got = ACCELERATED[name](turned, tiles)
    hold(name, [got, np.array(turned)], (turned, tiles))
    assert emulated.launched == [name] * 2


@needs_compiler
def test_all_others_do_not(emulated, numpy_as_cupy):
    emulated.launched.clear()
    gy, tiles = gradient_of_tiles()
    function, normalise = ACCELERATED["output_transform_pullback"], ACCELERATED["normalise_relu"]
    function(gy.astype("f8"), tiles)
    function(gy[:0], tiles)
    row = np.ones(3).view(OnGPU)
    normalise(gy, *[row.astype("f4")] * 2, row)  # one float64 among them
    dispatch.enable(False)
    function(gy, tiles)
    assert emulated.launched == []


def test_without_a_cuda_kernel_array_operations_are_used(numpy_as_cupy, monkeypatch):
    monkeypatch.setattr(in_place, "sum_per_channel", lambda x: "in place")
    assert ACCELERATED["sum_per_channel"](np.ones((5, 3), "f4").view(OnGPU)) == "in place"


# --- what a compiler says ------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, of the CUDA toolkit")
def test_nvcc_compiles_without_a_warning(tmp_path):
    """For an A100 and an H100. Warnings include registers that do not suffice: memory is slow."""
    (tmp_path / "kernels.cu").write_text(launcher.source(), "utf-8")
    command = ["nvcc", "-std=c++17", "-fatbin", "-Werror", "all-warnings"]
    command += ["-Xptxas", "--warn-on-spills,--warn-on-local-memory-usage"]
    for architecture in ("80", "90"):
        command += ["-gencode", f"arch=compute_{architecture},code=sm_{architecture}"]
    done = subprocess.run(
        [*command, "-o", "kernels.fatbin", "kernels.cu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "kernels.fatbin").stat().st_size > 0


def sanitizer() -> str | None:
    """The address sanitizer's library, which Python must load before any other."""
    if emulation.COMPILER is None:
        return None
    command = [emulation.COMPILER, "-print-file-name=libasan.so"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if Path(done.stdout.strip()).is_absolute() else None


@pytest.mark.skipif(sanitizer() is None, reason="needs a C++ compiler with an address sanitizer")
def test_no_kernel_reads_or_writes_beside_its_arrays(tmp_path):
    library = emulation.build(tmp_path, "-fsanitize=address,undefined", "-fno-sanitize-recover")
    code = """
import sys
from pathlib import Path
from hypothesis import given, settings
from gpu import emulation
from kernels.problems import KERNELS, problems, results
from tinybar.kernels.cuda import launcher
from tinybar.kernels.dispatch import _fits

drawn = problems(least=0)  # no image, no channel; empty arrays come to no kernel

launcher.kernel = emulation.Emulation(Path(sys.argv[1])).kernel
launcher.address, launcher._gemm = emulation.address, lambda: (emulation.gemm, 1)
for name, kernel in KERNELS["cuda"].items():

    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(drawn[name])
    def run(arguments):
        if _fits(arguments):
            results(kernel, arguments)

    run()
print("done")
"""
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "LD_PRELOAD": sanitizer(),
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(library)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["done"], done.stderr[-2000:]
