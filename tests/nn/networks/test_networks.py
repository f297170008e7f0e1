"""Networks by name, and what holds for all of them."""

from functools import partial

import numpy as np
import pytest
from properties.networks import bottlenecks, images, randomise

import tinybar as tb
from tinybar import autograd as ag
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


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        partial(nn.wide_resnet, 10, 1),
        partial(nn.wide_resnet, 10, 2),
        partial(nn.small_resnet, 8),
        bottlenecks,
    ],
)
def test_with_all_gates_open_it_is_the_plain_network(training, make):
    rng = np.random.default_rng(0)
    plain = randomise(make(4, (9, 10, 3), gate=None).astype(np.float64), rng)
    open_ = make(4, (9, 10, 3), gate=nn.HardConcrete).astype(np.float64)
    state = plain.state_dict()
    for name, parameter in open_.named_parameters():
        if name.endswith("log_alpha"):
            state[name] = np.full(parameter.shape, 60.0)  # z = 1 whatever the noise
    open_.load_state_dict(state)
    x, y = images(plain, rng), np.array([0, 1, 3])
    for model in (plain, open_):
        model.train(training)
        ag.cross_entropy(model(tb.Tensor(x)), y).backward()
    after = dict(open_.named_parameters()) | dict(open_.named_buffers())
    for name, parameter in plain.named_parameters():
        np.testing.assert_allclose(parameter.grad, after[name].grad, atol=1e-10, err_msg=name)
    for name, buffer in plain.named_buffers():
        np.testing.assert_allclose(buffer, after[name], atol=1e-12, err_msg=name)
