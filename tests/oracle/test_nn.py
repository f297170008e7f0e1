"""The optimiser and the data loss beside PyTorch, in float64."""

import numpy as np
import pytest

import tinybar as tb
from tinybar import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

F = torch.nn.functional


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
    np.testing.assert_allclose(found.data, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-12)
