"""The gradient audit: complete, passing for any seed, and able to find a planted error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybar import Tensor
from tinybar.audit.gradients import RTOL, audit_primitives, problems_of
from tinybar.audit.problems import GEOMETRIES
from tinybar.autograd import PRIMITIVES, conv, primitive
from tinybar.runtime import arrays

from .planting import change_gradients

NAMES = sorted(PRIMITIVES)


def test_every_algorithm_has_geometries():
    assert set(GEOMETRIES) == set(conv.ALGORITHMS)


def test_all_primitives_pass():
    rows = audit_primitives()
    assert [row.name for row in rows] == NAMES
    for row in rows:
        assert row.passed, row
        assert 0 <= row.error <= row.bound == RTOL
        assert row.source == PRIMITIVES[row.name].__doc__.splitlines()[0]
        assert row.group == "primitive"
        assert int(row.detail.removesuffix(" problems")) > 0


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_gradients_at_any_point(name, seed):
    (row,) = audit_primitives(seed, names=[name])
    assert row.passed, row.detail


def test_a_row_depends_on_its_seed_and_name_alone():
    (alone,) = audit_primitives(5, names=["conv2d"])
    assert alone in audit_primitives(5)
    assert alone != audit_primitives(6, names=["conv2d"])[0]


def test_a_primitive_without_problems_fails():
    @primitive(inputs=1)
    def newcomer(x):
        """y = x."""
        return x, lambda gy: gy

    try:
        (row,) = audit_primitives(names=["newcomer"])
        assert not row.passed
        assert "no problems" in row.detail
        assert row in audit_primitives()
    finally:
        del PRIMITIVES["newcomer"]


def test_problems_are_registered_once():
    with pytest.raises(ValueError, match="'exp' has its problems already"):
        PRIMITIVES["exp"].problems(lambda rng: iter(()))


def test_an_empty_list_of_problems_fails(monkeypatch):
    monkeypatch.setattr(PRIMITIVES["exp"], "draw_problems", lambda rng: iter(()))
    assert not audit_primitives(names=["exp"])[0].passed


def test_an_error_in_a_primitive_is_a_row_not_a_crash(monkeypatch):
    def broken(x):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(PRIMITIVES["exp"], "function", broken)
    (row,) = audit_primitives(names=["exp"])
    assert not row.passed
    assert row.error == np.inf
    assert "ZeroDivisionError" in row.detail


# --- mutations: every gradient of every primitive, made wrong by 1 % -------------------------


def everywhere(gx):
    return gx * 1.01


def in_one_entry(gx):
    """The largest entry 1 % off."""
    wrong = np.array(gx)
    if wrong.size:
        wrong.flat[abs(wrong).argmax()] *= 1.01
    return wrong


def forgotten(gx):
    return gx * 0


def differentiable_inputs(name):
    """The positions that get a gradient in some problem."""
    seen = set()

    def watch(i, gx):
        if np.any(gx):
            seen.add(i)
        return gx

    with pytest.MonkeyPatch.context() as patch:
        change_gradients(name, watch)(patch)
        for _, fn, inputs in problems_of(name):
            y = fn(*[Tensor(a, a.dtype.kind == "f") for a in inputs])
            y.backward(np.ones(y.shape))
    return sorted(seen)


MUTANTS = [(name, i) for name in NAMES for i in differentiable_inputs(name)]


def test_mutants_cover_every_input():
    for name in NAMES:
        count = len([1 for mutant, _ in MUTANTS if mutant == name])
        inputs = PRIMITIVES[name].inputs
        assert count == inputs if inputs is not None else count >= 2


@pytest.mark.parametrize("mutate", [everywhere, in_one_entry, forgotten], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("name", "i"), MUTANTS)
def test_a_wrong_gradient_is_found(monkeypatch, name, i, mutate):
    change_gradients(name, lambda k, gx: mutate(gx) if k == i else gx)(monkeypatch)
    (row,) = audit_primitives(names=[name])
    assert not row.passed
    assert row.error > RTOL
    assert "analytic" in row.detail
    assert "numeric" in row.detail


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_all_primitives_pass_on_the_gpu(name):
    arrays.use_device("gpu")
    (row,) = audit_primitives(names=[name])
    assert row.passed, row.detail
