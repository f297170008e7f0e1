"""What a user writes passes type checkers in strict mode, and the package itself in mypy's default.

mypy comes with the extra `test`. pyright comes with `types` alone: it fetches itself from npm.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
UNTYPED = ("dask", "onnxruntime", "torch")  # libraries of examples that have no types of their own

USER = """
from typing import assert_type

import numpy as np

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn


class Net(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 10)

    def forward(self, x: tb.Tensor) -> tb.Tensor:
        return self.linear(ag.global_avg_pool2d(self.bn.relu(self.conv(x))))


net = assert_type(Net().eval(), Net)
assert_type(net.train(), Net)
x = tb.Tensor(np.zeros((2, 4, 4, 3), np.float32))
logits = assert_type(net(x), tb.Tensor)
assert_type(ag.relu(x), tb.Tensor)
assert_type(ag.conv2d(x, net.conv.weight, stride=(2, 1), padding=1), tb.Tensor)
assert_type(2 * x - 1 / (x + 1), tb.Tensor)
assert_type(np.float32(2) * x, tb.Tensor)
assert_type(np.ones(3) * x, tb.Tensor)
assert_type(-x @ x, tb.Tensor)
assert_type(x == 0, tb.Tensor)
assert_type(x[0], tb.Tensor)
assert_type([row for row in x], list[tb.Tensor])
with tb.no_grad():
    assert_type(nn.wide_resnet(10, 1, 3)(x), tb.Tensor)
assert_type(nn.wide_resnet(10, 1, 3).eval(), nn.WideResNet)
assert_type(tb.gradcheck(ag.sigmoid, np.zeros(3), rtol=1e-5), float)
"""

WRONG = """
import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn

x = tb.Tensor([1.0])
ag.relu(x, 3)
ag.conv2d(x, x, strides=1)
nn.Linear(2)
nn.Linear(2, 3)(x, x)
x.shape = (3,)
"""


def examples() -> dict[str, str]:
    """The Python blocks of the README and the docs, by page and number."""
    found = {}
    for page in PAGES:
        for k, code in enumerate(
            re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
        ):
            if not any(name in code for name in UNTYPED):
                found[f"{page.stem.lower()}_{k}"] = code
    return found


def folder_of(path: Path, codes: dict[str, str]) -> Path:
    for name, code in codes.items():
        (path / f"{name}.py").write_text(code, "utf-8")
    return path


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


def needs(checker: str) -> pytest.MarkDecorator:
    is_missing = importlib.util.find_spec(checker) is None
    return pytest.mark.skipif(is_missing, reason=f"{checker} is not installed")


def strict_mypy(folder: Path) -> subprocess.CompletedProcess[str]:
    """The errors of the files in the folder, and not of tinybar, as if it were installed."""
    arguments = "mypy", "--strict", "--config-file=", "--follow-imports=silent", "."
    return run(*arguments, cwd=folder)


def strict_pyright(folder: Path) -> list[str]:
    config = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    done = run("pyright", "--pythonpath", sys.executable, "--outputjson", cwd=folder)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [f"{Path(one['file']).name}: {one['message']}" for one in found]


def test_of_the_test_there_are_examples():
    assert "readme_0" in examples()
    assert "format_0" in examples()


@needs("mypy")
def test_examples_and_a_users_script_pass_mypy_in_strict_mode(tmp_path):
    done = strict_mypy(folder_of(tmp_path, examples() | {"user": USER}))
    assert done.returncode == 0, done.stdout + done.stderr


@needs("mypy")
def test_mypy_finds_wrong_calls(tmp_path):
    done = strict_mypy(folder_of(tmp_path, {"wrong": WRONG}))
    lines = {int(n) for n in re.findall(r"^wrong\.py:(\d+): error", done.stdout, re.M)}
    assert lines == {7, 8, 9, 10, 11}, done.stdout


@needs("mypy")
def test_the_package_passes_mypy():
    done = run("mypy", "tinybar", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("pyright")
def test_examples_and_a_users_script_pass_pyright_in_strict_mode(tmp_path):
    assert strict_pyright(folder_of(tmp_path, examples() | {"user": USER})) == []


@needs("pyright")
def test_pyright_finds_wrong_calls(tmp_path):
    assert len(strict_pyright(folder_of(tmp_path, {"wrong": WRONG}))) >= 5


@needs("pyright")
def test_public_types_are_known(tmp_path):
    arguments = "--verifytypes", "tinybar", "--ignoreexternal", "--outputjson"
    done = run("pyright", *arguments, "--pythonpath", sys.executable, cwd=tmp_path)
    assert json.loads(done.stdout)["typeCompleteness"]["completenessScore"] > 0.95


def test_help_shows_the_signature_of_a_primitive():
    code = "from tinybar import autograd as ag; help(ag.conv2d); help(ag.relu)"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "relu(x: " in shown
    assert "conv2d(x: " in shown
    assert "needs" not in shown.partition("\n\n")[0]  # the engine alone gives it


@pytest.mark.parametrize("room", ["autograd", "nn", "pruning", "data"])
def test_what_a_room_exports_is_there(room):
    module = importlib.import_module(f"tinybar.{room}")
    assert all(hasattr(module, name) for name in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
