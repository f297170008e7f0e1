"""The compact network: the same function as the masked one, without dead channels."""

import numpy as np
import pytest
from properties.networks import gated, images, random_gates, randomise, set_gate

import tinybar as tb
from tinybar import nn, pruning

RNG = np.random.default_rng


def logits(model: nn.Module, x: np.ndarray) -> np.ndarray:
    with tb.no_grad():
        return model(tb.Tensor(x)).data


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference, relative to the largest logit."""
    return float(np.abs(first - second).max() / np.abs(first).max())


def everything_dead(model, rng):
    for gate in pruning.gates_of(model):
        set_gate(gate, np.zeros(gate.log_alpha.shape, bool), rng)


def nothing_pruned(model, rng):
    for gate in pruning.gates_of(model):
        set_gate(gate, np.ones(gate.log_alpha.shape, bool), rng)


def single_channels(model, rng):
    for gate in pruning.gates_of(model):
        alive = np.zeros(gate.log_alpha.shape, bool)
        alive[rng.integers(alive.size)] = True
        set_gate(gate, alive, rng)


def dead_blocks(model, rng):
    """Of four blocks one is alive, the others lack inner channels, outer ones, or both."""
    random_gates(model, rng, shares=(0.5,))
    for k, block in enumerate(model.blocks):
        for gate in ([], [block.gate1], [block.gate2], [block.gate1, block.gate2])[k % 4]:
            set_gate(gate, np.zeros(gate.log_alpha.shape, bool), rng)


def stem_with_a_channel_of_its_own(model, rng):
    """The stem keeps one channel; the blocks of its group write others."""
    random_gates(model, rng, shares=(0.5,))
    set_gate(model.stem_gate, np.arange(16) == 3, rng)
    set_gate(model.blocks[0].gate2, np.arange(model.blocks[0].gate2.log_alpha.size) > 8, rng)


PATTERNS = [
    everything_dead, nothing_pruned, single_channels, dead_blocks, stem_with_a_channel_of_its_own
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("depth", "width"), [(10, 1), (16, 2)])
@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_it_computes_what_the_masked_network_computes(pattern, depth, width, dtype, bound):
    rng = RNG(depth + width)
    model = randomise(gated(depth, width, image_shape=(9, 7, 3), dtype=dtype), rng)
    pattern(model, rng)
    small = pruning.compact(model)
    x = images(model, rng)
    expected = logits(model, x)
    found = logits(small, x)
    assert found.dtype == dtype
    assert difference(expected, found) < bound


def test_the_shapes_that_are_left():
    rng, model = RNG(0), gated(16, 1, image_shape=(8, 8, 1))
    dead_blocks(model, rng)
    small = pruning.compact(model)
    # Of six blocks, 2 and 4 have a shortcut. 1, 3 and 5 are removed; of 2 the shortcut stays.
    kinds = [(block.conv1 is not None, block.shortcut is not None) for block in small.blocks]
    assert kinds == [(True, False), (False, True), (True, True)]
    assert small.stem.c_out == model.stem_gate.alive().sum()


def test_it_shares_no_array_with_the_model():
    rng = RNG(0)
    model = random_gates(randomise(gated(), rng), rng)
    small, x = pruning.compact(model), images(model, rng)
    before = logits(small, x)
    for array in (*(p.data for p in model.parameters()), *(b for _, b in model.named_buffers())):
        array[...] = 7
    assert np.array_equal(logits(small, x), before)


def test_the_model_does_not_change():
    rng = RNG(0)
    model = random_gates(randomise(gated(), rng), rng).train()
    before = model.state_dict()
    small = pruning.compact(model)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    assert model.training
    assert not small.training


def test_every_parameter_gets_a_gradient():
    """So that it can be fine-tuned."""
    rng = RNG(0)
    model = random_gates(randomise(gated(10, 2), rng), rng, shares=(0.5,))
    small = pruning.compact(model).train()
    loss = nn.distillation_loss(
        small(tb.Tensor(images(model, rng, n=8))), np.zeros((8, 4)), np.arange(8) % 4
    )
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in small.parameters())


def test_regular_connectivity_shares_the_union():
    """Every tensor of a residual sum has the same width, and nothing is scattered."""
    rng, model = RNG(0), gated(16, 1, image_shape=(8, 8, 1))
    random_gates(randomise(model, rng), rng, shares=(0.4,))
    small = pruning.compact(model, "regular")
    for block in small.blocks:
        assert len(block.writes) == block.width
        assert block.shortcut is None or len(block.shortcut_writes) == block.width
    assert pruning.volume(small) > pruning.volume(pruning.compact(model))


def test_an_unknown_connectivity():
    with pytest.raises(ValueError, match="unknown connectivity 'dense'"):
        pruning.compact(gated(), "dense")


def test_a_compact_network_cannot_be_compacted():
    with pytest.raises(TypeError, match="compact already"):
        pruning.compact(pruning.compact(gated()))


def test_a_network_without_gates_loses_nothing():
    rng = RNG(0)
    plain = nn.wide_resnet(10, 1, 4, (8, 8, 3)).astype(np.float64).eval()
    randomise(plain, rng)
    small, x = pruning.compact(plain), images(plain, rng)
    assert difference(logits(plain, x), logits(small, x)) < 1e-12
    assert nn.count_parameters(small) == nn.count_parameters(plain)
