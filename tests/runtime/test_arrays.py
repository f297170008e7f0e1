"""Devices and their precision."""

import numpy as np
import pytest
from runtime.processes import in_a_fresh_process

from tinybar.autograd.reduction import sum_per_channel
from tinybar.runtime import arrays


def test_the_cpu_is_there():
    assert arrays.use_device("cpu") == arrays.device() == "cpu"
    assert arrays.xp() is np
    assert arrays.device_name()


@pytest.mark.parametrize(
    "name", ["cuda", "cpu:0", "gpu:", "gpu:x", "gpu:-1", "", "GPU", "gpu:0:1", "gpu:²", None, 0]
)
def test_unknown_devices_are_refused(name):
    with pytest.raises(ValueError, match="use cpu, gpu, gpu:N or auto"):
        arrays.use_device(name)
    assert arrays.device() == "cpu"


@pytest.mark.skipif(arrays.gpu_available(), reason="there is a GPU")
def test_without_a_gpu():
    with pytest.raises(ValueError, match=r"device 'gpu': \w.*; or use --device cpu"):
        arrays.use_device("gpu")
    assert arrays.use_device("auto") == "cpu"


def test_a_cupy_that_cannot_be_imported_is_done_without(tmp_path):
    (tmp_path / "cupy.py").write_text("raise AttributeError('numpy has\\nno attribute')")
    code = f"""
import json, sys, warnings
sys.path.insert(0, {str(tmp_path)!r})
import tinybar
with warnings.catch_warnings(record=True) as caught:
    device = tinybar.use_device("auto")
print(json.dumps([device, *(str(warning.message) for warning in caught)]))
"""
    assert in_a_fresh_process(code) == ["cpu", "no GPU is used: CuPy: numpy has no attribute"]


@pytest.mark.gpu
def test_with_a_gpu():
    assert arrays.use_device("auto") == "gpu"
    host = np.arange(6.0).reshape(2, 3)
    there = arrays.to_device(host)
    assert arrays.array_module(there) is arrays.xp()
    assert arrays.array_module(there) is not np
    assert arrays.array_module(host, there) is arrays.xp()
    np.testing.assert_array_equal(arrays.to_numpy(there), host)
    arrays.synchronize()
    assert arrays.device_name()
    with pytest.raises(ValueError, match="does not exist"):
        arrays.use_device("gpu:99")


@pytest.mark.parametrize("precision", arrays.PRECISIONS)
def test_the_cpu_has_one_precision(precision):
    assert arrays.use_precision(precision) == "fp32"


@pytest.mark.parametrize("name", ["fp16", "TF32", "", None])
def test_unknown_precisions_are_refused(name):
    with pytest.raises(ValueError, match=r"unknown precision .* use one of fp32, tf32"):
        arrays.use_precision(name)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "low", "high"), [("fp32", 0, 1e-6), ("tf32", 5e-5, 1e-3)])
def test_all_products_have_the_precision(precision, low, high):
    """Of matrices and of stacks of matrices; sums per channel are always in full."""
    arrays.use_device("gpu")
    if arrays.use_precision(precision) != precision:
        pytest.skip("this GPU has no TF32")
    a, b = np.random.default_rng(0).standard_normal((2, 3, 256, 256)).astype("f4")
    there = arrays.to_device(a), arrays.to_device(b)
    try:
        errors = [
            np.std(arrays.to_numpy(x @ y) - p @ q) / np.std(p @ q)
            for x, y, p, q in (
                (there[0][0], there[1][0], a[0].astype("f8"), b[0].astype("f8")),
                (*there, a.astype("f8"), b.astype("f8")),
            )
        ]
        sums = arrays.to_numpy(sum_per_channel(there[0]))
    finally:
        arrays.use_precision("fp32")
    assert low <= min(errors) <= max(errors) <= high
    np.testing.assert_allclose(sums, a.sum((0, 1), "f8"), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "g", "i8"])
@pytest.mark.parametrize("shape", [(0, 3), (4, 3)])
def test_zero_where(dtype, shape):
    rng = np.random.default_rng(0)
    values = np.asarray(rng.integers(-5, 5, shape)).astype(dtype).T
    if values.size and np.dtype(dtype).kind == "f":
        values.flat[0] = np.nan
    for mask in (np.asarray(rng.random(values.shape) < 0.5), np.isnan(values), ~np.isnan(values)):
        found = arrays.zero_where(mask, values)
        np.testing.assert_array_equal(found, np.where(mask, 0, values))
        assert (found.dtype, found.shape) == (values.dtype, values.shape)


def test_arrays_on_the_host_stay_where_they_are():
    array = np.arange(3)
    assert arrays.to_device(array) is array
    assert arrays.to_numpy(array) is array
    assert arrays.array_module(array) is np
    arrays.synchronize()


def test_on_the_cpu_arrays_are_kept_as_they_are():
    array = np.arange(3)
    assert arrays.keep_on_device(array) is array


@pytest.mark.gpu
def test_on_a_gpu_arrays_are_kept_where_they_fit():
    arrays.use_device("gpu")
    small = np.ones(1000, np.float32)
    kept = arrays.keep_on_device(small)
    assert arrays.array_module(kept) is arrays.xp()
    np.testing.assert_array_equal(arrays.to_numpy(kept), small)
    huge = np.broadcast_to(np.float32(0), (2**44,))  # 64 TiB, of which one value is stored
    assert arrays.keep_on_device(huge) is huge
