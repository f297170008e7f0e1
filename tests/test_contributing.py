"""The worked examples of CONTRIBUTING.md, executed as they are printed there."""

import importlib
import math
import re
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from data.making import noise, refused
from properties.networks import images
from rich.console import Console
from train.toy import TINY, run_toy, toy

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn, pruning
from tinybar.audit.gradients import audit_primitives
from tinybar.autograd import PRIMITIVES
from tinybar.data import DATASETS, load
from tinybar.pruning import COSTS, Cost
from tinybar.pruning.methods import METHODS
from tinybar.report.tables import result_tables
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.result import finish
from tinybar.train.run import check

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = re.split(r"\n### … an? ", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))[1:]
REGISTRIES = PRIMITIVES, COSTS, METHODS, DATASETS


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Write the file of a section beside its package, and execute its registration there."""
    before = [dict(registry) for registry in REGISTRIES]
    added = []

    def execute(title: str) -> None:
        section = next(text for text in SECTIONS if text.startswith(title))
        (path, module), *others = re.findall(
            r"^`(tinybar/[\w/]+\.py)`\n\n```python\n(.*?)```", section, re.DOTALL | re.MULTILINE
        )
        for init, registration in others:
            assert len(registration.splitlines()) == 1
            assert Path(init).parent == Path(path).parent
        assert not (ROOT / path).exists()
        (tmp_path / Path(path).name).write_text(module, encoding="utf-8")
        package = importlib.import_module(".".join(Path(path).parent.parts))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        known = set(vars(package))
        if others:
            exec(registration, vars(package))
        else:
            package.find_methods()
        added.append((package, set(vars(package)) - known, Path(path).stem))

    yield execute
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)
    for package, names, module in added:
        for name in names:
            delattr(package, name)
        del sys.modules[f"{package.__name__}.{module}"]


def test_every_section_has_its_test():
    titles = [section.partition("\n")[0] for section in SECTIONS]
    assert titles == [
        "primitive",
        "gate",
        "cost",
        "method",
        "data set",
        "option of a run",
        "layer or a block",
    ]


def test_a_primitive(add):
    add("primitive")
    (row,) = audit_primitives(names=["softplus"])
    assert row.passed, row
    np.testing.assert_allclose(ag.softplus([0.0, 800.0]).data, [np.log(2), 800])


def test_a_gate(add):
    add("gate")
    tb.seed(0)
    net = nn.wide_resnet(10, 1, 3, (6, 6, 1), nn.Logistic)
    x = images(net, np.random.default_rng(0), n=6)
    loss = ag.cross_entropy(net(tb.Tensor(x)), np.arange(6) % 3)
    (loss + 1e-3 * pruning.expected_volume(net)).backward()
    assert all(gate.mu.grad.all() for gate in pruning.gates_of(net))
    budget = pruning.volume(net) // 8
    pruning.enforce_budget(net.eval(), COSTS["volume"], budget)
    small = pruning.compact(net)
    assert pruning.volume(small) == pruning.volume(net) <= budget
    np.testing.assert_allclose(small(tb.Tensor(x)).data, net(tb.Tensor(x)).data, atol=1e-5)
    assert nn.count_parameters(net) == nn.count_parameters(nn.wide_resnet(10, 1, 3, (6, 6, 1)))


def test_a_cost(add, tmp_path):
    add("cost")
    config = Config(**{**vars(TINY), "metric": "traffic", "budget": "3x"})
    folder, facts = run_toy(tmp_path / "run", config)
    assert facts["cost"] <= facts["budget"]
    assert RunFolder.open(folder.path).load_config() == config
    outcome = finish(config, toy(), folder, facts)
    console = Console(file=StringIO())
    console.print(result_tables(outcome, facts["channels"]))
    assert f"traffic {facts['cost']:,} of {facts['budget']:,}" in console.file.getvalue()


def test_a_cost_whose_expectation_has_no_gradient_is_told_before_anything_is_trained(monkeypatch):
    def eights(site, reads, writes):  # the ceiling of a Tensor is a number
        return math.ceil(writes / 8) * site.area

    monkeypatch.setitem(COSTS, "eights", Cost(eights, eights))
    with pytest.raises(TypeError, match="'eights' of expected numbers of channels is no Tensor"):
        check(Config(**{**vars(TINY), "metric": "eights"}), toy())


def test_what_is_no_gate_is_refused():
    with pytest.raises(TypeError, match=r"a subclass of nn\.Gate, Conv2d is not"):
        nn.wide_resnet(10, 1, 3, (6, 6, 1), lambda channels: nn.Conv2d(1, channels, 1))


def test_a_method(add, tmp_path):
    add("method")
    _, facts = run_toy(tmp_path / "run", Config(**{**vars(TINY), "method": "first"}))
    assert facts["volume"] <= facts["budget"]


def test_a_data_set(add, tmp_path):
    add("data set")
    arrays = {"images": noise(52, 28, 28), "labels": (np.arange(52) % 26).astype(np.uint8)}
    splits = {f"{split}_{name}": arrays[name] for split in ("train", "test") for name in arrays}
    np.savez(tmp_path / "letters.npz", **splits)
    data = load("letters", cache_dir=tmp_path, val_fraction=0.5)
    assert (data.num_classes, data.image_shape, data.augmentation.pad) == (26, (28, 28, 1), 4)
    assert np.array_equal(data.test.images[..., 0], arrays["images"])
    assert np.array_equal(data.test.labels, arrays["labels"])
    assert (len(data.train), len(data.val)) == (26, 26)
    (tmp_path / "letters.npz").write_bytes(b"damaged")
    refused("letters", "letters.npz is truncated or damaged", cache_dir=tmp_path)
    refused("letters", "--image-size is for image files", cache_dir=tmp_path, image_size=8)
    refused("numbers", "expected a name ( ... , letters)")
