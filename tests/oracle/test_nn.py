"""Whole networks and the optimiser beside PyTorch, in float64. Run where torch is installed."""

import numpy as np
import pytest

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

F = torch.nn.functional


def agree(found, expected, bound=1e-9) -> None:
    """To `bound`, relative to the largest entry."""
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * scale)


@pytest.mark.parametrize("decay", [0.0, 5e-4, 0.3])
@pytest.mark.parametrize(
    ("lr", "betas", "eps"), [(1e-3, (0.9, 0.999), 1e-8), (0.1, (0.5, 0.8), 1e-3)]
)
def test_adam_over_fifty_steps(decay, lr, betas, eps):
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape) for shape in ((3, 3, 2, 4), (7,))]
    ours = [tb.Tensor(w.copy(), requires_grad=True) for w in start]
    theirs = [torch.tensor(w, requires_grad=True) for w in start]
    one = nn.Adam(ours, lr, decay, betas, eps)
    two = torch.optim.Adam(theirs, lr, betas, eps, decay)
    for step in range(50):
        for w, v in zip(ours, theirs, strict=True):
            w.grad = rng.standard_normal(w.shape) * 10.0 ** rng.integers(-3, 3)
            v.grad = torch.tensor(w.grad)
        one.step()
        two.step()
        for w, v in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(w.data, v.detach().numpy(), rtol=1e-9, err_msg=f"{step}")


def test_distillation_loss():
    rng = np.random.default_rng(0)
    student, teacher = 4 * rng.standard_normal((2, 6, 5))
    labels, alpha, temperature = rng.integers(0, 5, 6), 0.7, 3.0
    ours, theirs = tb.Tensor(student, requires_grad=True), torch.tensor(student, requires_grad=True)
    found = nn.distillation_loss(ours, teacher, labels, alpha, temperature)
    soft = F.softmax(torch.tensor(teacher) / temperature, 1)
    expected = (1 - alpha) * F.cross_entropy(theirs, torch.tensor(labels))
    expected = expected + alpha * temperature**2 * F.cross_entropy(theirs / temperature, soft)
    found.backward()
    expected.backward()
    agree(found.data, expected, 1e-12)
    agree(ours.grad, theirs.grad, 1e-12)


class Reference(torch.nn.Module):
    """A wide ResNet of pre-activation blocks, as PyTorch users write it: channels first.

    The shortcut of a block that changes the shape reads relu(bn1(h)), and nothing has a bias but
    the last layer.
    """

    def __init__(self, depth, width, channels, classes):
        super().__init__()
        self.stem = torch.nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.blocks, c = torch.nn.ModuleList(), 16
        for group in range(3):
            for k in range((depth - 4) // 6):
                features, stride = 16 * width * 2**group, 2 if group and not k else 1
                block = torch.nn.ModuleDict(
                    {
                        "bn1": torch.nn.BatchNorm2d(c),
                        "conv1": torch.nn.Conv2d(c, features, 3, stride, 1, bias=False),
                        "bn2": torch.nn.BatchNorm2d(features),
                        "conv2": torch.nn.Conv2d(features, features, 3, 1, 1, bias=False),
                    }
                )
                if stride != 1 or c != features:
                    block["shortcut"] = torch.nn.Conv2d(c, features, 1, stride, bias=False)
                self.blocks.append(block)
                c = features
        self.bn = torch.nn.BatchNorm2d(c)
        self.linear = torch.nn.Linear(c, classes)

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            x = F.relu(block["bn1"](h))
            delta = block["conv2"](F.relu(block["bn2"](block["conv1"](x))))
            h = delta + (block["shortcut"](x) if "shortcut" in block else h)
        return self.linear(F.relu(self.bn(h)).mean((2, 3)))


def theirs_by_name(reference) -> dict:
    """Parameters and buffers by our names; gamma and beta are PyTorch's weight and bias."""
    named = dict(reference.named_parameters()) | dict(reference.named_buffers())
    found = {}
    for name, value in named.items():
        owner, _, last = name.rpartition(".")
        if "bn" in owner.rpartition(".")[2]:
            last = {"weight": "gamma", "bias": "beta"}.get(last, last)
        if last != "num_batches_tracked":
            found[f"{owner}.{last}"] = value
    return found


def in_our_order(value):
    """(K, C, H, W) -> (H, W, C, K), and a linear layer's (K, F) -> (F, K)."""
    return value.permute(2, 3, 1, 0) if value.ndim == 4 else value.T if value.ndim == 2 else value


@pytest.mark.parametrize(("depth", "width", "shape"), [(10, 1, (8, 8, 3)), (16, 2, (7, 5, 1))])
@pytest.mark.parametrize("training", [True, False])
def test_a_network_forward_and_backward(depth, width, shape, training):
    rng = np.random.default_rng(0)
    model = nn.wide_resnet(depth, width, 5, shape).astype(np.float64).train(training)
    reference = Reference(depth, width, shape[2], 5).double().train(training)
    theirs, ours = theirs_by_name(reference), dict(model.named_parameters())
    buffers = dict(model.named_buffers())
    assert theirs.keys() == ours.keys() | buffers.keys()
    with torch.no_grad():
        for name, value in theirs.items():
            if name in ours:
                noise = 0.3 * rng.standard_normal(ours[name].shape)
            else:
                noise = rng.uniform(0, 1, buffers[name].shape)
            array = ours[name].data if name in ours else buffers[name]
            array += noise
            in_our_order(value).copy_(torch.tensor(array))

    images, labels = rng.standard_normal((4, *shape)), rng.integers(0, 5, 4)
    x = tb.Tensor(images, requires_grad=True)
    y = torch.tensor(images.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    logits, expected = model(x), reference(y)
    agree(logits.data, expected)
    loss, expected_loss = (
        ag.cross_entropy(logits, labels),
        F.cross_entropy(expected, torch.tensor(labels)),
    )
    loss.backward()
    expected_loss.backward()
    agree(loss.data, expected_loss)
    agree(x.grad, y.grad.permute(0, 2, 3, 1))
    for name, parameter in ours.items():
        agree(parameter.grad, in_our_order(theirs[name].grad))
    for name, buffer in buffers.items():
        agree(buffer, theirs[name])
