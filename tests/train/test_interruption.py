"""A run that is interrupted at a step goes on from that step, and only with what it began with."""

import dataclasses
import signal
import threading

import numpy as np
import pytest
from train.toy import TINY, pruned_of, resume_toy, run_toy, toy, without_times

from tinybar.data import Augmentation, Split
from tinybar.pruning.methods import METHODS
from tinybar.runtime import random, signals
from tinybar.train.folder import RunFolder
from tinybar.train.run import Run, check, train

STEPS = 18  # of TINY: three an epoch, two epochs a stage


@pytest.fixture
def steps(monkeypatch):
    """(number of a step, from 1 -> what to do after it; the steps that were made)."""
    after_step, what, made = Run._after_step, {}, []

    def step(run, stage, progress):
        made.append(len(made) + 1)
        what.get(len(made), lambda: None)()
        after_step(run, stage, progress)

    monkeypatch.setattr(Run, "_after_step", step)
    return what, made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed, and its facts."""
    return run_toy(tmp_path_factory.mktemp("interruption") / "whole")


def terminate():
    signal.raise_signal(signal.SIGTERM)


def interrupted(run, *arguments) -> str:
    """What the signal says that ends run(*arguments)."""
    with pytest.raises(signals.Interrupted) as stopped, signals.raised():
        run(*arguments)
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())
    random.seed(99)  # whatever the next process has drawn before
    return stopped.value.where


def assert_same(folder, whole) -> None:
    assert pruned_of(folder) == pruned_of(whole)
    assert folder.teacher.read_bytes() == whole.teacher.read_bytes()
    assert without_times(folder) == without_times(whole)


@pytest.mark.parametrize("n", [5, 6, 7, STEPS])
def test_a_signal_at_a_step_loses_none(n, tmp_path, steps, whole):
    what, made = steps
    what[n] = terminate
    stage = ("teacher", "prune", "fine-tune")[(n - 1) // 6]
    where = f" at iteration {(n - 1) % 6 + 1} of stage {stage!r}"
    assert interrupted(run_toy, tmp_path / "run") == where
    folder, facts = resume_toy(tmp_path / "run")
    assert made == list(range(1, STEPS + 1))
    assert_same(folder, whole[0])
    for name in facts.keys() - {"seconds", "peak_bytes"}:
        assert np.array_equal(facts[name], whole[1][name]), name


def test_signals_at_every_step(tmp_path, steps, whole):
    what, made = steps
    what |= dict.fromkeys(range(1, STEPS + 1), terminate)
    interrupted(run_toy, tmp_path / "run")
    for _ in range(STEPS - 1):
        interrupted(resume_toy, tmp_path / "run")
    folder, _ = resume_toy(tmp_path / "run")
    assert len(made) == STEPS
    assert_same(folder, whole[0])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_in_each_of_its_stages(method, tmp_path, steps):
    """A stage has six steps; every fourth one is interrupted, the last of a stage among them."""
    what, made = steps
    config = dataclasses.replace(TINY, method=method, budget="3x")
    whole, facts = run_toy(tmp_path / "whole", config)
    count = len(made)
    made.clear()
    what |= dict.fromkeys(range(4, count, 4), terminate)
    interrupted(run_toy, tmp_path / "run", config)
    for _ in range(8, count, 4):
        interrupted(resume_toy, tmp_path / "run")
    folder, resumed = resume_toy(tmp_path / "run")
    assert len(made) == count
    assert_same(folder, whole)
    for name in facts.keys() - {"seconds", "peak_bytes"}:
        assert np.array_equal(resumed[name], facts[name]), name


def test_a_signal_while_the_epoch_is_evaluated_loses_no_step(tmp_path, steps, whole, monkeypatch):
    _, made = steps
    with monkeypatch.context() as patch:
        patch.setattr("tinybar.train.run.epoch_record", lambda *arguments: terminate())
        assert interrupted(run_toy, tmp_path / "run") == ""
    folder, _ = resume_toy(tmp_path / "run")
    assert len(made) == STEPS
    assert_same(folder, whole[0])


def test_a_checkpoint_is_written_when_it_is_time(tmp_path, steps, whole):
    """Where a process is killed at a step, those since the last checkpoint are made again."""

    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    what, made = steps
    what[5] = kill
    for minutes, again in ((60.0, 2), (1e-9, 1)):
        options = dataclasses.replace(TINY, checkpoint_minutes=minutes)
        with pytest.raises(Killed):
            run_toy(tmp_path / f"{minutes}", options)
        folder, _ = resume_toy(tmp_path / f"{minutes}")
        assert len(made) == STEPS + again
        assert_same(folder, whole[0])
        made.clear()


def test_a_damaged_checkpoint_costs_what_came_after_the_one_before_it(tmp_path, steps, whole):
    what, made = steps
    what |= {5: terminate}
    interrupted(run_toy, tmp_path / "run", dataclasses.replace(TINY, checkpoint_minutes=1e-9))
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"checkpoint.safetensors is truncated or damaged"):
        folder, _ = resume_toy(tmp_path / "run")
    assert len(made) == STEPS + 1
    assert_same(folder, whole[0])


def test_a_stage_that_has_ended_is_not_the_last_word(tmp_path, steps, whole):
    """Its last line of metrics is written again, if the checkpoint is from before that line."""
    what, _ = steps
    what[6] = terminate
    interrupted(run_toy, tmp_path / "run")
    kept = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    what[7] = terminate
    interrupted(resume_toy, tmp_path / "run")
    assert (tmp_path / "run" / "stages" / "teacher.safetensors").exists()
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(kept)
    assert_same(resume_toy(tmp_path / "run")[0], whole[0])


# --- what a run keeps to --------------------------------------------------------------------------


@pytest.fixture
def cut(tmp_path, steps):
    """A run that was interrupted: its folder."""
    steps[0][7] = terminate
    interrupted(run_toy, tmp_path / "cut")
    return RunFolder.open(tmp_path / "cut")


def resume_with(folder, config=TINY, dataset=None):
    dataset = dataset or toy()
    return train(config, dataset, folder, lambda record: None, check(config, dataset).budget)


def with_image(k, value):
    images = toy().train.images.copy()
    images[k, 0, 0, 0] = value
    return Split(images, toy().train.labels)


OTHERS = {
    "an image was changed": lambda data: {"train": with_image(3, 7)},
    "a test image was changed": lambda data: {"test": with_image(3, 7)},
    "images were removed": lambda data: {"train": data.train.subset(np.arange(45))},
    "classes were renamed": lambda data: {"classes": ("b", "a", "c")},
    "images were held out": lambda data: {"val": data.test},
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_data_is_refused(other, cut):
    dataset = dataclasses.replace(toy(), **OTHERS[other](toy()))
    before = cut.config.read_bytes()
    with pytest.raises(ValueError, match=r"is not what the run in .*cut was trained on"):
        resume_with(cut, dataclasses.replace(TINY, data="other"), dataset)
    assert cut.config.read_bytes() == before


def test_the_same_data_elsewhere_is_remembered(cut, whole):
    elsewhere = dataclasses.replace(TINY, data="elsewhere", checkpoint_minutes=1.0)
    resume_with(cut, elsewhere)
    assert cut.load_config() == elsewhere
    assert_same(cut, whole[0])


def test_a_config_that_was_edited_is_refused(cut):
    text = cut.config.read_text()
    cut.config.write_text(text.replace("weight_decay = 0.0005", "weight_decay = 0.5"))
    with pytest.raises(ValueError, match=r"--weight-decay is 0\.0005, not 0\.5"):
        resume_with(cut, cut.load_config())


def test_augmentation_without_a_thread_goes_on_too(tmp_path, steps):
    """As on a device; here there is nothing to augment."""
    plain = dataclasses.replace(toy(), augmentation=Augmentation())
    runs = []
    for name, n in (("whole", 0), ("cut", 4)):
        folder = RunFolder.create(tmp_path / name, TINY)
        steps[1].clear()
        if n:
            steps[0][n] = terminate
            interrupted(resume_with, folder, TINY, plain)
        resume_with(folder, TINY, plain)
        runs.append(folder)
    assert_same(*runs)
