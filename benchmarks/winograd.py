"""Winograd's convolution is exact enough to train with: float32 errors, and training beside gather.

    pip install -e '.[fast]' && python benchmarks/winograd.py

Results: results/winograd.md and .json.
"""

from __future__ import annotations

from statistics import mean
from unittest.mock import patch

import click
import numpy as np
from common import kernels, mean_sd, origin, save, table

from tinybar import autograd as ag
from tinybar import data, nn
from tinybar.autograd import Tensor
from tinybar.autograd.conv import convolution
from tinybar.runtime import random

IMAGES, SEEDS, EPOCHS, BATCH, LR = 4, range(5), 20, 64, 1e-3
MODEL = "wrn-10-2"
COMPUTED = ("y", "gx", "gweight")

# (channels read, channels written, side of the image): the 3x3 convolutions of stride 1 in the
# paper's networks, ResNet-50 for images of 128x128, and in the smaller ones that we time.
LAYERS = {
    "WRN-28-12": [(3, 16, 32), (16, 192, 32), (192, 192, 32), (384, 384, 16), (768, 768, 8)],
    "WRN-16-4": [(16, 64, 32), (64, 64, 32), (128, 128, 16), (256, 256, 8)],
    "WRN-16-1": [(16, 16, 32), (32, 32, 16), (64, 64, 8)],
    "ResNet-50": [(64, 64, 32), (128, 128, 16), (256, 256, 8), (512, 512, 4)],
}


# --- errors --------------------------------------------------------------------------------------


def layers() -> list[tuple[int, int, int]]:
    """Every layer once."""
    return list(dict.fromkeys(layer for network in LAYERS.values() for layer in network))


def relative_errors(
    layer: tuple[int, int, int], algorithm: str, images: int
) -> dict[str, tuple[float, float]]:
    """For y, gx and gweight: (||e|| / ||exact||, max |e| / max |exact|), e = float32 - float64.

    Exact is the gather algorithm in float64. The images are relu(normal), the weight is Kaiming's,
    the gradient of the output is normal.
    """
    (c, k, side), rng = layer, np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((images, side, side, c)), 0).astype(np.float32)
    weight = (rng.standard_normal((3, 3, c, k)) * np.sqrt(2 / (9 * c))).astype(np.float32)
    gy = rng.standard_normal((images, side, side, k)).astype(np.float32)
    exact = _computed(*(a.astype(np.float64) for a in (x, weight, gy)), "gather")
    found = _computed(x, weight, gy, algorithm)
    return {
        name: _sizes(low - high, high)
        for name, low, high in zip(COMPUTED, found, exact, strict=True)
    }


def _computed(x, weight, gy, algorithm: str) -> tuple:
    y, pullback = ag.conv2d.function(x, weight, None, 1, 1, algorithm=algorithm)
    return y, *pullback(gy)[:2]


