"""Gaussian gates as modules: modes, scores, edges, `keep_one`; the audit has the rest."""

import numpy as np
import pytest

from tinybar import autograd as ag
from tinybar import nn
from tinybar.nn.gaussian import FLOOR
from tinybar.runtime import random


def gate(mu, log_sigma, keep_one=False, dtype=np.float64) -> nn.Gaussian:
    made = nn.Gaussian(len(mu)).astype(dtype)
    made.mu.data[...] = mu
    made.log_sigma.data[...] = log_sigma
    made.keep_one = keep_one
    return made


def test_evaluation_is_at_the_mean_noise():
    evaluated = gate(np.linspace(-2, 2, 25), np.zeros(25)).eval()
    assert np.array_equal(evaluated.sample().data, evaluated.mean().data)


def test_training_draws_from_the_stream_of_gates():
    trained = gate(np.ones(40), np.zeros(40))
    random.seed(3)
    first, second = trained.sample().data, trained.sample().data
    assert not np.array_equal(first, second)
    random.seed(3)
    random.stream("init").random(5)
    assert np.array_equal(trained.sample().data, first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_it_starts_it_is_nearly_the_network_without_gates(dtype):
    started = nn.Gaussian(1000).astype(dtype)
    z = started.sample()
    ag.sum(z).backward()
    assert z.dtype == dtype
    assert np.abs(z.data - 1).max() < 0.06
    assert started.alive().all()
    np.testing.assert_allclose(started.mu.grad, 1, rtol=1e-6)
    assert np.abs(started.log_sigma.grad).max() < 6e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_alive_means_z_above_0_at_every_number_around_the_threshold(dtype):
    mus = [dtype(np.exp(0.3))]
    for end in (-np.inf, np.inf):
        value = mus[0]
        for _ in range(100):
            value = np.nextafter(value, dtype(end))
            mus.append(value)
    near = gate(mus, np.full(len(mus), 0.3), dtype=dtype)
    assert np.array_equal(near.alive(), near.mean().data > 0)
    assert np.array_equal(near.alive(), near.scores() > 1)
    assert 0 < near.alive().sum() < len(mus)


def test_a_score_is_mu_over_sigma_and_sigma_stays():
    made = gate([2.0, 0.5, -1.0], np.log([0.5, 1.0, 2.0]))
    made.scores()[0] = 9
    np.testing.assert_allclose(made.scores(), [4, 0.5, -0.5])
    assert made.alive().tolist() == [True, False, False]
    made.set_score(0, made.closed)
    made.set_score(1, made.reopened)
    assert made.alive().tolist() == [False, True, False]
    np.testing.assert_allclose(made.mean().data, [0, 1.1, 0])
    np.testing.assert_allclose(made.log_sigma.data, np.log([0.5, 1.0, 2.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_that_is_put_back_neither_opens_nor_closes(dtype):
    rng = np.random.default_rng(0)
    log_sigma = rng.uniform(-9, 1, 2000)
    made = gate(
        np.exp(log_sigma) * rng.choice([1 - 1e-7, 1, 1 + 1e-7, 0.9], 2000), log_sigma, dtype=dtype
    )
    before = made.alive()
    for channel, score in enumerate(made.scores()):
        made.set_score(channel, score)
    assert np.array_equal(made.alive(), before)


def test_keep_one_raises_the_best_in_all_that_the_gate_computes():
    kept = gate([-1.0, 0.4, 0.1], [0.0, 0.0, 0.0], keep_one=True)
    assert kept.scores().tolist() == [-1, FLOOR, 0.1]
    assert kept.alive().tolist() == [False, True, False]
    assert kept.mean().data.tolist() == [0, FLOOR, 0]
    p = kept.probability_open().data[1]
    samples = np.stack([kept.sample().data for _ in range(2000)])
    assert abs((samples[:, 1] > 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / 2000)
    assert kept.prior().item() == pytest.approx(0.5 * np.log([2, 1 + FLOOR**2, 1.01]).sum())


def test_of_equal_channels_one_is_kept():
    assert gate([-5.0, -5.0], [0.0, 0.0], keep_one=True).alive().sum() == 1
