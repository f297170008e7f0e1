"""Teachers from files: a new head, their own normalisation, their accuracy before training."""

from dataclasses import replace

import numpy as np
import pytest
from nn.test_pretrained import theirs
from safetensors.numpy import save_file
from train.toy import TINY, metrics_of, pruned_of, resume_toy, run_toy, toy, without_times

from tinybar import nn
from tinybar.data import load
from tinybar.runtime.files import FileError
from tinybar.train.config import Config
from tinybar.train.evaluate import evaluate
from tinybar.train.folder import RunFolder
from tinybar.train.images import Images
from tinybar.train.models import load_model
from tinybar.train.run import check, train
from tinybar.train.teachers import fit_head, start_of

OWN = {"mean": "[0.25]", "std": "0.125"}  # of a file's images


class Heard:
    """What a listener is told, in order."""

    def __init__(self):
        self.said = []

    def __call__(self, record):
        self.said.append(record["stage"])

    def note(self, line):
        self.said.append(line)


def foreign(path, outputs, metadata=None):
    """Write a wrn-10-1 with random weights under PyTorch's names."""
    made = nn.wide_resnet(10, 1, outputs, (6, 6, 1)).eval()
    save_file(theirs(made, [1, 1, 1]), path, metadata)
    return made


def with_teacher(path, **options) -> Config:
    return Config(**{**vars(TINY), "teacher": str(path), **options})


@pytest.fixture
def of_seven(tmp_path):
    path = tmp_path / "seven.safetensors"
    return path, foreign(path, 7, OWN)


def test_a_new_head_is_fitted_shown_and_trained(of_seven, tmp_path):
    path, made = of_seven
    heard, config = Heard(), with_teacher(path, lr=1e-12)
    folder, facts = run_toy(tmp_path / "run", config, heard)
    shown, plan, *stages = heard.said
    assert shown.startswith(f"{path}: test accuracy ")
    assert "a new head, fitted to its features: its own is for 7 outputs, toy has 3" in shown
    assert shown.endswith("; mean and std 0.25 and 0.125")
    assert plan == "all of it is trained now: --teacher-epochs 2"
    assert stages[:2] == ["teacher"] * 2
    assert check(config, toy()).epochs == len(metrics_of(folder.path)) == 6
    # at a learning rate of nearly zero, the trunk is the file's and the head the fitted one
    teacher = load_model(folder.teacher)[0]
    np.testing.assert_allclose(teacher.stem.weight.data, made.stem.weight.data, rtol=1e-4)
    start = start_of(config, toy(), None)
    images = Images(start.dataset(toy()))
    fit_head(start.net, images)
    np.testing.assert_allclose(teacher.linear.bias.data, start.net.linear.bias.data, rtol=1e-3)
    assert f"{100 * images.test_accuracy(start.net):.2f} %" in shown
    assert images.test_accuracy(start.net) > 0.6  # features of random weights; chance is 0.33
    assert facts["accuracy_start"] == images.test_accuracy(start.net)
    said = any("with a new head alone" in line for line in facts["warnings"])
    assert said == (facts["accuracy_teacher"] < facts["accuracy_start"])


def test_a_head_that_fits_is_kept_and_its_accuracy_shown_first(tmp_path):
    path = tmp_path / "three.safetensors"
    foreign(path, 3)
    heard = Heard()
    _, facts = run_toy(tmp_path / "run", with_teacher(path), heard)
    accuracy = f"{100 * facts['accuracy_teacher']:.2f} %"
    expected = "mean and std of the training images, as the file has none"
    assert heard.said[0] == f"{path}: test accuracy {accuracy}; {expected}"
    assert "teacher" not in heard.said


def test_the_file_s_mean_and_std_are_those_of_all_networks(tmp_path):
    path = tmp_path / "three.safetensors"
    made = foreign(path, 3, OWN)
    folder, facts = run_toy(tmp_path / "run", with_teacher(path))
    data = toy()
    x = (data.test.images.astype(np.float32) / 255 - 0.25) / 0.125
    logits = nn.predict(made, nn.Parameter(x)).data
    assert facts["accuracy_teacher"] == (logits.argmax(1) == data.test.labels).mean()
    for network in (folder.teacher, folder.pruned):
        about = load_model(network)[1]
        assert (about["mean"], about["std"]) == ([0.25], [0.125])


def test_a_run_s_own_teacher_brings_its_mean_and_std(tmp_path):
    first, _ = run_toy(tmp_path / "first")
    dimmed = toy()
    dimmed.train.images[...] //= 2  # and those of the test, which are the same array
    config = with_teacher(first.teacher)
    assert np.allclose(dimmed.mean, toy().mean / 2, atol=0.01)
    folder = RunFolder.create(tmp_path / "second", config)
    train(config, dimmed, folder, lambda record: None, check(config, dimmed).budget)
    assert load_model(folder.pruned)[1]["mean"] == toy().mean.tolist()


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_run_with_a_new_head_resumes_bit_for_bit(of_seven, tmp_path, after):
    """In the teacher's stage, between two stages, and in pruning, where the file may be gone."""
    config, count = with_teacher(of_seven[0]), iter(range(1, after + 1))
    whole, facts = run_toy(tmp_path / "whole", config)

    def stop(record):
        if next(count) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "cut", config, stop)
    if after > 2:
        of_seven[0].unlink()
    folder = RunFolder.open(tmp_path / "cut")
    assert check(config, toy(), folder).epochs == 6
    cut, again = resume_toy(tmp_path / "cut")
    assert pruned_of(cut) == pruned_of(whole)
    assert cut.teacher.read_bytes() == whole.teacher.read_bytes()
    assert without_times(cut) == without_times(whole)
    assert again["accuracy_teacher"] == facts["accuracy_teacher"]


def test_other_classes_of_the_same_number_get_a_new_head(tmp_path):
    first, _ = run_toy(tmp_path / "first")
    others = replace(toy(), classes=("x", "y", "z"))
    start = start_of(with_teacher(first.teacher), others, None)
    assert start.other_head == "3 classes (a, b, c)"


def test_without_the_file_nothing_begins(of_seven):
    of_seven[0].unlink()
    with pytest.raises(FileError, match="no such file"):
        check(with_teacher(of_seven[0]), toy())


def test_a_pruned_network_is_judged_as_it_was_trained(of_seven, tmp_path):
    """`tinybar eval` reads mean and std from the network's own file."""
    options = {"data": "digits", "epochs": (1, 0, 0), "teacher_epochs": 1}
    config, digits = with_teacher(of_seven[0], **options), load("digits")
    folder = RunFolder.create(tmp_path / "run", config)
    facts = train(config, digits, folder, lambda r: None, check(config, digits).budget)
    assert evaluate(folder.path, None, False)["accuracy"] == pytest.approx(facts["accuracy"])
