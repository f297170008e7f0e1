"""How far a run is, how fast it goes, and the time that is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Place(NamedTuple):
    """How far a run is, and how long it took.

    epoch: 1, 2, ... of the stage. before: epochs of the stages before it. What was trained of this
    stage by this process: `images` in so many `steps`, from `start` (epochs) on, between `since`
    and `now` (seconds). The first step does not count: it compiles kernels.
    """

    stage: str
    epoch: int
    epochs: int
    iteration: int
    iterations: int
    before: int
    images: int
    steps: int
    start: float
    since: float
    now: float

    @property
    def done(self) -> float:
        """Epochs of the stage."""
        return self.epoch - 1 + self.iteration / self.iterations

    def speed(self) -> float | None:
        """Images per second, evaluation included; None while it is not known."""
        seconds = self.now - self.since
        return self.images / seconds if self.images and seconds else None

    def left(self, epochs: int) -> float | None:
        """Seconds left of a run of so many epochs, if they take as long as those of this stage."""
        trained = self.done - self.start
        if not trained:
            return None
        return max(0.0, epochs - self.before - self.done) * (self.now - self.since) / trained


class Course:
    """Follows a run. place: where it is; None between two stages. before: epochs of those ended."""

    def __init__(self, clock: Callable[[], float]):
        self.clock = clock
        self.place: Place | None = None
        self.before: int = 0

    def move(
        self, stage: str, epoch: int, epochs: int, iteration: int, iterations: int, images: int
    ) -> Place:
        """So many iterations of the epoch are done, the last on `images`, as for `Display.step`."""
        now, last = self.clock(), self.place
        if last is None or last.stage != stage:
            self.before += last.epochs if last else 0
            start, counted = epoch - 1 + iteration / iterations, -int(images > 0)
            last = Place(stage, epoch, epochs, 0, 1, self.before, -images, counted, start, now, now)
        place = last._replace(
            epoch=epoch, iteration=iteration, iterations=iterations, images=last.images + images,
            steps=last.steps + (images > 0), now=now,
        )  # fmt: skip
        if images and place.steps == 1:
            place = place._replace(images=0, start=place.done, since=now)
        self.place = place
        return place

    def end(self, epochs: int) -> None:
        """A stage of so many epochs is complete."""
        self.before, self.place = self.before + epochs, None
