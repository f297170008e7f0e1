"""Clusters and decompositions of a trained network's filters, beside scikit-learn's and SciPy's."""

import numpy as np
import pytest
from scipy.linalg import interpolative, qr

from tinybar.pruning.methods.id import interpolated, pivoted_qr
from tinybar.pruning.methods.vq import clustered
from tinybar.pruning.narrowing import groups
from tinybar.runtime import random
from tinybar.train.config import configure
from tinybar.train.folder import RunFolder
from tinybar.train.models import load_model
from tinybar.train.run import check, train

pytestmark = pytest.mark.oracle
SHARES = (0.125, 0.25, 0.5, 0.75)


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    """(features, C) of every group of a wrn-10-1 that was trained on the digits for two epochs."""
    options = {"model": "wrn-10-1", "method": "scratch", "teacher_epochs": 2, "epochs": (1, 0, 0)}
    config = configure(options)
    dataset, folder = (
        config.dataset(),
        RunFolder.create(tmp_path_factory.mktemp("run") / "a", config),
    )
    train(config, dataset, folder, lambda record: None, check(config, dataset).budget)
    model, _ = load_model(folder.teacher)
    return [
        np.concatenate([c.weight.data.reshape(-1, c.c_out).astype(np.float64) for c in writers])
        for writers, _, _ in groups(model)
    ]


def cases(filters):
    """(filters, number of channels to keep)."""
    return [(w, max(1, round(share * w.shape[1]))) for w in filters for share in SHARES]


def test_clusters_are_as_tight_as_those_of_scikit_learn(filters):
    """Both are local minima, the best of some starts: level on average, and never far apart."""
    cluster = pytest.importorskip("sklearn.cluster")
    random.seed(0)
    ratios = []
    for w, n in cases(filters):
        left, right = clustered(w, n)
        error = np.square(w - w @ left @ right).sum()
        theirs = cluster.KMeans(n, n_init=10, random_state=0).fit(w.T).inertia_
        ratios.append(error / theirs)
    assert 0.98 < np.mean(ratios) < 1.02
    assert 0.9 < min(ratios) < max(ratios) < 1.1


def test_a_decomposition_is_as_good_as_that_of_scipy(filters):
    for w, n in cases(filters):
        left, right = interpolated(w, n)
        error = np.linalg.norm(w - w @ left @ right)
        index, coefficients = interpolative.interp_decomp(w, n, rand=False)
        skeleton = interpolative.reconstruct_skel_matrix(w, n, index)
        theirs = interpolative.reconstruct_matrix_from_id(skeleton, index, coefficients)
        assert error == pytest.approx(np.linalg.norm(w - theirs), rel=1e-6), (w.shape, n)
        least = np.sqrt(np.square(np.linalg.svd(w, compute_uv=False)[n:]).sum())
        assert least <= error * (1 + 1e-9)


def test_pivots_and_r_are_those_of_lapack(filters):
    for w in filters:
        n = min(w.shape)
        pivots, r = pivoted_qr(w, n)
        theirs, order = qr(w, mode="r", pivoting=True)
        assert np.array_equal(pivots, order[:n])
        signs = np.sign(np.diag(theirs))[:, None]
        np.testing.assert_allclose(r[:, order], signs * theirs[:n], rtol=0, atol=1e-10)
