"""`tinybar eval`."""

import json
import os

import numpy as np
import pytest
from cli.common import fails_with_one_line
from PIL import Image
from safetensors.numpy import save_file

from tinybar.autograd.conv import choose_algorithm
from tinybar.autograd.windows import Geometry
from tinybar.cli import main


def test_accuracy_and_costs(run, capsys):
    result = json.loads((run / "result.json").read_text())
    assert main(["eval", "run"]) == 0
    out = capsys.readouterr().out
    assert f"test accuracy {100 * result['accuracy']:.2f} % on 360 images of digits" in out
    assert f"volume {result['volume']:,}, FLOPs {result['flops']:,}" in out
    assert main(["eval", "run/pruned.safetensors", "--json"]) == 0  # it names its data set
    assert json.loads(capsys.readouterr().out)["accuracy"] == result["accuracy"]


def test_the_algorithm_of_the_convolutions(run, capsys):
    assert main(["eval", "run", "--conv-algorithm", "gather"]) == 0
    assert choose_algorithm(Geometry.of(3, 1, 1), (1, 8, 8, 1), (3, 3, 1, 1)) == "gather"
    capsys.readouterr()
    fails_with_one_line(capsys, ["eval", "run", "--conv-algorithm", "x"], 2, "one of auto, gather")


def test_damaged_networks(run, capsys):
    pruned = run / "pruned.safetensors"
    whole = pruned.read_bytes()
    for content in (whole[:1000], whole[:-4], b"", b"something else", os.urandom(300)):
        pruned.write_bytes(content)
        fails_with_one_line(capsys, ["eval", "run"], 2, "pruned.safetensors", "damaged")
        fails_with_one_line(capsys, ["info", "run"], 2, "pruned.safetensors", "damaged")
    pruned.unlink()
    fails_with_one_line(capsys, ["eval", "run"], 2, "no such file: run", "pruned.safetensors")


def test_a_network_of_another_program(run, capsys):
    save_file({"weight": np.zeros(3)}, run / "pruned.safetensors")
    fails_with_one_line(capsys, ["eval", "run"], 2, "was not written by tinybar")


def test_a_single_file_has_no_teacher(run, capsys):
    arguments = ["eval", "run/pruned.safetensors", "--teacher"]
    fails_with_one_line(capsys, arguments, 2, "--teacher needs the folder of a run")


@pytest.mark.parametrize(
    ("mode", "size", "labels", "message"),
    [
        ("RGB", (9, 8), "0123456789", "(8, 8, 1) of 10 classes, images has (8, 9, 3) and 10"),
        ("L", (8, 8), "abcdefghij", "the classes of images differ"),
    ],
)
def test_a_data_set_that_does_not_fit(mode, size, labels, message, run, capsys, tmp_path):
    for part in ("train", "test"):
        for label in labels:
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            Image.new(mode, size).save(folder / "a.png")
    fails_with_one_line(capsys, ["eval", "run", "--data", "images"], 2, message)
