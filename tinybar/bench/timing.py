"""Medians and quartiles of times, ratios of two engines, and the rounds they are measured in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

Key = TypeVar("Key")

TURN = 0.25  # seconds at most that an engine computes before the next one has its turn
LEAST_ROUNDS = 5
REST = 0.1  # seconds; idle threads of OpenBLAS spin for 25 ms before they sleep, onnxruntime's 45
LONG = 0.5  # seconds; a step this long does not feel what happened before it


@dataclass(frozen=True)
class Summary:
    """Median, lower and upper quartile, fastest, and number of the times; in their unit."""

    median: float
    lower: float
    upper: float
    fastest: float
    count: int


def summarise(times: Sequence[float]) -> Summary:
    """The Summary of some times. ValueError unless there is one, and all are finite and > 0."""
    if not times or not all(math.isfinite(t) and t > 0 for t in times):
        raise ValueError(f"times are positive numbers, at least one; got {list(times)[:5]}")
    ordered = sorted(times)
    middle = median(ordered)
    lower = upper = middle
    if len(ordered) > 1:
        lower, _, upper = quantiles(ordered, n=4, method="inclusive")
    # Interpolation rounds: equal times may come out an ulp apart.
    return Summary(middle, min(lower, middle), max(upper, middle), ordered[0], len(ordered))


def speed_ratio(ours: list[list[float]], theirs: list[list[float]]) -> tuple[float, float, float]:
    """(ratio, lower, upper) of speeds, ours : theirs; above 1, ours is faster.

    ours, theirs: the times of every round. A round compares what the machine did at nearly one
    moment, so each has its own ratio, of its medians; these are the median and quartiles of them.
    """
    summary = summarise([median(b) / median(a) for a, b in zip(ours, theirs, strict=True)])
    return summary.median, summary.lower, summary.upper


@dataclass
class Turn:
    """One contender's part of a round.

    run: (steps, unmeasured) -> the seconds of `steps` steps, after `unmeasured` ones before them.
    step: about how many seconds a step takes. process: by which it is run.
    """

    run: Callable[[int, int], list[float]]
    step: float
    process: str


def interleave(turns: Mapping[Key, Turn], seconds: float) -> dict[Key, list[list[float]]]:
    """The times of every round, by name. All take turns, for `seconds` and at least five rounds.

    A turn is as many steps as fit into a quarter of a second, or into its part of five rounds if
    that is less. It begins when the threads of the process before are at rest. Unless a step is
    long, one goes unmeasured before: caches, clocks and sleeping threads are as others left them.
    """
    rounds: dict[Key, list[list[float]]] = {name: [] for name in turns}
    length = min(TURN, seconds / (LEAST_ROUNDS * len(turns)))
    end, done, last = time.perf_counter() + seconds, 0, None
    while done < LEAST_ROUNDS or time.perf_counter() < end:
        for name, turn in turns.items():
            if turn.process != last:
                time.sleep(REST)
            steps, last = max(1, round(length / turn.step)), turn.process
            rounds[name].append(turn.run(steps, int(turn.step < LONG)))
        done += 1
    return rounds
