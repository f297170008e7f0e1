"""Which channels of a residual signal exist: extremes, and where the option has a say."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import images, randomise

import tinybar as tb
from tinybar import nn
from tinybar.nn.networks.live import either, hard, soft
from tinybar.runtime import random

SMALL, ABOVE = np.float32(1e-30), np.float32(1 + 1e-6)
Z = st.one_of(st.just(0.0), st.just(1.0), st.floats(float(SMALL), 2, width=32))


@pytest.mark.parametrize("form", nn.LIVE.values())
@given(z=st.lists(Z, min_size=1, max_size=5))
def test_live_is_within_0_and_1_and_0_where_all_are_closed(form, z):
    """In float32, where 1 - (1 - z) would be 0 for an open gate."""
    tensors = [tb.Tensor(np.array([each], np.float32)) for each in z]
    live = reduce(either, map(form, tensors))
    assert live.dtype == np.float32
    assert 0 <= live.data[0] <= ABOVE
    assert (live.data[0] > 0) == any(each > 0 for each in z)


@given(z=st.lists(Z, min_size=1, max_size=5))
def test_both_forms_agree_on_gates_that_are_shut_or_quite_open(z):
    tensors = [tb.Tensor(np.array([float(each >= 1)])) for each in z]
    assert reduce(either, map(soft, tensors)).data == reduce(either, map(hard, tensors)).data


def logits(model, live: str):
    """Of a network whose random weights, gates and noise do not depend on `live`."""
    random.seed(3)
    made = randomise(nn.build(model, 4, (8, 8, 1), nn.HardConcrete, live), np.random.default_rng(0))
    return made(tb.Tensor(images(made, np.random.default_rng(1)))).data


def test_the_option_is_for_networks_whose_blocks_begin_with_the_activation():
    assert np.array_equal(logits("resnet-8", "soft"), logits("resnet-8", "hard"))
    assert not np.allclose(logits("wrn-10-1", "soft"), logits("wrn-10-1", "hard"))


def test_another_form_is_unknown():
    with pytest.raises(ValueError, match="live is one of hard, soft, not 'firm'"):
        nn.wide_resnet(10, 1, 4, live="firm")
