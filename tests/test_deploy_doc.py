"""What docs/deploy.md and README.md show of deployment runs, as it is printed there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli.common import QUICK
from data.making import encoded, in_folder, noise, tree

from tinybar.cli import main

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.oracle

ROOT = Path(__file__).resolve().parents[1]


def blocks(name: str, heading: str) -> list[str]:
    """The Python of a section."""
    section = re.split(r"^## ", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(f"{heading}\n"))
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photographs, a short run on them, and its file for onnxruntime."""
    folder = tmp_path_factory.mktemp("deploy")
    in_folder(folder / "photos", tree((40, 50, 3), per_class=12, suffix="jpg"))
    photographs = {f"{name}.jpg": encoded(noise(70, 90, 3), "JPEG") for name in ("cat", "dog")}
    in_folder(folder, photographs | {"photo.jpg": photographs["cat.jpg"]})
    arguments = ["train", *QUICK, "--data", folder / "photos", "--image-size", "16"]
    places = ["--data-dir", folder / "cache", "--out", folder / "run"]
    assert main([str(a) for a in (*arguments, *places)]) == 0
    assert main(["export", str(folder / "run"), "-o", str(folder / "net.onnx")]) == 0
    return folder


def printed(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(folder: Path, capsys) -> str:
    capsys.readouterr()
    assert main(["predict", str(folder / "run"), str(folder / "cat.jpg")]) == 0
    return capsys.readouterr().out.split()[1]


def test_onnxruntime_says_what_predict_says(folder, capsys):
    (code,) = blocks("docs/deploy.md", "onnxruntime in Python")
    assert printed(folder, code).strip() == answer(folder, capsys)


def test_the_readme(folder, capsys):
    train, elsewhere = blocks("README.md", "Deploy")
    quick = 'budget="16x", epochs=(1, 1, 0), teacher_epochs=1, batch_size=8'
    small = train.replace('"wrn-16-4"', '"wrn-10-1"').replace('budget="16x"', quick)
    assert "('cat', 'dog') [[" in printed(folder, small)
    assert printed(folder, elsewhere).strip() in ("cat", "dog")


def test_int8(folder):
    (code,) = blocks("docs/deploy.md", "INT8")
    printed(folder, code)
    (again,) = blocks("docs/deploy.md", "onnxruntime in Python")
    assert printed(folder, again.replace("net.onnx", "int8.onnx")).strip() in ("cat", "dog")
