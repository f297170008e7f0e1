"""The methods in halving rounds: random, magnitude, vq, id (Section 5.1, Supp. 3.2)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .. import nn, pruning
from ..nn import HardConcrete, ResidualNetwork
from ..pruning import clusters, narrowing
from ..pruning.methods import id as id_  # the method, not the built-in function
from ..pruning.methods import magnitude, random, vq
from .checks import assign, closed_form, host, randomise, relative, tensor, unless
from .counts import OPEN, SHUT

VOLUME = pruning.COSTS["volume"]


def families(rng: np.random.Generator, gate: Any = None) -> list[ResidualNetwork]:
    """A small network of every kind of block, its numbers random."""
    bottlenecks = [((2, 2, 8), 2, 1), ((4, 4, 16), 1, 2)]
    made: tuple[ResidualNetwork, ...] = (
        nn.wide_resnet(16, 1, 4, (6, 5, 2), gate),
        nn.build("resnet-14", 4, (6, 5, 2), gate),
        nn.ResNet("bottlenecks", bottlenecks, True, 4, (8, 8, 3), gate),
    )
    return [randomise(model, rng) for model in made]


def logits(model: ResidualNetwork, x: Any) -> np.ndarray:
    """In evaluation mode."""
    return host(model.eval()(tensor(x)))


def images(model: ResidualNetwork, rng: np.random.Generator) -> np.ndarray:
    """Two of them."""
    return rng.standard_normal((2, *model.image_shape))


# --- widths ---------------------------------------------------------------------------------------


@closed_form("methods", "uniform widths: WRN-28-12 at 16x, V and FLOPs", "Supp. 6.1", 0.0)
def uniform_widths(rng):
    """Widths of 1, 12, 24 and 48: V_F / 16, and the 255.8th part of the FLOPs."""
    volume, flops, before = 32**2, 2 * 9 * 3 * 1 * 32**2, 1
    for channels, area in ((12, 32**2), (24, 16**2), (48, 8**2)):
        volume += 9 * channels * area
        flops += 2 * area * channels * (before + 9 * before + 7 * 9 * channels)
        before = channels
    small = narrowing.uniform(nn.build("wrn-28-12", 10), VOLUME, 3_112_960 / 16)
    by_hand = (16 * volume, round(15_087_796_224 / flops, 1)) == (3_112_960, 255.8)
    found = pruning.volume(small) - volume, pruning.flops(small) - flops
    return unless(by_hand, float(max(map(abs, found))))


@closed_form("methods", "a narrowed network is the compact one of its channels", "Sec. 5.1", 1e-12)
def selected_channels(rng):
    """Gates closed by hand, alike in all writers of a signal, and compacted; three families."""
    errors = []
    for gated, plain in zip(families(rng, HardConcrete), families(rng), strict=True):
        state = gated.state_dict()
        plain.load_state_dict({name: state[name] for name in plain.named_arrays()})
        small = narrowing.uniform(plain, VOLUME, VOLUME.full(plain) / 3)
        channels = {c: rng.permutation(c) for c in {s.conv.c_out for s in pruning.sites(plain)}}
        for site, to in zip(pruning.sites(gated), pruning.sites(small), strict=True):
            is_kept = channels[site.conv.c_out] < to.conv.c_out
            assign(site.gate.log_alpha, np.where(is_kept, OPEN, SHUT))

        def choose(filters, n, channels=channels):
            count = filters.shape[1]
            return narrowing.kept(np.flatnonzero(channels[count] < n), count)

        x = images(gated, rng)
        small = narrowing.narrow(plain, small, choose)
        errors.append(relative(logits(small, x), logits(pruning.compact(gated), x)))
    return max(errors)


@closed_form("methods", "with all channels kept: the same function", "Section 5.1", 1e-12)
def all_channels(rng):
    """All four methods, three families: as many channels, clusters or pivots as there are."""
    errors = []
    for model in families(rng):
        x = images(model, rng)
        for choose in (random.drawn, magnitude.largest, vq.clustered, id_.interpolated):
            same = narrowing.uniform(model, VOLUME, VOLUME.full(model))
            same = narrowing.narrow(model, same, choose)
            errors.append(relative(logits(same, x), logits(model, x)))
    return max(errors)


# --- which channels -------------------------------------------------------------------------------


@closed_form("methods", "random: each channel is as likely (std. errors)", "Section 5.1", 5.0)
def random_channels(rng):
    """How often each of 7 channels is among 3 different ones, in 2,000 draws: 3/7 of them."""
    filters, draws = rng.standard_normal((4, 7)), 2000
    changes = [random.drawn(filters, 3) for _ in range(draws)]
    frequency = np.mean([change.left.sum(axis=1) for change in changes], axis=0)
    error = np.abs(frequency - 3 / 7).max() / np.sqrt(3 / 7 * 4 / 7 / draws)
    are_three = all(np.array_equal(change.right @ change.left, np.eye(3)) for change in changes)
    return unless(are_three, float(error))


@closed_form("methods", "magnitude: the largest sums of |w| stay", "Section 5.1", 1e-12)
def largest_filters(rng):
    """A WRN-10-1 at 2x, signal by signal: the ranking, and every weight that is left."""
    model = randomise(nn.wide_resnet(10, 1, 4, (6, 6, 1)), rng)
    small = narrowing.uniform(model, VOLUME, VOLUME.full(model) / 2)
    small = narrowing.narrow(model, small, magnitude.largest)

    def strongest(*convs):
        sums = sum(np.abs(host(conv.weight)).sum(axis=(0, 1, 2)) for conv in convs)
        return sorted(sorted(range(len(sums)), key=lambda c: -sums[c])[: len(sums) // 2])

    def left(conv, reads, writes):
        return host(conv.weight)[:, :, reads][:, :, :, writes]

    signal = strongest(model.stem, model.blocks[0].conv2)  # the first block has no shortcut
    errors = [relative(small.stem.weight, left(model.stem, [0], signal))]
    for of, to in zip(model.blocks, small.blocks, strict=True):
        inner, before = strongest(of.conv1), signal
        if of.shortcut is not None:
            signal = strongest(of.shortcut, of.conv2)
            errors.append(relative(to.shortcut.weight, left(of.shortcut, before, signal)))
        errors.append(relative(to.conv1.weight, left(of.conv1, before, inner)))
        errors.append(relative(to.conv2.weight, left(of.conv2, inner, signal)))
        errors.append(relative(to.bn1.beta, host(of.bn1.beta)[before]))
        errors.append(relative(to.bn2.gamma, host(of.bn2.gamma)[inner]))
    errors.append(relative(small.linear.weight, host(model.linear.weight)[signal]))
    return max(errors)


# --- vector quantisation --------------------------------------------------------------------------


@closed_form("methods", "VQ: no clusters have a smaller error", "Section 5.1", 1e-12)
def least_clusters(rng):
    """Seven filters around three places: all 3^7 ways to assign them, errors summed in pairs.

    The squared distances to a mean are those of all pairs over the size of the cluster.
    """
    places = 10 * np.eye(3)[[0, 1, 2, *rng.integers(3, size=4)]]
    points = rng.permutation(places + rng.standard_normal((7, 3)))
    pairs = np.square(points[:, None] - points).sum(axis=2)

    def error(labels):
        groups = [np.flatnonzero(np.equal(labels, k)) for k in range(3)]
        return sum(pairs[np.ix_(own, own)].sum() / (2 * len(own)) for own in groups if own.size)

    least = min(map(error, itertools.product(range(3), repeat=7)))
    return relative(error(clusters.k_means(points, 3)), least)


@closed_form("methods", "VQ: a filter's nearest centre is its own", "Section 5.1", 0.0)
def nearest_centres(rng):
    """Of 200 filters in 9 clusters: how many would rather be elsewhere (Lloyd's fixed point)."""
    filters = rng.standard_normal((5, 200))
    change = vq.clustered(filters, 9)
    centres = filters @ change.left
    own = change.right.argmax(axis=0)
    distances = [[np.square(filters[:, i] - m).sum() for m in centres.T] for i in range(200)]
    is_least = [row[k] <= min(row) * (1 + 1e-12) for row, k in zip(distances, own, strict=True)]
    return float(200 - sum(is_least))


@closed_form("methods", "VQ: centres are means, what reads a member is summed", "Sec. 5.1", 1e-12)
def centres_are_means(rng):
    """Cluster by cluster; the mean has the least squared distance, by its derivative."""
    filters, reads = rng.standard_normal((5, 12)), rng.standard_normal((12, 3))
    change, errors = vq.clustered(filters, 4), []
    own = change.right.argmax(axis=0)
    for k in range(4):
        members = [i for i in range(12) if own[i] == k]
        slope = sum(2 * ((filters @ change.left)[:, k] - filters[:, i]) for i in members)
        errors.append(float(np.abs(slope).max()))
        errors.append(relative((change.right @ reads)[k], sum(reads[i] for i in members)))
    return unless(len(set(own)) == 4, max(errors))


# --- interpolative decomposition ------------------------------------------------------------------


def dependent_filters(
    rng: np.random.Generator, features: int, channels: int, rank: int
) -> np.ndarray:
    """(features, channels), of that rank."""
    return rng.standard_normal((features, rank)) @ rng.standard_normal((rank, channels))


@closed_form("methods", "ID: the pivots are the farthest from the span", "Section 5.1", 0.0)
def pivots(rng):
    """Twins of falling size, one by one: the largest that least squares on those before leaves."""
    twins = np.repeat(rng.standard_normal((20, 5)) / 2.0 ** np.arange(5), 2, axis=1)
    filters = rng.permutation(twins + 0.01 * rng.standard_normal(twins.shape), axis=1)
    chosen: list[int] = []
    for _ in range(5):
        basis = filters[:, chosen]
        rest = filters - basis @ np.linalg.lstsq(basis, filters)[0]
        chosen.append(int(np.square(rest).sum(axis=0).argmax()))
    found = id_.interpolated(filters, 5).left
    return unless(np.array_equal(found, np.eye(10)[:, sorted(chosen)]))


@closed_form("methods", "ID: T is least squares on the filters that stay", "Section 5.1", 1e-10)
def interpolation(rng):
    """W[:, J] T against the projection by SVD; T is the identity on J, also at a rank below n."""
    errors = []
    for rank, n in ((8, 5), (8, 8), (4, 6)):
        filters = dependent_filters(rng, 12, 8, rank)
        left, right = id_.interpolated(filters, n)
        kept = filters @ left
        by_svd = kept @ (np.linalg.pinv(kept, rcond=1e-10) @ filters)
        errors.append(relative(kept @ right, by_svd))
        errors.append(relative(right @ left, np.eye(n)))
    return max(errors)


@closed_form("methods", "ID: exact behind a linear layer of its rank", "Section 5.1", 1e-10)
def linear_layers(rng):
    """x W V = x W[:, J] (T V) for filters of rank 4 of which 5 stay, as W V = U (V W_next)."""
    filters, reads = dependent_filters(rng, 12, 9, 4), rng.standard_normal((9, 3))
    left, right = id_.interpolated(filters, 5)
    x = rng.standard_normal((6, 12))
    return relative(x @ (filters @ left) @ (right @ reads), x @ filters @ reads)
