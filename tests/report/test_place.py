"""How far a run is, and the time that is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.report.place import Course


class Clock:
    """Time goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    iterations=st.integers(2, 9), epochs=st.integers(2, 4), seconds=st.floats(0.01, 100),
    first=st.floats(0, 1000), after=st.integers(0, 5),
)  # fmt: skip
def test_steps_that_take_as_long_leave_what_they_will_take(
    iterations, epochs, seconds, first, after
):
    """Whatever the first one took; `after`: epochs of the stages that follow."""
    clock = Clock()
    course, total = Course(clock), epochs * iterations
    course.move("teacher", 1, epochs, 0, iterations, 0)
    for step in range(1, total):
        epoch, iteration = divmod(step - 1, iterations)
        clock.now += seconds if step > 1 else first
        place = course.move("teacher", epoch + 1, epochs, iteration + 1, iterations, 64)
        left = place.left(epochs + after)
        if step == 1:
            assert (place.speed(), left) == (None, None)
        else:
            assert place.speed() == pytest.approx(64 / seconds)
            ahead = total - step + after * iterations
            assert left == pytest.approx(ahead * seconds, rel=1e-6)


def test_stages_are_added_up():
    """One that was trained here, one that an earlier process had completed, and a third."""
    clock = Clock()
    course = Course(clock)
    course.move("teacher", 1, 5, 0, 2, 0)
    course.end(5)
    assert (course.place, course.before) == (None, 5)
    course.move("prune", 3, 3, 1, 1, 0)
    for iteration in (0, 1, 2):
        place = course.move("fine-tune", 1, 2, iteration, 2, 64 * (iteration > 0))
        clock.now += 10
    assert (place.before, course.before) == (8, 8)
    assert place.left(10) == pytest.approx(20)
