"""The geometry of sliding windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.autograd.windows import Geometry, crop_image, pad_image, shifted, windows

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
margins = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(kernel=pairs, stride=pairs, padding=margins, size=st.tuples(*[st.integers(1, 9)] * 2))
def test_the_last_window_fits_and_one_more_would_not(kernel, stride, padding, size):
    geometry = Geometry.of(kernel, stride, padding)
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    if any(k > n for k, n in zip(kernel, padded, strict=True)):
        with pytest.raises(ValueError, match=f"{kernel[0]}x{kernel[1]} kernel does not fit"):
            geometry.output_size(*size)
        return
    for out, s, k, n in zip(geometry.output_size(*size), stride, kernel, padded, strict=True):
        assert (out - 1) * s + k <= n < out * s + k


@pytest.mark.parametrize("value", [2, np.int64(2), (2, 2), [2, 2]])
def test_one_number_is_a_square(value):
    assert Geometry.of(value, value, value) == ((2, 2), (2, 2), (2, 2))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(0, 1, 0), (1, 0, 0), (1, 1, -1), ((1, 0), 1, 0)]
)
def test_impossible_sizes(kernel, stride, padding):
    with pytest.raises(ValueError, match="must be >= 1"):
        Geometry.of(kernel, stride, padding)


@given(kernel=pairs, stride=pairs)
def test_windows_are_what_the_offsets_read(kernel, stride):
    x = np.random.default_rng(0).standard_normal((2, 7, 6, 3))
    for image in (x, np.asfortranarray(x), x[:, ::-1], x.transpose(0, 2, 1, 3)):
        geometry = Geometry.of(kernel, stride, 0)
        size = geometry.output_size(*image.shape[1:3])
        view = windows(image, geometry, size)
        assert np.shares_memory(view, image)
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                pixel = shifted(image, i, j, geometry.stride, size)
                np.testing.assert_array_equal(view[:, :, :, i, j], pixel)
        last = image[:, (size[0] - 1) * stride[0] :, (size[1] - 1) * stride[1] :]
        np.testing.assert_array_equal(view[:, -1, -1], last[:, : kernel[0], : kernel[1]])


@given(padding=margins, value=st.sampled_from([0, 1.5, -np.inf]))
def test_cropping_undoes_padding(padding, value):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 2)).astype(np.float32)
    padded = pad_image(x, padding, value)
    (ph, pw) = padding
    expected = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=value)
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(crop_image(padded, padding), x)
