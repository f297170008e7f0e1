"""Training that skips closed channels computes what training computes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import autograd as ag
from tinybar import nn, pruning
from tinybar.autograd import Tensor
from tinybar.kernels import dispatch
from tinybar.nn import skipping
from tinybar.pruning.methods.bar import BudgetAwarePenalty
from tinybar.runtime import random

LOG_ALPHAS = [-30.0, -6.0, -1.6, 0.0, 30.0]  # from never open to always


def network(seed: int, depth: int, live="hard") -> nn.WideResNet:
    random.seed(seed)
    model = nn.build(f"wrn-{depth}-1", 3, (5, 6, 2), nn.HardConcrete, live).astype(np.float64)
    rng = np.random.default_rng(seed)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.choice(LOG_ALPHAS, gate.log_alpha.shape)
    for parameter in model.parameters():
        if parameter.data.ndim == 1 and parameter.data.min() >= 0:  # beta and gamma of batch norm
            parameter.data += rng.normal(0, 0.5, parameter.shape)
    return model.train()


def step(model, seed: int, skips: bool) -> dict:
    """Logits and gradients of a step; the gates' noise follows from the seed."""
    if skips:
        nn.skip_closed(model)
    random.seed(seed)
    rng = np.random.default_rng(seed)
    logits = model(Tensor(rng.standard_normal((3, 5, 6, 2)).astype(model.stem.weight.dtype)))
    ag.cross_entropy(logits, np.array([0, 2, 1])).backward()
    return {"logits": logits.data} | {name: p.grad for name, p in model.named_parameters()}


def run(seed: int, location: float, skips: bool, steps: int = 8) -> list[dict]:
    """Steps of Adam under the barrier: the penalty, all parameters and both moments after each."""
    model, rng = network(seed, 10), np.random.default_rng(seed)
    if skips:
        nn.skip_closed(model)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.normal(location, 1, gate.log_alpha.shape)
    cost, gates = pruning.COSTS["volume"], [gate.log_alpha for gate in pruning.gates_of(model)]
    barrier = BudgetAwarePenalty(model, cost, cost.full(model) // 16, steps)
    others = [p for name, p in model.named_parameters() if not name.endswith("log_alpha")]
    groups = [{"params": others, "weight_decay": 0.1}, {"params": gates, "lr": 0.1}]
    optimizer, states = nn.Adam(groups, 1e-2), []
    for iteration in range(steps):
        images, labels = rng.standard_normal((6, 5, 6, 2)), rng.integers(0, 3, 6)
        loss, penalty = ag.cross_entropy(model(Tensor(images)), labels), barrier(iteration)
        if penalty.loss is not None:
            loss = loss + penalty.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        parameters = {name: p.data.copy() for name, p in model.named_parameters()}
        states.append({"penalty": penalty, **parameters, **optimizer.state_dict()})
    return states


@pytest.mark.parametrize("location", [-7.0, -3.0, -1.0], ids=lambda location: f"{location:g}")
@given(seed=st.integers(0, 10**6))
def test_the_run_is_the_same_run(location, seed):
    """Parameters, gates, Adam's moments, the volume and the barrier, step after step.

    At the lowest location whole convolutions are closed. Their weights have a gradient of zeros,
    not none: they decay, and they and their gates move on with their moments.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skipping, "WORTH_SKIPPING", 2.0)
        runs = [run(seed, location, skips) for skips in (False, True)]
    for expected, got in zip(*runs, strict=True):
        first, second = expected.pop("penalty"), got.pop("penalty")
        assert first[1:] == second[1:]
        assert (first.loss is None) == (second.loss is None)
        for name, array in expected.items():
            np.testing.assert_allclose(got[name], array, rtol=1e-6, atol=1e-8, err_msg=name)


def check(make, seed: int) -> None:
    expected, got = step(make(), seed, skips=False), step(make(), seed, skips=True)
    for name, array in expected.items():
        scale = max(1.0, np.abs(array).max())
        np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-10 * scale, err_msg=name)


@given(seed=st.integers(0, 10**6), depth=st.sampled_from([10, 16]))
@pytest.mark.parametrize("live", nn.LIVE)
@pytest.mark.parametrize("worth", [0.6, 2.0])  # 2: skipped, however little that saves
def test_logits_and_gradients(seed, depth, live, worth):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skipping, "WORTH_SKIPPING", worth)
        check(lambda: network(seed, depth, live), seed)


def test_a_mostly_open_block_skips_nothing(monkeypatch):
    model = network(0, 10)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = 30.0
    monkeypatch.setattr(skipping, "select", None)
    step(model, 0, skips=True)


@pytest.mark.parametrize("log_alpha", [-30.0, 30.0])
def test_everything_closed_or_open(log_alpha, monkeypatch):
    monkeypatch.setattr(skipping, "WORTH_SKIPPING", 2.0)

    def make():
        model = network(0, 10)
        for gate in pruning.gates_of(model):
            gate.log_alpha.data[...] = log_alpha
        return model

    check(make, 1)


def test_no_channel_of_the_residual_signal_is_live():
    def make():
        model = network(0, 10)
        model.stem_gate.keep_one = False
        model.stem_gate.log_alpha.data[...] = -30.0
        return model

    check(make, 1)


def test_the_running_statistics_of_closed_channels_do_not_move(monkeypatch):
    monkeypatch.setattr(skipping, "WORTH_SKIPPING", 2.0)
    model = network(3, 10)
    gate = model.blocks[0].gate1
    gate.log_alpha.data[...] = np.where(np.arange(gate.log_alpha.shape[0]) % 2, -30.0, 30.0)
    model.blocks[0].gate2.log_alpha.data[...] = 30.0
    step(model, 3, skips=True)
    moved = model.blocks[0].bn2.running_mean != 0
    assert np.array_equal(moved, gate.log_alpha.data > 0)


@given(seed=st.integers(0, 10**6), depth=st.sampled_from([10, 16]))
def test_evaluation_skips_dead_channels(seed, depth):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skipping, "WORTH_SKIPPING", 2.0)
        model = network(seed, depth).eval()
        rng = np.random.default_rng(seed)
        for name, buffer in model.named_buffers():
            buffer[...] = rng.uniform(0.5, 2, buffer.shape) if "var" in name else 1
        before, x = model.state_dict(), Tensor(rng.standard_normal((2, 5, 6, 2)))
        expected = model(x).data
        nn.skip_closed(model)
        np.testing.assert_allclose(model(x).data, expected, rtol=1e-10, atol=1e-10)
        assert all(np.array_equal(before[name], a) for name, a in model.state_dict().items())


@pytest.mark.parametrize("log_alpha", [-30.0, -2.0, 30.0])
def test_in_float32_with_compiled_kernels(log_alpha, monkeypatch):
    """Selection has compiled kernels, which must take arrays without channels."""
    pytest.importorskip("numba")
    monkeypatch.setattr(skipping, "WORTH_SKIPPING", 2.0)

    def made(dtype):
        model = network(0, 10).astype(dtype)
        for gate in pruning.gates_of(model):
            gate.log_alpha.data[...] = log_alpha
        model.stem_gate.keep_one = model.blocks[1].shortcut_gate.keep_one = False
        return model

    expected = step(made(np.float64), 1, skips=False)
    dispatch.enable(True)
    try:
        got = step(made(np.float32), 1, skips=True)
    finally:
        dispatch.enable(False)
    for name, array in expected.items():
        scale = max(1.0, np.abs(array).max())
        np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-3 * scale, err_msg=name)
