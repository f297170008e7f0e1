"""Trained from scratch: uniform widths and fresh weights; the teacher's are not used."""

import dataclasses

import numpy as np
from train.toy import TINY, metrics_of, pruned_of, run_toy

from tinybar import pruning
from tinybar.train.models import load_model

ONCE = dataclasses.replace(TINY, method="scratch", epochs=(1, 0, 0), lr=1e-12, distill=False)


def test_the_teacher_has_no_part_in_it(tmp_path):
    runs = [
        run_toy(tmp_path / f"{k}", dataclasses.replace(ONCE, init_from_teacher=k))[0]
        for k in (False, True)
    ]
    assert pruned_of(runs[0]) == pruned_of(runs[1])
    teacher, small = (load_model(path)[0] for path in (runs[0].teacher, runs[0].pruned))
    theirs, own = teacher.stem.weight.data, small.stem.weight.data
    assert not any(np.allclose(a, b) for a in theirs.T for b in own.T)


def test_it_trains_as_long_as_bar(tmp_path):
    folder, facts = run_toy(tmp_path / "run", dataclasses.replace(TINY, method="scratch"))
    assert [line["stage"] for line in metrics_of(folder.path)[2:]] == ["fine-tune"] * 4
    assert facts["volume"] == facts["volume_regular"] <= facts["budget"]
    assert facts["volume"] == pruning.volume(load_model(folder.pruned)[0])