def _sizes(error: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    norm = float(np.linalg.norm(error) / np.linalg.norm(exact))
    return norm, float(np.abs(error).max() / np.abs(exact).max())


def errors() -> list[dict]:
    """A row for every layer: relative errors by algorithm."""
    rows = []
    for layer in layers():
        found = {name: relative_errors(layer, name, IMAGES) for name in ("gather", "winograd")}
        rows.append({"layer": layer} | found)
        print(layer, found["winograd"], flush=True)
    return rows


def error_table(rows: list[dict]) -> str:
    """A line for each layer, in Markdown."""
    norms = [(algorithm, name) for algorithm in ("gather", "winograd") for name in COMPUTED]
    lines = []
    for row in rows:
        c, k, side = row["layer"]
        networks = ", ".join(name for name, found in LAYERS.items() if (c, k, side) in found)
        cells = [f"{row[algorithm][name][0]:.1e}" for algorithm, name in norms]
        largest = max(entry for _, entry in row["winograd"].values())
        lines.append((f"{c} to {k}, {side}x{side}", networks, *cells, f"{largest:.1e}"))
    headings = [f"{name}, {algorithm}" for algorithm, name in norms]
    return table(("channels, image", "networks", *headings, "largest entry, winograd"), lines)


# --- training ------------------------------------------------------------------------------------


def curve(images: data.Dataset, seed: int) -> dict[str, list[float]]:
    """Mean loss and test accuracy of every epoch of training with the labels alone."""
    random.seed(seed)
    model = nn.build(MODEL, images.num_classes, images.image_shape)
    optimizer = nn.Adam(model.parameters(), LR, 5e-4)
    train, test = (images.normalise(part.images) for part in (images.train, images.test))
    stream, found = random.stream("data"), {"loss": [], "accuracy": []}
    for _ in range(EPOCHS):
        losses = []
        for x, y in data.batches(train, images.train.labels, BATCH, stream):
            loss = ag.cross_entropy(model.train()(Tensor(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.data))
        found["loss"].append(mean(losses))
        logits = nn.predict(model.eval(), Tensor(test))
        found["accuracy"].append(nn.accuracy(logits, images.test.labels))
    return found


def curves() -> dict[str, list[dict]]:
    """The curves of all seeds, with Winograd's algorithm where it is chosen, and without it."""
    images, found = data.load("digits"), {"winograd": [], "direct": []}
    for seed in SEEDS:
        found["winograd"].append(curve(images, seed))
        with patch.object(convolution, "choose_algorithm", direct_of(convolution.choose_algorithm)):
            found["direct"].append(curve(images, seed))
        print(f"seed {seed}", {arm: runs[-1]["accuracy"][-1] for arm, runs in found.items()})
    return found


def direct_of(choose):
    """The same choice of an algorithm, with gather in place of winograd."""

    def chosen(*shapes):
        algorithm = choose(*shapes)
        return "gather" if algorithm == "winograd" else algorithm

    return chosen


def used() -> dict[str, int]:
    """How often a forward pass of the network uses each algorithm."""
    counts: dict[str, int] = {}

    def count(*shapes):
        algorithm = choose(*shapes)
        counts[algorithm] = counts.get(algorithm, 0) + 1
        return algorithm

    choose = convolution.choose_algorithm
    with patch.object(convolution, "choose_algorithm", count):
        nn.build(MODEL, 10, (8, 8, 1))(Tensor(np.ones((2, 8, 8, 1), np.float32)))
    return counts


def curve_table(found: dict[str, list[dict]]) -> str:
    """A line for each of some epochs, in Markdown."""
    columns = [(key, arm) for key in ("loss", "accuracy") for arm in ("winograd", "direct")]
    lines = [
        (epoch + 1, *(mean_sd([run[key][epoch] for run in found[arm]]) for key, arm in columns))
        for epoch in (0, 1, 2, 4, 9, 14, 19)
    ]
    return table(("epoch", *(f"{key}, {arm}" for key, arm in columns)), lines)


def gap(found: dict[str, list[dict]], key: str) -> str:
    """The largest difference of the arms' means, with the s.d. of the seeds in that epoch."""
    one, other = (np.array([run[key] for run in found[arm]]) for arm in ("winograd", "direct"))
    gaps = np.abs(one.mean(axis=0) - other.mean(axis=0))
    epoch = int(gaps.argmax())
    spread = max(one[:, epoch].std(ddof=1), other[:, epoch].std(ddof=1))
    return f"{gaps[epoch]:.2g} (epoch {epoch + 1}; s.d. of the seeds there {spread:.2g})"


def page(rows: list[dict], found: dict[str, list[dict]]) -> str:
    """The results as a Markdown page, with how they were made."""
    last = [[run["accuracy"][-1] for run in found[arm]] for arm in ("winograd", "direct")]
    paired = [one - other for one, other in zip(*last, strict=True)]
    counts = ", ".join(f"{n} {name}" for name, n in used().items())
    return f"""# Winograd's convolution in float32

`python benchmarks/winograd.py`, {origin()},
{kernels()}.

## Errors

||e|| / ||exact|| of the output and of both gradients, where e is the float32 result minus the
float64 result, for {IMAGES} images. The last column is the largest entry of e divided by the
largest exact entry, for the worst of the three. Images are relu(normal), weights are Kaiming's. The
tests (`tests/autograd/conv/test_winograd.py`) require norms below 1e-5, with and without compiled
kernels.

{error_table(rows)}

F(4x4, 3x3) interpolates at 0, 1, -1, 2, -2 and infinity. Its transforms have entries of up to 8 and
differences of large terms, which amplifies rounding: about one digit more is lost than by the
direct algorithm, and more with the number of channels that are summed [Barabasz et al. 2020].

## Training

{MODEL} on the digits, cross-entropy, Adam at {LR:g}, batch size {BATCH}, seeds {SEEDS.start} to
{SEEDS.stop - 1} in both arms; a forward pass uses {counts}. In the arm `direct` gather replaces
winograd. Mean +- s.d. over the seeds; 360 test images.

{curve_table(found)}

Largest gap between the arms: loss {gap(found, "loss")}, test accuracy {gap(found, "accuracy")}.
Final accuracy, winograd less direct, seed by seed: {", ".join(f"{d:+.4f}" for d in paired)}.
"""


@click.command()
def main() -> None:
    rows, found = errors(), curves()
    save("winograd", page(rows, found), {"errors": rows, "curves": found})


if __name__ == "__main__":
    main()
