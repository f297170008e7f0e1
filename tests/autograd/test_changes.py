"""A pullback that captured what was changed in place since says so; any other works."""

import numpy as np
import pytest

from tinybar import Tensor, nn
from tinybar import autograd as ag
from tinybar.autograd.changes import clock, holds_changed, note_change


def stepped(w) -> None:
    w.grad = np.ones(w.shape)
    nn.Adam([w], lr=0.5).step()
    w.grad = None


def overwritten(w) -> None:
    w.overwrite(0, 5.0)


def loaded(w) -> None:
    module = nn.Module()
    module.weight = w
    module.load_state_dict({"weight": np.full(w.shape, 5.0)})


CHANGES = [stepped, overwritten, loaded]
USES = [
    lambda w: w * w,
    lambda w: Tensor(np.ones(1), requires_grad=True) * w.detach(),
    lambda w: Tensor(np.ones(1), requires_grad=True) / w[:],
    lambda w: ag.log(w),
    lambda w: Tensor(np.ones((1, 2, 2, 1)), requires_grad=True)
    * ag.conv2d(np.ones((1, 2, 2, 1)), ag.reshape(w, (1, 1, 1, 1))),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("use", USES)
def test_what_was_captured_and_changed_is_told(use, change):
    w = nn.Parameter(np.array([2.0]))
    y = ag.sum(use(w))
    change(w)
    with pytest.raises(RuntimeError, match=r"gradient of '\w+' needs was changed in place since"):
        y.backward()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("use", "slope"), [(lambda w: w * 3.0, 3), (ag.exp, np.exp(2))])
def test_what_was_not_captured_may_change(use, slope, change):
    w = nn.Parameter(np.array([2.0]))
    y = ag.sum(use(w))
    change(w)
    y.backward()
    np.testing.assert_allclose(w.grad, slope)


def test_the_next_computation_is_right():
    w = nn.Parameter(np.array([2.0]))
    stepped(w)
    ag.sum(w * w).backward()
    assert w.grad == 2 * w.data


def test_two_losses_one_step_between():
    """The report: the second gradient was that at the new w."""
    w = nn.Parameter(np.array([2.0]))
    optimizer = nn.Adam([w], lr=1.0)
    a, b = ag.sum(w * 3.0), ag.sum(w * w)
    a.backward()
    optimizer.step()
    optimizer.zero_grad()
    with pytest.raises(RuntimeError, match="'multiply'"):
        b.backward()


def test_every_place_that_a_function_refers_to_is_searched():
    array, other = np.ones(3), np.zeros(3)
    here = {"deep": [(array[1:],)]}
    pullbacks = {
        "a cell": lambda gy: gy * here["deep"],
        "a default": lambda gy, held=here: gy * held,
        "a default by name": lambda gy, *, held=here: gy * held,
        "a method": Tensor(array).backward,
    }
    before = next(clock)
    note_change(other)
    assert not any(holds_changed(pullback, before) for pullback in pullbacks.values())
    note_change(array)
    missed = [name for name, pullback in pullbacks.items() if not holds_changed(pullback, before)]
    assert missed == []
    assert not any(holds_changed(pullback, next(clock)) for pullback in pullbacks.values())
