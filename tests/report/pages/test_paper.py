"""The paper's own results, against what the text of the paper says of them."""

from tinybar.data import DATASETS
from tinybar.pruning.methods import METHODS
from tinybar.report.pages.paper import paper_points

TABLES = ("wrn-28-12", "cifar10"), ("wrn-28-12", "cifar100"), ("resnet50", "mio-tcd")


def test_points():
    cifar = paper_points("wrn-28-12", "cifar10")
    assert cifar["bar"][-1] == (15.8, 68.5, 0.9162)
    assert len(cifar["bar, metric flops"]) == 4
    assert paper_points("wrn-28-12", "digits") == paper_points("wrn-10-2", "cifar10") == {}


def test_factors_ascend_and_names_are_known():
    for model, dataset in TABLES:
        found = paper_points(model, dataset)
        assert len(found) >= 8
        assert dataset in DATASETS
        for name, points in found.items():
            assert name.partition(",")[0] in METHODS
            assert [v for v, _, _ in points] == sorted(v for v, _, _ in points)
            assert all(0.4 < a < 1 for _, _, a in points)
