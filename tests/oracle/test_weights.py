"""Weights of PyTorch networks, as PyTorch's users name them: the same logits in tinybar."""

import numpy as np
import pytest

import tinybar as tb
from tinybar import nn
from tinybar.nn.pretrained import load_weights

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

import torch.nn.functional as F  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

Conv, Norm, Sequential = torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Sequential


class Bottleneck(torch.nn.Module):
    """As torchvision has it: the stride in the 3x3."""

    def __init__(self, c_in, inner, stride):
        super().__init__()
        outer = 4 * inner
        self.conv1, self.bn1 = Conv(c_in, inner, 1, bias=False), Norm(inner)
        self.conv2, self.bn2 = Conv(inner, inner, 3, stride, 1, bias=False), Norm(inner)
        self.conv3, self.bn3 = Conv(inner, outer, 1, bias=False), Norm(outer)
        changes = stride != 1 or c_in != outer
        short = [Conv(c_in, outer, 1, stride, bias=False), Norm(outer)]
        self.downsample = Sequential(*short) if changes else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.bn1 = Conv(3, 64, 7, 2, 3, bias=False), Norm(64)
        c, groups = 64, ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
        for g, (inner, count, stride) in enumerate(groups, 1):
            blocks = []
            for k in range(count):
                blocks.append(Bottleneck(c, inner, stride if k == 0 else 1))
                c = 4 * inner
            setattr(self, f"layer{g}", Sequential(*blocks))
        self.fc = torch.nn.Linear(c, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class WideBlock(torch.nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.bn1, self.conv1 = Norm(c_in), Conv(c_in, c_out, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = Norm(c_out), Conv(c_out, c_out, 3, 1, 1, bias=False)
        changes = c_in != c_out
        self.convShortcut = Conv(c_in, c_out, 1, stride, bias=False) if changes else None

    def forward(self, x):
        y = F.relu(self.bn1(x))
        x = x if self.convShortcut is None else self.convShortcut(y)
        return x + self.conv2(F.relu(self.bn2(self.conv1(y))))


class WideGroup(torch.nn.Module):
    def __init__(self, c_in, c_out, count, stride):
        super().__init__()
        first = WideBlock(c_in, c_out, stride)
        self.layer = Sequential(first, *(WideBlock(c_out, c_out, 1) for _ in range(count - 1)))

    def forward(self, x):
        return self.layer(x)


class WideResNet(torch.nn.Module):
    def __init__(self, depth, width, classes):
        super().__init__()
        n = (depth - 4) // 6
        self.conv1 = Conv(3, 16, 3, 1, 1, bias=False)
        self.block1 = WideGroup(16, 16 * width, n, 1)
        self.block2 = WideGroup(16 * width, 32 * width, n, 2)
        self.block3 = WideGroup(32 * width, 64 * width, n, 2)
        self.bn1, self.fc = Norm(64 * width), torch.nn.Linear(64 * width, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "name", "size"),
    [
        (lambda: ResNet50(7), "resnet50", 64),
        (lambda: WideResNet(16, 4, 7), "wrn-16-4", 32),
        (lambda: WideResNet(28, 2, 7), "wrn-28-2", 32),
    ],
)
def test_the_same_logits(make, name, size, tmp_path):
    torch.manual_seed(0)
    theirs = make()
    x = torch.randn(4, 3, size, size)
    with torch.no_grad():
        for _ in range(3):
            theirs(x)  # lived-in running statistics
        expected = theirs.eval()(x).numpy()
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    model = nn.build(name, 7, (size, size, 3)).eval()
    load_weights(model, tmp_path / "net.safetensors")
    with tb.no_grad():
        found = model(tb.Tensor(np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy()))).numpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
