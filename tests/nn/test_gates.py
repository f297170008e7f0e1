"""Gates as modules: streams, modes, edges, and the clamp of `keep_one`; the audit has the rest."""

import numpy as np
import pytest

from tinybar import autograd as ag
from tinybar import nn
from tinybar.autograd.gates import THRESHOLD
from tinybar.runtime import random


def gate(log_alpha, keep_one=False, dtype=np.float64) -> nn.HardConcrete:
    made = nn.HardConcrete(len(log_alpha)).astype(dtype)
    made.log_alpha.data[...] = log_alpha
    made.keep_one = keep_one
    return made


def test_evaluation_is_at_the_mean_noise():
    evaluated = gate(np.linspace(-6, 6, 25)).eval()
    assert np.array_equal(evaluated.sample().data, evaluated.mean().data)


def test_training_draws_from_the_stream_of_gates():
    trained = gate(np.linspace(-2, 2, 40))
    random.seed(3)
    first, second = trained.sample().data, trained.sample().data
    assert not np.array_equal(first, second)
    random.seed(3)
    random.stream("init").random(5)  # another stream: does not matter
    assert np.array_equal(trained.sample().data, first)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_alive_means_z_above_0_at_every_number_around_the_threshold(dtype):
    log_alpha = [dtype(THRESHOLD)]
    for end in (-np.inf, np.inf):
        value = log_alpha[0]
        for _ in range(100):
            value = np.nextafter(value, dtype(end))
            log_alpha.append(value)
    near = gate(log_alpha, dtype=dtype)
    assert np.array_equal(near.alive(), near.mean().data > 0)


def test_scores_are_a_copy():
    made = gate([-1.0, 2.0])
    made.scores()[0] = 9
    assert made.scores().tolist() == [-1, 2]
    made.set_score(0, made.closed)
    assert made.alive().tolist() == [False, True]
    made.set_score(0, made.reopened)
    assert made.mean().data[0] == pytest.approx(0.015, abs=1e-3)


# --- keep_one ------------------------------------------------------------------------------------


def test_samples_and_probabilities_have_the_clamp_too():
    log_alpha = np.array([-9.0, -5.0, -7.0])
    kept = gate(log_alpha, keep_one=True)
    assert kept.location().data.tolist() == [-9, 0, -7]
    p = kept.probability_open().data[1]
    samples = np.stack([kept.sample().data for _ in range(2000)])
    assert abs((samples[:, 1] > 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / 2000)


def test_keep_one_does_nothing_where_a_channel_is_open():
    log_alpha = np.array([-9.0, 0.5, -1.0])
    assert np.array_equal(gate(log_alpha, keep_one=True).location().data, log_alpha)


def test_of_equal_channels_one_is_kept():
    assert gate([-5.0, -5.0], keep_one=True).alive().sum() == 1


def test_a_subclass_must_define_the_protocol():
    class Half(nn.Gate):
        def sample(self):
            return None

    with pytest.raises(TypeError, match="abstract"):
        Half()
