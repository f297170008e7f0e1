"""Steps recorded as a CUDA graph are the steps that are not, to the last bit."""

import numpy as np
import pytest

import tinybar as tb
from tinybar import nn, pruning
from tinybar.autograd import Tensor
from tinybar.nn.gaussian import Gaussian
from tinybar.pruning.methods.bar import BudgetAwarePenalty
from tinybar.pruning.methods.ib import price
from tinybar.pruning.methods.lagrangian import Lagrangian
from tinybar.pruning.methods.search import Priced, sparsity
from tinybar.runtime import graphs
from tinybar.runtime.arrays import to_device, to_numpy
from tinybar.train.captured import WARM_UP, Captured, gradients_of_a_stage
from tinybar.train.config import Config
from tinybar.train.data_loss import Distillation, Minibatch, cross_entropy
from tinybar.train.loop import Sums, optimizer_of
from tinybar.train.step import gradients, train_step

STEPS, SHAPE, VOLUME = WARM_UP + 5, (6, 7, 2), pruning.COSTS["volume"]


def of_budget(kind, net):
    return kind(net, VOLUME, VOLUME.full(net) // 3, STEPS)


PENALTIES = {
    "bar": (nn.HardConcrete, lambda net: of_budget(BudgetAwarePenalty, net)),
    "lagrangian": (nn.HardConcrete, lambda net: of_budget(Lagrangian, net)),
    "ib": (Gaussian, lambda net: Priced(sparsity(net, price), 1e-3)),
    "none": (None, lambda net: None),
}


def images():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((STEPS, 8, *SHAPE)).astype("f4")
    for k in range(STEPS):
        yield Minibatch(
            Tensor(to_device(x[k])), to_device(rng.integers(0, 4, 8)), to_device(np.arange(8))
        )


def trained(kind, how, loss=cross_entropy, names=("wrn-10-1",)):
    """(all arrays, records of every step) after some steps."""
    tb.seed(0)
    gate, penalty = PENALTIES[kind]
    net = nn.build(*names, 4, SHAPE, gate).train()
    term, records = penalty(net), []
    optimizer, sums = optimizer_of(net, Config(), STEPS), Sums()
    for k, batch in enumerate(images()):
        step = train_step(net, optimizer, loss, term, batch, k, gradients=how)
        sums.add(batch, *step)
        numbers = () if step.penalty is None else step.penalty[1:]
        records.append((float(step.loss_data.data), *numbers))
    return net.state_dict(), [*records, sums.state()]


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("model", ["wrn-10-1", "resnet-8"])
def test_it_is_the_same_training(kind, model, gpu):
    said = []
    expected, records = trained(kind, gradients, names=[model])
    found, again = trained(kind, captured := Captured(said.append), names=[model])
    assert not said
    assert captured.graph is not None
    assert again == records
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("cached", [True, False])
def test_with_a_teacher(cached, gpu):
    teacher = nn.build("wrn-10-1", 4, SHAPE).eval()
    all_images = to_device(np.random.default_rng(1).standard_normal((8, *SHAPE)).astype("f4"))
    loss = Distillation(teacher, all_images if cached else None, 0.9, 4.0)
    expected, _ = trained("bar", gradients, loss)
    found, _ = trained("bar", Captured(pytest.fail), loss)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_recorded_step_is_a_few_launches(gpu):
    from cupy import standin

    captured, counts = Captured(pytest.fail), []

    def how(*inputs):
        with standin.counting() as found:
            step = captured(*inputs)
        counts.append(standin.total(found, "launches"))
        return step

    trained("bar", how)
    assert counts[0] > 150
    assert counts[-1] < 50


def test_what_waits_for_the_host_is_not_recorded_and_goes_on(gpu):
    def waiting(logits, batch):
        assert np.isfinite(to_numpy(logits.data)).all()
        return cross_entropy(logits, batch)

    said = []
    expected, records = trained("lagrangian", gradients, waiting)
    found, again = trained("lagrangian", Captured(said.append), waiting)
    assert len(said) == 1
    assert said[0].startswith("steps are not recorded as a CUDA graph, and take longer: ")
    assert again == records
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_when_steps_are_recorded(gpu):
    assert isinstance(gradients_of_a_stage(None, print), Captured)
    assert gradients_of_a_stage(lambda iteration: None, print) is gradients  # not in two halves
    graphs.use_graphs("off")
    assert gradients_of_a_stage(None, print) is gradients
    graphs.use_graphs("auto")
    tb.use_device("cpu")
    assert gradients_of_a_stage(None, print) is gradients
    with pytest.raises(ValueError, match="unknown mode of graphs 'on': use one of auto, off"):
        graphs.use_graphs("on")
