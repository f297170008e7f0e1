"""Hard-concrete gates as modules: Supp. 7, and the clamp against fatal pruning."""

import math

import numpy as np
import pytest

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn
from tinybar.runtime import random

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # Supp. 7.1
THRESHOLD = -1.5986  # Section 3.1 with these: log alpha at which z at mean noise leaves 0


def gate(log_alpha, vital=False, dtype=np.float64) -> nn.HardConcrete:
    made = nn.HardConcrete(len(log_alpha)).astype(dtype)
    made.log_alpha.data[...] = log_alpha
    made.keep_one = vital
    return made


def formula(log_alpha, u):
    """Supp. Eq. 4, in plain NumPy."""
    s = 1 / (1 + np.exp(-(np.log(u) - np.log(1 - u) + log_alpha) / BETA))
    return np.clip(s * (ZETA - GAMMA) + GAMMA, 0, 1)


def test_the_start_is_uniform_on_0_to_001():
    start = nn.HardConcrete(10_000).log_alpha.data
    assert start.dtype == np.float32
    assert start.min() >= 0
    assert start.max() <= 0.01
    assert abs(start.mean() - 0.005) < 5 * 0.01 / math.sqrt(12 * start.size)


def test_the_threshold():
    assert abs(BETA * math.log(-GAMMA / ZETA) - THRESHOLD) < 1e-4
    assert gate([THRESHOLD - 1e-3, THRESHOLD + 1e-3]).alive().tolist() == [False, True]


def test_evaluation_is_deterministic_and_at_mean_noise():
    log_alpha = np.linspace(-6, 6, 25)
    evaluated = gate(log_alpha).eval()
    np.testing.assert_allclose(evaluated.sample().data, formula(log_alpha, 0.5), atol=1e-14)
    assert np.array_equal(evaluated.sample().data, evaluated.sample().data)


def test_training_draws_from_the_stream_of_gates():
    log_alpha = np.linspace(-2, 2, 40)
    trained = gate(log_alpha)
    random.seed(3)
    first, second = trained.sample().data, trained.sample().data
    assert not np.array_equal(first, second)
    random.seed(3)
    random.stream("init").random(5)  # another stream: does not matter
    assert np.array_equal(trained.sample().data, first)
    random.seed(3)
    u = random.stream("gates").random(40)
    np.testing.assert_allclose(first, formula(log_alpha, u), atol=1e-5)  # the noise has a margin


def test_the_share_of_open_samples_is_the_probability():
    values, draws = np.array([-3.0, -1.6, 0.0, 2.0]), 20_000
    trained = gate(np.repeat(values, draws))
    share = (trained.sample().data.reshape(4, draws) > 0).mean(axis=1)
    p = 1 / (1 + np.exp(-(values - BETA * math.log(-GAMMA / ZETA))))
    np.testing.assert_allclose(gate(values).probability_open().data, p, atol=1e-14)
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / draws)).all()


def test_noise_at_its_ends_stays_finite(monkeypatch):
    class Ends:
        def random(self, shape):
            return np.array([0.0, np.nextafter(1, 0)])

    gates = [gate([0.0, 0.0], dtype=dtype) for dtype in (np.float32, np.float64)]
    monkeypatch.setattr(random, "stream", lambda name: Ends())
    for trained in gates:
        z = trained.sample()
        assert z.data.tolist() == [0, 1]
        ag.sum(z).backward()
        assert np.isfinite(trained.log_alpha.grad).all()


def test_a_gate_multiplies_features():
    closing = gate([-9, 0.3, 9]).eval()
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 3))
    np.testing.assert_allclose(closing(tb.Tensor(x)).data, x * closing.sample().data)
    assert (closing(tb.Tensor(x)).data[..., 0] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_alive_means_z_above_0_at_every_number_around_the_threshold(dtype):
    log_alpha = [dtype(BETA * math.log(-GAMMA / ZETA))]
    for end in (-np.inf, np.inf):
        value = log_alpha[0]
        for _ in range(100):
            value = np.nextafter(value, dtype(end))
            log_alpha.append(value)
    near = gate(log_alpha, dtype=dtype)
    assert np.array_equal(near.alive(), near.mean().data > 0)


def test_a_vital_gate_never_closes():
    log_alpha = np.array([-9.0, -5.0, -7.0])
    closed, vital = gate(log_alpha), gate(log_alpha, vital=True)
    assert not closed.alive().any()
    assert vital.alive().tolist() == [False, True, False]
    assert vital.location().data.tolist() == [-9, 0, -7]
    z = vital.eval().sample().data
    assert z[1] == pytest.approx(0.5)
    assert z[[0, 2]].tolist() == [0, 0]
    p = vital.probability_open().data
    assert p[1] == pytest.approx(1 / (1 + (1 / 11) ** BETA))  # about 0.83
    vital.train()
    samples = np.stack([vital.sample().data for _ in range(2000)])
    assert abs((samples[:, 1] > 0).mean() - p[1]) < 5 * math.sqrt(p[1] * (1 - p[1]) / 2000)


def test_a_vital_gate_with_open_features_is_like_any_other():
    log_alpha = np.array([-9.0, 0.5, -1.0])
    assert np.array_equal(gate(log_alpha, vital=True).location().data, log_alpha)
    assert gate(log_alpha, vital=True).alive().tolist() == gate(log_alpha).alive().tolist()


def test_only_one_of_equal_features_is_vital():
    assert gate([-5.0, -5.0], vital=True).alive().sum() == 1
    assert (gate([-5.0, -5.0], vital=True).eval().sample().data > 0).sum() == 1


def test_a_raised_feature_pulls_no_gradient():
    vital = gate([-9.0, -5.0], vital=True)
    ag.sum(vital.probability_open()).backward()
    p = 1 / (1 + math.exp(9.0 + BETA * math.log(-GAMMA / ZETA)))
    np.testing.assert_allclose(vital.log_alpha.grad, [p * (1 - p), 0], atol=1e-14)
