"""k-means: clusters of small squared distances to their means, by Lloyd's algorithm."""

from __future__ import annotations

import numpy as np

from ..runtime.random import stream

STARTS, STEPS = 20, 100  # the best of so many starts, each of at most so many steps


def k_means(points: np.ndarray, n: int) -> np.ndarray:
    """(C,): the cluster of each of the points (C, features), 0 to n - 1 as they first appear.

    None is empty. The best of several starts, drawn from the stream "clusters".
    """
    points = np.asarray(
        np.linalg.qr(points.T, mode="r")
    ).T  # turned: the same distances in C coordinates
    found = [lloyd(points, first_centres(points, n)) for _ in range(STARTS)]
    labels = min(found, key=lambda labels: scatter(points, labels, n))
    _, firsts = np.unique(labels, return_index=True)
    return np.argsort(np.argsort(firsts))[labels]


def first_centres(points: np.ndarray, n: int) -> np.ndarray:
    """n of the points, each drawn as the square of its distance to those before it [k-means++].

    Arthur & Vassilvitskii 2007. Where all others are equal to a centre, any may be drawn.
    """
    rng, nearest = stream("clusters"), np.ones(len(points))
    chosen: list[int] = []
    for _ in range(n):
        weight = nearest if nearest.any() else ~np.isin(np.arange(len(points)), chosen)
        chosen.append(int(rng.choice(len(points), p=weight / weight.sum())))
        distance = np.square(points - points[chosen[-1]]).sum(axis=1)
        nearest = distance if len(chosen) == 1 else np.minimum(nearest, distance)
    return points[chosen]


def lloyd(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The cluster of each point: assigned to the nearest centre, which moves to their mean [Lloyd].

    A cluster without points gets the one farthest from its centre, of a cluster with others.
    """
    n, labels = len(centres), np.full(len(points), -1)
    for _ in range(STEPS):
        square = np.square(centres).sum(axis=1) - 2 * points @ centres.T  # but for |point|^2
        now = square.argmin(axis=1)
        for k in np.setdiff1d(np.arange(n), now):
            distance = np.square(points - centres[now]).sum(axis=1)
            now[np.where(np.bincount(now, minlength=n)[now] > 1, distance, -1).argmax()] = k
        if np.array_equal(now, labels):
            break
        labels, centres = now, means(points, now, n)
    return labels


def means(points: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """(n, features): the mean of each cluster, which is the centre of least squared distances."""
    member = np.eye(n)[labels]
    return member.T @ points / member.sum(axis=0)[:, None]


def scatter(points: np.ndarray, labels: np.ndarray, n: int) -> float:
    """The sum of squared distances of the points to the means of their clusters."""
    return float(np.square(points - means(points, labels, n)[labels]).sum())
