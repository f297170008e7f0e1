"""Named random streams."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.runtime import random


def test_streams_are_independent_of_each_other():
    random.seed(7)
    alone = random.stream("gates").random(5)
    random.seed(7)
    random.stream("data").random(1000)
    np.testing.assert_array_equal(random.stream("gates").random(5), alone)
    assert not np.array_equal(random.stream("data").random(5), alone)


def test_seeds_differ_and_repeat():
    draws = []
    for seed in (0, 1, 0):
        random.seed(seed)
        draws.append(random.stream("init").random(4))
    np.testing.assert_array_equal(draws[0], draws[2])
    assert not np.array_equal(draws[0], draws[1])


def test_streams_do_not_depend_on_the_process():
    """Unlike hash("init"), its CRC is the same everywhere: a seed names one run, on any machine."""
    random.seed(3)
    expected = np.random.Generator(np.random.PCG64([3, 0xC674E474])).random()
    assert random.stream("init").random() == expected


@given(seed=st.integers(0, 2**63), before=st.integers(0, 20), after=st.integers(1, 20))
def test_a_restored_state_continues_exactly(seed, before, after):
    random.seed(seed)
    random.stream("a").random(before)
    random.stream("b").standard_normal(before)
    state = json.loads(json.dumps(random.streams_state()))  # as a checkpoint keeps it
    expected = [random.stream(name).random(after) for name in "abc"]
    random.seed(0)
    random.stream("c").random(3)
    random.restore_streams(state)
    for name, values in zip("abc", expected, strict=True):
        np.testing.assert_array_equal(random.stream(name).random(after), values)


def damaged(*keys, value):
    """A state of the stream "a", with `value` under these keys."""
    random.stream("a").random()
    state = random.streams_state()
    entry = state
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    return state


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        *((("seed",), wrong) for wrong in (-1, "0", 1.0, None)),
        *((("streams",), wrong) for wrong in ([], None, {"a": None}, {"a": {}}, {"a": [1]})),
        *((("streams", "a", "bit_generator"), wrong) for wrong in ("MT19937", None)),
        *((("streams", "a", "state"), wrong) for wrong in ([1, 2], {"state": 1})),
        *((("streams", "a", "state", "state"), wrong) for wrong in (-1, 2**128, 1.5, "1", None)),
        (("streams", "a", "state", "inc"), 2),
        (("streams", "a", "has_uint32"), 0.5),
        (("streams", "a", "uinteger"), 2**32),
        (("streams", "a", "more"), 1),
    ],
)
def test_what_is_no_state_changes_nothing(keys, value):
    state = damaged(*keys, value=value)
    random.seed(5)
    expected = random.stream("a").random(3)
    random.seed(5)
    random.stream("a").random()
    with pytest.raises(ValueError, match="not the state of random streams"):
        random.restore_streams(state)
    np.testing.assert_array_equal(random.stream("a").random(2), expected[1:])


@pytest.mark.parametrize("wrong", [None, [], "state", {}])
def test_no_state_at_all(wrong):
    with pytest.raises(ValueError, match="not the state of random streams"):
        random.restore_streams(wrong)


@pytest.mark.parametrize("wrong", [-1, 1.0, "1", None, True])
def test_bad_seeds_are_refused(wrong):
    with pytest.raises(ValueError, match="integer >= 0"):
        random.seed(wrong)
