"""`tinybar predict`."""

import csv
import io
import json

import numpy as np
import pytest
from cli.common import QUICK, fails_with_one_line
from data.making import encoded, in_folder, noise

import tinybar as tb
from tinybar.cli import main

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on photographs of several sizes, of which classes differ in brightness."""
    folder = tmp_path_factory.mktemp("predict")
    images = {
        f"{split}/{name}/{k}.jpg": encoded(noise(9 + k, 16 - k, 3, seed=k) // 4 + 90 * y, "JPEG")
        for split, count in (("train", 6), ("test", 4))
        for y, name in enumerate(CLASSES)
        for k in range(count)
    }
    in_folder(folder / "photos", images)
    arguments = ["train", *QUICK, "--data", folder / "photos", "--image-size", "8"]
    places = ["--data-dir", folder / "cache", "--out", folder / "run"]
    assert main([str(a) for a in (*arguments, *places, "--batch-size", "6")]) == 0
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def told(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main(["predict", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("network", [["run"], ["run", "--teacher"], ["run/pruned.safetensors"]])
def test_a_folder_of_classes_has_the_accuracy_of_eval(capsys, network):
    found = json.loads(told(capsys, *network, "photos/test", "--json"))
    assert main(["eval", *network, "--data", "photos", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == evaluated["accuracy"]
    assert len(found["images"]) == evaluated["images"] == 12
    assert f"accuracy {100 * evaluated['accuracy']:.2f} % on 12 images" in told(
        capsys, *network, "photos/test"
    )


def test_json_has_what_load_has(capsys):
    found = json.loads(told(capsys, "run", "photos/test", "--json", "--top", "3"))["images"]
    predictor = tb.load("run")
    for image, shares in zip(found, predictor([i["path"] for i in found]), strict=True):
        order = np.argsort(-shares)
        entries = [(entry["class"], entry["probability"]) for entry in image["likeliest"]]
        assert [name for name, _ in entries] == [predictor.classes[k] for k in order]
        np.testing.assert_array_equal([share for _, share in entries], shares[order])
        assert image["label"] == image["path"].split("/")[-2]


def test_csv_is_a_row_for_each_image(capsys):
    text = told(capsys, "run", "photos/test", "--csv", "--top", "2")
    rows = list(csv.DictReader(io.StringIO(text)))
    names = ["path", "label", "class", "probability", "class_2", "probability_2"]
    assert list(rows[0]) == names
    assert [row["label"] for row in rows] == sorted(row["label"] for row in rows)
    assert len(rows) == 12
    assert all(float(r["probability"]) >= float(r["probability_2"]) > 0 for r in rows)


def test_one_image_is_a_line(capsys, folder):
    (folder / "a\nb.jpg").write_bytes((folder / "photos/test/owl/0.jpg").read_bytes())
    line, *rest = told(capsys, "run", "a\nb.jpg", "--top", "9").splitlines()
    assert not rest  # its folder is no class: there is no accuracy
    assert line.startswith("a\\nb.jpg: ")
    assert line.count(", ") == 2  # there are three classes
    text = told(capsys, "run", "a\nb.jpg", "--csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["path"], row["label"]) == ("a\nb.jpg", "")


def test_what_cannot_be_done_is_one_line(capsys, folder):
    fails_with_one_line(capsys, ["predict", "run"], 2, "IMAGE|FOLDER")
    fails_with_one_line(capsys, ["predict", "run", "none.jpg"], 2, "cannot read none.jpg")
    fails_with_one_line(capsys, ["predict", "run", "photos"], 2, "have no images", "30 not")
    both = ["predict", "run", "photos/test", "--json", "--csv"]
    fails_with_one_line(capsys, both, 2, "exclude each other")
    in_folder(folder / "damaged", {"a.png": b"no image", "b.png": encoded(noise(5, 5))[:60]})
    fails_with_one_line(capsys, ["predict", "run", "damaged"], 2, "2 of 2 images", "a.png", "b.png")


def test_what_is_passed_over_is_told(capsys, folder):
    in_folder(folder / "some", {"a.png": encoded(noise(5, 5)), "b.webp": b""})
    capsys.readouterr()
    assert main(["predict", "run", "some"]) == 0
    assert capsys.readouterr().err == "images skipped: 1 .webp\n"
