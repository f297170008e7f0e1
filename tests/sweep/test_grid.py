"""A grid gives the runs that it asks for, under names that say which result they will have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.pruning.methods import METHODS
from tinybar.sweep.grid import GRIDS, load_grid, teacher_job
from tinybar.train.config import Config, load_preset
from tinybar.train.options import options_of

SHIPPED = sorted(path.stem for path in GRIDS.glob("*.toml"))


def grid(tmp_path, text):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return load_grid(str(path))


def names(tmp_path, text):
    return [job.name for job in grid(tmp_path, text)]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_grids_are_of_runs_that_can_be(name):
    jobs = load_grid(name)
    methods = {job.config.method for job in jobs}
    assert methods == (set(METHODS) if name != "quick" else {"bar", "scratch"})
    if name.startswith("paper"):
        preset = load_preset(name)
        for job in jobs:
            table = job.config.as_table()
            own = {"method", "budget", "epochs"} if job.config.method == "morphnet" else {"method"}
            kept = preset.keys() - own - {"budget"}
            assert {key: table[key] for key in kept} == {
                key: tuple(v) if isinstance(v := preset[key], list) else v for key in kept
            }
            assert sum(job.config.epochs) == sum(preset["epochs"])


@given(
    st.lists(st.sampled_from(["bar", "scratch", "magnitude"]), min_size=1, unique=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
)
def test_every_combination_once_in_order(tmp_path_factory, methods, seeds):
    quoted = ", ".join(f'"{method}"' for method in methods)
    text = f"[grid]\nmethod = [{quoted}]\nseed = {seeds}\n[options]\nbudget = '4x'"
    jobs = grid(tmp_path_factory.mktemp("grid"), text)
    assert [(job.config.method, job.config.seed) for job in jobs] == [
        (method, seed) for method in methods for seed in seeds
    ]
    assert len({job.name for job in jobs}) == len(jobs)
    assert {job.config.budget for job in jobs} == {"4x"}


def test_tables_for_some_of_the_runs(tmp_path):
    jobs = grid(
        tmp_path,
        """
        [grid]
        method = ["bar", "scratch"]
        budget = ["4x", "16x"]
        [options]
        lr = 0.002
        [method.scratch]
        epochs = [3, 2, 1]
        [budget.16x]
        lr = 0.004
        """,
    )
    assert [job.config.epochs for job in jobs] == [(40, 25, 10)] * 2 + [(3, 2, 1)] * 2
    assert [job.config.lr for job in jobs] == [0.002, 0.004] * 2


def test_a_name_follows_what_decides_the_result_and_nothing_else(tmp_path):
    plain = names(tmp_path, "[grid]\nseed = [1]")
    other = names(tmp_path, "[grid]\nseed = [1]\n[options]\nlr = 0.5")
    elsewhere = "data_dir = 'x'\ncheckpoint_minutes = 1.0\nteacher = 't.safetensors'"
    assert plain != other
    assert plain == names(tmp_path, f"[grid]\nseed = [1]\n[options]\n{elsewhere}")
    assert plain[0].startswith("seed1-")


def test_a_table_for_what_is_on(tmp_path):
    jobs = grid(tmp_path, "[grid]\ndistill = [true, false]\n[distill.false]\nlr = 0.5")
    assert [job.config.lr for job in jobs] == [0.001, 0.5]
    assert [job.name.split("-")[0] for job in jobs] == ["distilltrue", "distillfalse"]


def test_a_name_has_a_length_that_a_folder_can_have(tmp_path):
    (name,) = names(tmp_path, f"[grid]\ndata = ['{'long/' * 100}']")
    (tmp_path / f"{name}.worker").mkdir()


def test_a_name_can_be_a_folder(tmp_path):
    (name,) = names(tmp_path, "[grid]\ndata = ['my/../[photos] é']")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert "/" not in name


def test_a_teacher_is_shared_by_what_differs_in_pruning_alone():
    base = Config()
    one = teacher_job(base).name
    pruning = {"method": "scratch", "budget": "2x", "epochs": (1, 2, 3), "alpha": 0.5}
    training = {"lr": 0.1, "seed": 3, "model": "wrn-10-1", "batch_size": 8, "val_fraction": 0.1}
    assert teacher_job(Config(**pruning)).name == one
    assert len({teacher_job(Config(**{k: v})).name for k, v in training.items()} | {one}) == 6


def test_all_that_trains_a_teacher_is_declared():
    """What is not of the teacher is of pruning, or of where things lie."""
    groups = {o.group for o in options_of(Config) if not o.of_teacher and not o.may_change}
    assert groups <= {"Pruning", "Teacher and distillation", "Training"}
    training = {o.field for o in options_of(Config) if o.group == "Training" and not o.of_teacher}
    assert training == {"epochs"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "a table \\[grid\\]"),
        ("[grid]", "a table \\[grid\\]"),
        ("[grid]\nseed = []", "grid.seed must be a list"),
        ("[grid]\nseed = 3", "grid.seed must be a list"),
        ("[grid]\nseed = [1, 1]", "holds the run seed1-[0-9a-f]+ twice"),
        ("[grid]\nsede = [1]", "unknown option 'sede': did you mean 'seed'"),
        ("[grid]\nseed = [1]\n[options]\nlr = -1", "--lr must be positive"),
        ("[grid]\nseed = [1]\n[options]\npreset = 'none'", "unknown preset"),
        ("[grid]\nseed = [1]\n[method.bar]\nlr = 1", "\\[method\\] is neither"),
        ("[grid]\nseed = [1]\n[seed.2]\nlr = 1", "\\[seed.2\\] is for no run"),
        ("[grid]\nseed = [1]\nlr", "not valid TOML"),
        ("options = 3\n[grid]\nseed = [1]", "options must be a table"),
        ("[grid]\nseed = [1]\n[options]\npreset = 3", "preset must be a name"),
        ("[grid]\nseed = [1]\n[options]\nseed = 2", "seed is in \\[grid\\] and in \\[options"),
        ("[grid]\nseed = [1]\n[seed.1]\nseed = 2", "seed is in \\[grid\\] and in \\[seed.1"),
        ("[grid]\nbudget = ['8y']", "--budget '8y': use a factor"),
        ("[grid]\nbudget = [1.5]", "--budget '1.5'"),
        ("[grid]\ndata = ['a/photos', 'b/photos']", "a/photos and b/photos have one name"),
    ],
)
def test_what_does_not_fit_is_told_with_the_name_of_the_file(text, word, tmp_path):
    with pytest.raises(ValueError, match=f"grid.toml.*{word}"):
        grid(tmp_path, text)


def test_an_unknown_grid():
    with pytest.raises(ValueError, match=r"unknown grid 'none': use .*quick"):
        load_grid("none")
    with pytest.raises(ValueError, match=r"unknown grid 'none.toml'"):
        load_grid("none.toml")
