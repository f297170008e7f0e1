"""NaN and infinity are told at the step that makes them, with their name; nothing else is."""

import zlib

import numpy as np
import pytest
from train.toy import TINY, toy

from tinybar import nn
from tinybar.autograd import Tensor
from tinybar.kernels import dispatch
from tinybar.nn import Adam
from tinybar.pruning import COSTS
from tinybar.pruning.methods.bar import BudgetAwarePenalty
from tinybar.runtime import random
from tinybar.train.config import Config
from tinybar.train.data_loss import Distillation, cross_entropy
from tinybar.train.errors import DivergenceError
from tinybar.train.finite import Watch
from tinybar.train.images import Images
from tinybar.train.loop import Progress, Stage, Sums, check_finite, optimizer_of, train_epoch

PER_EPOCH = 48 // 16


@pytest.fixture(params=[False, True], ids=["plain", "compiled"], autouse=True)
def compiled(request):
    dispatch.enable(request.param)
    yield
    dispatch.enable(False)


def stage_of(data_loss=cross_entropy, skip_closed=False, gate=nn.HardConcrete):
    net = nn.build("wrn-10-1", 3, (6, 6, 1), gate)
    if skip_closed:
        nn.skip_closed(net)
    penalty = BudgetAwarePenalty(net, COSTS["volume"], 800, 6) if gate else None
    config = Config(**{**vars(TINY), "gate_lr": 0.5})
    return Stage("prune", 2, net, optimizer_of(net, config, 6), data_loss, lambda e: 1e-3, penalty)


def train(stage, planted=None, at=None):
    """Two epochs, in which `planted` is called before the forward pass of iteration `at`."""
    forward, count, net = stage.net.forward, iter(range(2 * PER_EPOCH)), stage.net

    def planting(x):
        if next(count, None) == at and planted:
            planted(x)
        return forward(x)

    net.forward = planting
    images = Images(toy())
    with np.errstate(over="ignore", invalid="ignore"):
        for epoch in range(2):
            train_epoch(stage, images, 16, progress := Progress(epoch), lambda *_: None)
            check_finite(stage, progress)


def told(stage, at, text, **options) -> None:
    """That what is planted at iteration `at` is told there, before the weights change."""
    place = f"in epoch {at // PER_EPOCH + 1}, iteration {at % PER_EPOCH + 1} of stage 'prune'"
    with pytest.raises(DivergenceError, match=f"^{text} {place}") as caught:
        train(stage, at=at, **options)
    assert max(stage.optimizer.t) == at
    return str(caught.value)


AT = 4  # the second step of the second epoch


def plant(stage, name, value=np.nan):
    arrays = {**{n: p.data for n, p in stage.net.named_parameters()},
              **dict(stage.net.named_buffers())}  # fmt: skip
    arrays[name].flat[-1] = value


@pytest.mark.parametrize("name", ["stem.weight", "blocks.1.conv2.weight", "linear.bias",
                                  "blocks.2.bn2.gamma", "bn.running_mean", "bn.running_var",
                                  "blocks.0.gate1.log_alpha", "stem_gate.log_alpha"])  # fmt: skip
@pytest.mark.parametrize("skip_closed", [False, True])
def test_a_nan_in_a_weight_a_gate_or_a_statistic(name, skip_closed):
    if skip_closed and "conv" in name:
        pytest.skip("a channel that is left out is looked at before a checkpoint is written")
    stage, at = stage_of(skip_closed=skip_closed), 1 + zlib.crc32(name.encode()) % 5  # any step
    text = told(stage, at, f"{name} is not finite", planted=lambda x: plant(stage, name))
    assert ("--gate-lr than 0.5" if "gate" in name else "--lr than 0.001") in text


