"""The error of a convolution in TF32, rounded by hand. docs/gpu.md quotes it."""

import numpy as np
import pytest

from tinybar.autograd.conv import gather, winograd


def tf32(a: np.ndarray) -> np.ndarray:
    """Rounded to the nearest number of 10 bits of mantissa, as tensor cores read float32."""
    bits = np.ascontiguousarray(a).view(np.uint32)
    return ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)


def by_gathering(x, w, rounded):
    rows = gather.gather_rows.reference(x, (3, 3), (1, 1), (1, 1), x.shape[1:3])
    y = rounded(rows) @ rounded(w.reshape(-1, w.shape[3]))
    return y.reshape(*x.shape[:3], -1)


def by_winograd(x, w, rounded):
    """The transforms are kernels, in float32; only the 36 products are matrix products."""
    n, h, width = x.shape[:3]
    tiles = (h // 4, width // 4)
    u = winograd.weight_transform.reference(w, None)
    v = winograd.input_transform.reference(x, (1, 1), tiles)
    return winograd.output_transform.reference(rounded(v) @ rounded(u), n, tiles, (h, width))


def test_tf32_keeps_eleven_bits():
    ulp = 2.0**-10
    numbers = np.array([1, 1 + ulp, 1 + 0.49 * ulp, 1 + 0.51 * ulp, -3.5, 0], np.float32)
    np.testing.assert_array_equal(tf32(numbers), [1, 1 + ulp, 1, 1 + ulp, -3.5, 0])


@pytest.mark.parametrize("channels", [128, 256])
@pytest.mark.parametrize(
    ("convolve", "fp32", "in_tf32"), [(by_gathering, 3e-7, 3e-4), (by_winograd, 3e-6, 3e-3)]
)
def test_errors_of_a_convolution(convolve, fp32, in_tf32, channels):
    """Root mean squares, as shares of the output's: within a half of what the page says."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((1, 16, 16, channels)), 0).astype("f4")
    w = (rng.standard_normal((3, 3, channels, 32)) * np.sqrt(2 / (9 * channels))).astype("f4")
    exact = by_gathering(x.astype("f8"), w.astype("f8"), lambda a: a)
    share = lambda y: np.sqrt(np.mean((y - exact) ** 2) / np.mean(exact**2))  # noqa: E731
    assert share(convolve(x, w, lambda a: a)) == pytest.approx(fp32, rel=0.5)
    assert share(convolve(x, w, tf32)) == pytest.approx(in_tf32, rel=0.5)
