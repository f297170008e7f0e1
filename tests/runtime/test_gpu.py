"""What keeps a GPU from computing is told in a line, before anything is computed."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from runtime.processes import in_a_fresh_process

from tinybar.runtime import arrays, gpu

COMPILER = shutil.which("gcc") or shutil.which("clang")
HAS_CUPY = importlib.util.find_spec("cupy") is not None

# --- the driver ----------------------------------------------------------------------------------

DRIVER = {
    "libcuda.so.1": "int cuDriverGetVersion(int *version) { *version = VERSION; return FAILS; }",
    "libnvidia-ml.so.1": """
        #include <string.h>
        int nvmlInit_v2(void) { return FAILS; }
        int nvmlSystemGetDriverVersion(char *text, unsigned size) {
            strncpy(text, "580.65.06", size);
            return 0;
        }""",
}


def driver(folder, version: int, fails: int = 0) -> str:
    """A folder with the driver's two libraries, of which these functions are all."""
    for name, code in DRIVER.items():
        command = [COMPILER, "-shared", "-fPIC", "-x", "c", "-", "-o", folder / name]
        macros = [f"-DVERSION={version}", f"-DFAILS={fails}"]
        subprocess.run([*command, *macros], input=code, text=True, check=True)
    return str(folder)


ASK = """
import json, sys
sys.modules["cupy"] = None  # not installed
from tinybar.runtime import gpu
try:
    gpu.check(0)
except gpu.NoGPU as reason:
    print(json.dumps([str(reason), reason.is_fault, gpu.driver_version(), gpu.driver_release()]))
"""


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("version", "cuda", "extra"), [(12040, "12.4", 12), (13000, "13.0", 13), (13020, "13.2", 13)]
)
def test_without_cupy_the_driver_says_which_one_to_install(version, cuda, extra, tmp_path):
    said = in_a_fresh_process(ASK, LD_LIBRARY_PATH=driver(tmp_path, version))
    assert said == [
        f"CuPy is not installed, the driver is for CUDA {cuda}: "
        f"pip install 'tinybar[cuda{extra}]'",
        False, version, "580.65.06",
    ]  # fmt: skip


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_a_driver_that_fails_is_none(tmp_path):
    said = in_a_fresh_process(ASK, LD_LIBRARY_PATH=driver(tmp_path, 13000, fails=1))
    assert said[2:] == [0, None]


@pytest.mark.skipif(gpu.driver_version() > 0, reason="there is a driver")
def test_without_a_driver():
    said, is_fault, *versions = in_a_fresh_process(ASK)
    assert said.startswith("CuPy is not installed, nor is an NVIDIA driver: pip install 'tinybar[")
    assert (is_fault, versions) == (False, [0, None])


# --- CuPy ----------------------------------------------------------------------------------------


class CUDARuntimeError(RuntimeError):
    """As CuPy's: it has the status that CUDA gave."""

    def __init__(self, status: int):
        super().__init__(f"cudaError {status}\nand so on")
        self.status = status


def cupy_that_says(driver: int, count: int, status: int = 0, built: int = 13020):
    """What CuPy says of the driver and the GPUs, or the status with which it fails to."""

    def device_count() -> int:
        if status:
            raise CUDARuntimeError(status)
        return count

    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: built,
        getDeviceCount=device_count,
        CUDARuntimeError=CUDARuntimeError,
    )
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