def test_a_nan_in_an_image():
    indices = []

    def loss(logits, batch):
        indices.append(batch.index)
        return cross_entropy(logits, batch)

    def planted(x):
        x.data[5, 2, 3, 0] = np.nan

    text = told(stage_of(loss), AT, r"training image \d+ is not finite", planted=planted)
    assert text.startswith(f"training image {indices[-1][5]} ")
    assert text.endswith("look at the data")


@pytest.mark.parametrize(
    ("at", "advice"), [(0, "the weights that training began with"), (AT, "lower --lr than 0.001")]
)
def test_activations_that_overflow(at, advice):
    stage = stage_of(gate=None)

    def planted(x):
        stage.net.blocks[0].conv1.weight.data[...] = 3e38

    what = "the output of blocks.0.conv1 is not finite"
    assert told(stage, at, what, planted=planted).endswith(advice)


def test_a_gradient_that_overflows():
    def scaled(logits, batch):
        return cross_entropy(logits, batch) * 1e38

    text = told(stage_of(scaled, gate=None), 0, r"the gradient of linear.\w+ reaches \S+")
    assert "(data loss 1" in text or "e+38)" in text


def test_a_gradient_that_alone_is_not_finite():
    """It is told at the next step, by the weight that it has made."""
    stage = stage_of(gate=None)

    class Planting(Adam):
        def step(self):
            if self.t[0] == 3:
                stage.net.blocks[1].conv1.weight.grad.flat[7] = np.inf
            super().step()

    stage.optimizer = Planting(stage.net.parameters())
    place = "in epoch 2, iteration 2 of stage 'prune'"
    with pytest.raises(DivergenceError, match=f"^blocks.1.conv1.weight is not finite {place}"):
        train(stage)


def test_a_gradient_whose_square_overflows():
    def scaled(logits, batch):
        return cross_entropy(logits, batch) * 1e25

    told(stage_of(scaled, gate=None), 0, r"the gradient of linear.\w+ reaches \S+e\+2\d")


def test_a_teacher_whose_logits_are_not_finite():
    teacher = nn.build("wrn-10-1", 3, (6, 6, 1)).eval()
    teacher.linear.bias.data[1] = np.inf
    stage = stage_of(Distillation(teacher, None, 0.9, 4.0))
    text = told(stage, 0, "of the teacher, linear.bias is not finite")
    assert text.endswith("look at the teacher's weights")


def test_a_penalty_that_overflows():
    stage = stage_of()
    stage.penalty.weight = 1e38
    assert "--lambda" in told(stage, 0, "the penalty is not finite")


def test_large_values_are_no_fault():
    """Their squares overflow, they do not."""
    stage = stage_of(gate=None)
    train(stage, at=1, planted=lambda x: plant(stage, "bn.running_var", 1e25))
    assert max(stage.optimizer.t) == 6


def test_looking_changes_nothing(monkeypatch):
    states = []
    for check in (Watch.check, lambda *_: None):
        monkeypatch.setattr(Watch, "check", check)
        random.seed(0)
        train(stage := stage_of())
        states.append(stage.net.state_dict())
    assert all(np.array_equal(a, states[1][name]) for name, a in states[0].items())


def test_a_checkpoint_holds_finite_values_only():
    stage = stage_of()
    train(stage)
    stage.optimizer.v[3][...] = np.inf
    with pytest.raises(
        DivergenceError, match=r"^Adam's moment of blocks.0.conv1.weight is not fini"
    ):
        check_finite(stage, Progress(2))


def test_on_a_gpu_the_sums_hold_the_first_iteration():
    """There nothing is looked at before the sums are read."""
    sums, progress = Sums(), Progress(1)
    for k in range(5):
        loss = Tensor(np.float32(np.nan if k == 3 else 1))
        sums.add(type("B", (), {"index": [0], "labels": 0}), Tensor(np.ones((1, 2))), loss, None)
    progress.sums, progress.done = sums, 5
    with pytest.raises(DivergenceError, match="in epoch 2, iteration 4 of stage 'prune'"):
        check_finite(stage_of(), progress)
