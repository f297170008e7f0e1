"""`tinybar eval`."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from cli.common import QUICK, fails_with_one_line
from data.making import encoded, idx, in_folder, in_zip, noise, tree
from safetensors.numpy import save_file

from tinybar import nn
from tinybar.autograd.conv import choose_algorithm
from tinybar.autograd.windows import Geometry
from tinybar.cli import main
from tinybar.data import Normalised, load
from tinybar.train.images import accuracy
from tinybar.train.models import load_model, save_model


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


def digit_files(labels="0123456789") -> dict[str, np.ndarray]:
    """The digits of the test split as images of 0 to 255, by the path of their file."""
    digits = load("digits").test
    pixels = np.round(digits.images[..., 0] * (255 / 16)).astype(np.uint8)
    named = enumerate(zip(pixels, digits.labels, strict=True))
    return {f"test/{y}/{k}.png": x for k, (x, y) in named if str(y) in labels}


def evaluated(capsys, *arguments) -> dict:
    assert main(["eval", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A run whose teacher has learnt something; not more than a run needs otherwise."""
    folder = tmp_path_factory.mktemp("eval") / "taught"
    assert main(["train", *QUICK, "--batch-size", "64", "--out", str(folder)]) == 0
    return str(folder)


@pytest.mark.parametrize("form", ["grey", "colour", "enlarged", "archive"])
def test_images_in_files_are_made_to_what_the_network_takes(form, taught, capsys, tmp_path):
    """The digits again, without a training split, on another scale, in another form."""
    images = digit_files()
    if form == "colour":
        images = {name: np.dstack([image] * 3) for name, image in images.items()}
    if form == "enlarged":
        images = {name: image.repeat(3, 0).repeat(3, 1) for name, image in images.items()}
    make = in_zip if form == "archive" else in_folder
    path = make(tmp_path / "images", {name: encoded(image) for name, image in images.items()})
    own = evaluated(capsys, taught, "--teacher")
    found = evaluated(capsys, taught, "--teacher", "--data", str(path))
    assert (found["images"], found["dataset"]) == (360, "images")
    assert found["accuracy"] == pytest.approx(own["accuracy"], abs=0.02)
    assert own["accuracy"] > 0.4  # chance is 0.1


def test_some_of_the_classes_are_enough(taught, capsys, tmp_path, monkeypatch):
    """A label is the place of its name among the network's classes, not among those found."""
    images = {name: encoded(image) for name, image in digit_files("37").items()}
    monkeypatch.chdir(tmp_path)
    in_folder(tmp_path / "two", images | {"test/3/a.webp": b""})
    assert main(["eval", taught, "--teacher", "--data", "two", "--json"]) == 0
    out, err = capsys.readouterr()
    model, about = load_model(Path(taught) / "teacher.safetensors")
    digits = load("digits")
    chosen = np.isin(digits.test.labels, (3, 7))
    images = Normalised(digits.test.images[chosen], about["mean"], about["std"], 16)
    expected = accuracy(model, images, digits.test.labels[chosen])
    assert json.loads(out)["accuracy"] == pytest.approx(expected, abs=0.03)
    assert expected > 0.3
    assert err == "images skipped in 'two': 1 .webp\n"


def test_the_folder_for_data_is_the_run_s(run, tmp_path):
    text = (run / "config.toml").read_text()
    kept = re.sub("(?m)^data_dir = .*$", f"data_dir = '{tmp_path / 'kept'}'", text)
    (run / "config.toml").write_text(kept)
    in_folder(tmp_path / "two", tree((8, 8), classes=("3", "7")))
    assert main(["eval", "run", "--data", "two"]) == 0
    assert len(list((tmp_path / "kept").glob("two-*.npy"))) == 1


def test_classes_that_the_network_does_not_know(run, capsys, tmp_path):
    in_folder(tmp_path / "images", tree(classes=("0", "cat")))
    arguments = ["eval", "run", "--data", "images"]
    fails_with_one_line(capsys, arguments, 2, "the classes of images differ", "not know cat")


def test_a_data_set_of_another_shape(run, capsys, tmp_path):
    labels = np.arange(20) % 10
    arrays = {"images-idx3": noise(20, 7, 6), "labels-idx1": labels}
    parts = [f"{part}-{name}" for part in ("train", "t10k") for name in arrays]
    in_folder(tmp_path, {f"{p}-ubyte.gz": idx(arrays[p.partition("-")[2]]) for p in parts})
    arguments = ["eval", "run", "--data", "mnist", "--data-dir", "."]
    words = "takes images (8, 8, 1), but those of mnist are (7, 6, 1)"
    fails_with_one_line(capsys, arguments, 2, words)


def test_a_single_file_does_not_know_where_its_images_are(run, capsys, tmp_path):
    in_folder(tmp_path / "pets", tree((8, 8)))
    pets = load("pets")
    save_model(tmp_path / "net", nn.build("wrn-10-1", 2, (8, 8, 1)), pets)
    fails_with_one_line(capsys, ["eval", "net"], 2, "trained on 'pets': say where", "--data PATH")
    assert evaluated(capsys, "net", "--data", "pets")["images"] == 4


def test_grey_images_for_a_network_in_colour(run, capsys, tmp_path):
    """Without a training split; for training, they would make a data set of one channel."""
    in_folder(tmp_path / "pets", tree((8, 8, 3)))
    save_model(tmp_path / "net", nn.build("wrn-10-1", 2, (8, 8, 3)), load("pets"))
    grey = {name: c for name, c in tree((9, 7)).items() if name.startswith("test")}
    in_folder(tmp_path / "grey", grey)
    assert evaluated(capsys, "net", "--data", "grey")["images"] == 4