@pytest.mark.parametrize(
    ("cupy", "is_fault", "words"),
    [
        (cupy_that_says(0, 0, 35), False, "there is no NVIDIA driver"),
        (
            cupy_that_says(12040, 0, 35),
            True,
            "the driver is for CUDA 12.4 and too old for CuPy, which is for CUDA 13.2: "
            "pip uninstall cupy-cuda13x, then pip install 'tinybar[cuda12]', or install a newer",
        ),
        (cupy_that_says(13000, 0, 100), False, "there is a driver, but it shows no GPU"),
        (cupy_that_says(13000, 0), False, "shows no GPU (CUDA_VISIBLE_DEVICES=7)"),
        (cupy_that_says(13000, 0, 999), True, "the driver does not answer: cudaError 999"),
    ],
)
def test_a_cupy_without_a_gpu(cupy, is_fault, words, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(gpu.NoGPU) as caught:
        gpu.device_count(cupy)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.is_fault == is_fault


def test_a_gpu_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(gpu, "import_cupy", lambda: cupy_that_says(13000, 2))
    with pytest.raises(ValueError, match=r"'gpu:2': gpu:2 does not exist: 2 GPU\(s\) found, from"):
        arrays.use_device("gpu:2")


def test_a_library_that_does_not_load_is_named_with_what_brings_it():
    error = RuntimeError('Failure finding "libnvrtc.so.13": No such file\n  listdir("/lib"):\n' * 9)
    said = gpu.missing("NVRTC", cupy_that_says(13000, 1, built=12090), error)
    assert said.startswith('NVRTC does not load (Failure finding "libnvrtc.so.13": No such file l')
    assert said.endswith(" ...): pip install 'tinybar[cuda12]'")
    assert "\n" not in said


STANDIN = Path(__file__).parents[1] / "gpu" / "standin"
FAULTS = {
    "": None,
    "cupy.cuda.nvrtc.getVersion = fail": "NVRTC does not load (no such file so): pip install 'tin",
    "cupy.cuda.get_cublas_handle = fail": "cuBLAS does not load (no such file so): pip install",
    "cupy.ones = fail": "gpu:0 does not compute: no such file so",
    "cupy.ones = lambda *_: cupy.zeros((1, 1), 'f4')": "gpu:0 computes 1 x 1 = 0.0",
    "cupy.cuda.runtime.getDeviceCount = lambda: 0": "there is a driver, but it shows no GPU",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_work_is_found_before_anything_is_computed(fault):
    """On CuPy's stand-in, with and without a fault: by a run, by one that may choose, by `info`."""
    code = f"""
import cupy, json, warnings
def fail(*_):
    raise ImportError("no such file\\nso")
{fault}
from tinybar.runtime import arrays, gpu
said = None
try:
    chosen = arrays.use_device("gpu")
except ValueError as error:
    chosen, said = "none", str(error)
with warnings.catch_warnings(record=True) as caught:
    auto = arrays.use_device("auto")
lines = [line for line in gpu.facts()["missing"] if not line.startswith("NCCL")]
print(json.dumps([chosen, said, auto, [str(warning.message) for warning in caught], lines]))
"""
    chosen, said, auto, warned, lines = in_a_fresh_process(code, PYTHONPATH=importing(STANDIN))
    reason = FAULTS[fault]
    if reason is None:
        assert (chosen, said, auto, warned, lines) == ("gpu", None, "gpu", [], [])
        return
    assert (chosen, auto, len(lines)) == ("none", "cpu", 1)
    assert lines[0].startswith(reason)
    assert said == f"device 'gpu': {lines[0]}; or use --device cpu"
    is_fault = "shows no GPU" not in reason
    assert warned == [f"no GPU is used: {lines[0]}"] * is_fault


def importing(folder: Path) -> str:
    """PYTHONPATH with the folder first."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


@pytest.mark.skipif(not HAS_CUPY or arrays.gpu_available(), reason="needs CuPy, and no GPU")
def test_the_real_cupy_without_a_gpu():
    """Its libraries load without a driver, where they are installed."""
    facts = gpu.facts()
    assert facts["cupy"]
    assert facts["gpus"] == []
    assert facts["missing"]
    for library in gpu.LIBRARIES:
        assert facts[library.lower()] or any(line.startswith(library) for line in facts["missing"])
    with pytest.raises(ValueError, match="driver"):
        arrays.use_device("gpu")


@pytest.mark.gpu
def test_the_facts_of_a_gpu():
    facts = gpu.facts()
    assert facts["cuda_of_driver"]
    first = facts["gpus"][0]
    assert 0 < first["free"] <= first["memory"]
    assert [line for line in facts["missing"] if not line.startswith("NCCL")] == []
    arrays.use_device("gpu")
    assert first["name"] == arrays.device_name()
    assert ("tf32" in first["precision"]) == (arrays.use_precision("tf32") == "tf32")
    arrays.use_precision("fp32")
    np.testing.assert_array_equal(gpu.check(0).ones(3).get(), np.ones(3))


@pytest.mark.parametrize(
    ("version", "digits", "said"),
    [(13020, (), "13.2"), (12090, (), "12.9"), (131000, (10000, 100), "13.10.0"),
     (23203, (10000, 100), "2.32.3")],
)  # fmt: skip
def test_versions_as_cuda_counts_them(version, digits, said):
    assert gpu._dotted(version, *digits) == said
