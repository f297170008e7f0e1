"""What is told before a run."""

from dataclasses import replace

import numpy as np

from tinybar.data import Augmentation, Dataset, Split
from tinybar.report.summary import facts_of, summary
from tinybar.train.config import Config
from tinybar.train.run import check

LABELS = np.array([0] * 30 + [1] * 10 + [2] * 10)
DATASET = Dataset(
    "pets", ("cat", "dog", "猫"),
    *(Split(np.zeros((50, 8, 12, 3), np.uint8), LABELS) for _ in range(2)),
    Augmentation(1, True), notes=("images skipped: 2 .webp",),
)  # fmt: skip
CONFIG = Config(
    model="wrn-10-1", budget="4x", epochs=(5, 2, 1), teacher_epochs=3, batch_size=16, metric="flops"
)


def rows(dataset=DATASET, config=CONFIG) -> dict[str, str]:
    return dict(summary(facts_of(config, dataset, check(config, dataset))))


def test_data_network_and_plan():
    """With the costs of the network by hand: three groups of 16, 32 and 64 channels."""
    stem = 96 * (27 * 16 + 2 * 9 * 16 * 16)
    second = 24 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    third = 6 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)
    flops = 2 * (stem + second + third)
    told = rows()
    assert told["data"] == (
        "pets: 50 training, 50 test images of 8x12 pixels, colour; training images are shifted by "
        "up to 1 pixel and mirrored"
    )
    assert told["classes"] == "3 of 10 to 30 training images: cat, dog, 猫"
    assert told["note"] == "images skipped: 2 .webp"
    assert f"flops {flops:,}, params" in told["network"]
    assert told["network"].startswith(f"wrn-10-1: volume {3 * (96 * 16 + 24 * 32 + 6 * 64):,}, ")
    assert told["budget"] == f"flops {flops // 4:,} of {flops:,}, 4x less"
    assert told["plan"].startswith("epochs: 3 of the teacher, 8 of bar; 33 iterations of 16 images")


def test_validation_images_and_a_given_teacher():
    few = replace(DATASET, notes=()).with_validation(0.5)
    told = dict(summary(facts_of(replace(CONFIG, teacher="x"), few, check(CONFIG, few))))
    assert told["data"].startswith("pets: 25 training, 25 validation, 50 test images ")
    assert "note" not in told
    assert told["plan"].startswith("epochs: 0 of the teacher, ")


def test_many_classes_are_cut():
    names = tuple(f"class{i:02}" for i in range(50))
    split = Split(np.zeros((50, 8, 8, 1), np.uint8), np.arange(50))
    told = rows(Dataset("many", names, split, split))["classes"]
    assert told.startswith("50 of 1 training images: class00, class01,")
    assert told.endswith(" ...")
    assert len(told) < 80
