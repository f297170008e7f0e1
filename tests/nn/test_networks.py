"""Networks by name."""

import pytest

from tinybar import nn, pruning


@pytest.mark.parametrize(
    ("name", "blocks", "canonical"),
    [
        ("wrn-22-3", 9, "wrn-22-3"),
        ("resnet-8", 3, "resnet-8"),
        ("resnet-20", 9, "resnet-20"),
        ("resnet-32", 15, "resnet-32"),
        ("resnet-56", 27, "resnet-56"),
        ("resnet50", 16, "resnet50"),
        ("resnet-50", 16, "resnet50"),
    ],
)
def test_build_knows_networks_by_name(name, blocks, canonical):
    model = nn.build(name, 7, (8, 8, 1))
    assert (model.name, len(model.blocks), model.num_classes) == (canonical, blocks, 7)
    assert model.image_shape == (8, 8, 1)
    assert pruning.gates_of(model) == []


@pytest.mark.parametrize("name", ["wrn-22-3", "resnet-20", "resnet50"])
def test_with_gates_every_convolution_has_one(name):
    model = nn.build(name, 7, (8, 8, 1), nn.HardConcrete)
    assert all(site.gate is not None for site in pruning.sites(model))


@pytest.mark.parametrize(
    "name",
    ["wrn", "wrn-16", "wrn-16-4x", "WRN-16-4", "vgg-16", "", "wrn-1e1-1", "resnet", "resnet-20-2"],
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"unknown model .*: use wrn-DEPTH-WIDTH"):
        nn.build(name, 10)
