"""Regenerate digits.npz, beside this file, from scikit-learn's copy of the UCI digits.

    python data/make_digits.py

The bytes written are the same on every run. The split is made by hashing, because the stream of
a random generator may change between versions; the archive is not compressed and has fixed dates,
so that its bytes depend neither on the version of zlib nor on the clock.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

SEED = 0
TEST_IMAGES = 360  # of 1,797: one fifth, rounded up


def quota_per_class(class_sizes: np.ndarray, total: int) -> np.ndarray:
    """Number of test images per class, in proportion to its size, by the largest remainder method.

    class_sizes: (K,) integers. Returns (K,) integers that sum to `total`. Of two equal remainders,
    that of the lower class is rounded up.
    """
    # Integer arithmetic: total * size = whole * n + remainder, without rounding.
    whole, remainder = np.divmod(total * class_sizes, class_sizes.sum())
    most = np.argsort(-remainder, kind="stable")[: total - whole.sum()]
    whole[most] += 1
    return whole


def split(labels: np.ndarray, test_images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (train, test), each ascending, stratified by class.

    Within a class, images are ranked by the SHA-256 of "seed:index"; the first are test images.
    """

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{seed}:{index}".encode()).digest()

    test: list[int] = []
    for label, quota in enumerate(quota_per_class(np.bincount(labels), test_images)):
        members = np.flatnonzero(labels == label).tolist()
        test += sorted(members, key=rank)[:quota]
    chosen = np.zeros(len(labels), bool)
    chosen[test] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz archive of the arrays. Its bytes depend on nothing else."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as members:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix; the default depends on the platform
            member.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            members.writestr(member, content.getvalue())
    return archive.getvalue()


def build() -> bytes:
    """The content of digits.npz."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype("u1")
    if not np.array_equal(images, digits.images):
        raise ValueError("expected whole numbers from 0 to 255 in the digits")
    labels = digits.target.astype("u1")
    train, test = split(labels, TEST_IMAGES, SEED)
    return npz_bytes(
        {
            "images": images,
            "labels": labels,
            "train": train.astype("<u2"),
            "test": test.astype("<u2"),
        }
    )


if __name__ == "__main__":
    target = Path(__file__).with_name("digits.npz")
    target.write_bytes(build())
    print(f"wrote {target.name}: {target.stat().st_size:,} bytes")
