"""The images of a run: kept as bytes, the same to the network as normalised ones."""

import numpy as np
from train.toy import toy

from tinybar import nn
from tinybar.train.data_loss import logits_of
from tinybar.train.images import Images, accuracy


def test_no_split_is_kept_in_float32():
    """4,000 photographs of 128x128 would take 0.8 GB."""
    dataset = toy().with_validation(0.25)
    images = Images(dataset)
    for kept, split in zip(
        (images.train, images.test, images.val),
        (dataset.train, dataset.test, dataset.val),
        strict=True,
    ):
        assert kept.images is split.images


def test_accuracy_and_logits_are_those_of_images_normalised_at_once():
    dataset, net = toy(), nn.build("wrn-10-1", 3, (6, 6, 1)).eval()
    images, whole = Images(dataset), dataset.normalise(dataset.train.images)
    assert np.array_equal(logits_of(net, images.train), logits_of(net, whole))
    assert images.test_accuracy(net) == accuracy(net, whole, dataset.test.labels)
