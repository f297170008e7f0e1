"""The script that made the embedded archive, run on the archive's own images."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="module")
def make_digits():
    spec = importlib.util.spec_from_file_location("make_digits", FOLDER / "make_digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored():
    with np.load(FOLDER / "digits.npz", allow_pickle=False) as archive:
        return dict(archive)


def test_the_split_is_reproduced(make_digits, stored):
    train, test = make_digits.split(stored["labels"], make_digits.TEST_IMAGES, make_digits.SEED)
    assert np.array_equal(train, stored["train"])
    assert np.array_equal(test, stored["test"])


def test_the_archive_is_reproduced_byte_for_byte(make_digits, stored):
    assert make_digits.npz_bytes(stored) == (FOLDER / "digits.npz").read_bytes()


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8), data=st.data())
def test_quotas_are_proportional(make_digits, sizes, data):
    total = data.draw(st.integers(0, sum(sizes)))
    quota = make_digits.quota_per_class(np.array(sizes), total)
    assert quota.sum() == total
    assert (abs(quota - total * np.array(sizes) / sum(sizes)) < 1).all()
