"""A data set and a run so small that a test can afford it."""

import json

import numpy as np
import pytest

from tinybar.data import Augmentation, Dataset, Split
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.run import check, train


def metrics_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def toy(n=48, classes=3, size=6, seed=0) -> Dataset:
    """Noise with a bright row at the class's place; with augmentation, so that its noise counts."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (n, size, size, 1), dtype=np.uint8)
    labels = np.arange(n) % classes
    images[np.arange(n), labels] += 120
    split = Split(images, labels)
    return Dataset("toy", tuple("abcdef"[:classes]), split, split, Augmentation(1, True))


TINY = Config(
    data="toy", model="wrn-10-1", epochs=(2, 1, 1), teacher_epochs=2, batch_size=16, budget="4x"
)


def run_toy(path, config=TINY, listen=lambda record: None):
    folder = RunFolder.create(path, config)
    return folder, train(config, toy(), folder, listen, check(config, toy()).budget)


def cut_toy(path, config, epochs: int) -> None:
    """A run that is interrupted after so many epochs."""
    count = iter(range(1, epochs + 1))

    def stop(record):
        if next(count) == epochs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_toy(path, config, stop)


def resume_toy(path, listen=lambda record: None):
    """As in another process: nothing is known but the folder."""
    folder = RunFolder.open(path)
    config = folder.load_config()
    budget = check(config, toy(), folder).budget
    return folder, train(config, toy(), folder, listen, budget)


def pruned_of(folder) -> bytes:
    return folder.pruned.read_bytes()


def without_times(folder) -> list[dict]:
    lines = metrics_of(folder.path)
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]
