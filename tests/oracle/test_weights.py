"""Weights of PyTorch networks, as PyTorch's users name them: the same logits in tinybar."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinybar as tb
from tinybar import nn
from tinybar.cli import main
from tinybar.nn.pretrained import load_weights

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

import torch.nn.functional as F  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from tinybar.train.models import load_model  # noqa: E402

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


class PaddingBlock(torch.nn.Module):
    """Of a small ResNet; where the shape changes, the shortcut has no parameters (option A)."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1, self.bn1 = Conv(c_in, c_out, 3, stride, 1, bias=False), Norm(c_out)
        self.conv2, self.bn2 = Conv(c_out, c_out, 3, 1, 1, bias=False), Norm(c_out)
        self.stride, self.shortcut = stride, Sequential()
        self.zeros = (c_out - c_in) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        x = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(x, (0, 0, 0, 0, self.zeros, self.zeros)))


class PaddingResNet(torch.nn.Module):
    def __init__(self, depth, classes):
        super().__init__()
        self.conv1, self.bn1, c = Conv(3, 16, 3, 1, 1, bias=False), Norm(16), 16
        for g, c_out in enumerate((16, 32, 64), 1):
            blocks = []
            for k in range((depth - 2) // 6):
                blocks.append(PaddingBlock(c, c_out, 2 if g > 1 and k == 0 else 1))
                c = c_out
            setattr(self, f"layer{g}", Sequential(*blocks))
        self.linear = torch.nn.Linear(64, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def lived_in(make, size):
    """A network with running statistics of its own."""
    torch.manual_seed(0)
    made = make()
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(4, 3, size, size))
    return made.eval()


@pytest.mark.parametrize(
    ("make", "name", "size"),
    [
        (lambda: ResNet50(7), "resnet50", 64),
        (lambda: WideResNet(16, 4, 7), "wrn-16-4", 32),
        (lambda: WideResNet(28, 2, 7), "wrn-28-2", 32),
        (lambda: PaddingResNet(20, 7), "resnet-20", 32),
        (lambda: PaddingResNet(8, 7), "resnet-8", 9),
    ],
)
def test_the_same_logits(make, name, size, tmp_path):
    theirs = lived_in(make, size)
    x = torch.randn(4, 3, size, size)
    with torch.no_grad():
        expected = theirs(x).numpy()
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    model = nn.build(name, 7, (size, size, 3)).eval()
    load_weights(model, tmp_path / "net.safetensors")
    with tb.no_grad():
        found = model(tb.Tensor(np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy()))).numpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


DOC = (Path(__file__).parents[2] / "docs" / "weights.md").read_text("utf-8")
CONVERSIONS = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """24 images of three classes, which differ in colour, for training, and as many for tests."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split in ("train", "test"):
        for k, name in enumerate(("blue", "green", "red")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for n in range(8):
                pixels = rng.integers(0, 200, (32, 32, 3), dtype=np.uint8)
                pixels[..., 2 - k] += 50
                Image.fromarray(pixels).save(folder / f"{n}.png")
    return root


def three_lines(k, made, tmp_path, monkeypatch):
    """Convert the network as docs/weights.md says: the path of the safetensors file."""
    monkeypatch.chdir(tmp_path)
    code = CONVERSIONS[k]
    state = made.state_dict()
    (source,) = re.findall(r'"(\w+\.pth)"', code)
    torch.save({"epoch": 3, "state_dict": state} if "state_dict" in code else state, source)
    exec(code, {})
    (path,) = tmp_path.glob("*.safetensors")
    return path


@pytest.mark.parametrize(
    ("k", "make", "name", "outputs"),
    [
        pytest.param(0, lambda: ResNet50(1000), "resnet50", "1,000", marks=pytest.mark.slow),
        (1, lambda: WideResNet(16, 4, 10), "wrn-16-4", "10"),
        (2, lambda: PaddingResNet(20, 10), "resnet-20", "10"),
    ],
    ids=["resnet50", "wide", "option A"],
)
def test_from_a_pth_file_to_onnxruntime(
    k, make, name, outputs, photos, tmp_path, monkeypatch, capsys
):
    """Converted as the page says, shown, given a new head, pruned, and exported."""
    path = three_lines(k, lived_in(make, 32), tmp_path, monkeypatch)
    command = f"train --data {photos} --model {name} --teacher {path} --init-from-teacher --out run"
    options = "--teacher-epochs 1 --epochs 1 0 0 --batch-size 8 --budget 0.998 --gate-lr 1e-3"
    assert main([*command.split(), *options.split()]) == 0
    out = capsys.readouterr().out
    shown, trained = out.index(f"{path}: test accuracy "), out.index("teacher   1/1")
    assert shown < trained
    assert f"its own is for {outputs} outputs, {photos.name} has 3 classes" in out
    assert re.search(r"mean and std 0\.4\d+ 0\.4\d+ 0\.4\d+ and 0\.2\d+ 0\.2\d+ 0\.2\d+", out)
    onnxruntime = pytest.importorskip("onnxruntime")
    from tinybar.deploy import to_onnx

    model, about = load_model(tmp_path / "run" / "pruned.safetensors")
    assert about["classes"] == ["blue", "green", "red"]
    x = np.random.default_rng(1).standard_normal((2, 32, 32, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    (found,) = session.run(None, {"images": x})
    expected = nn.predict(model, tb.Tensor(x)).data
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
