"""Statistics of times, and the results of a run's networks."""

import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import nn, pruning
from tinybar.bench.results import speed_ratio, summarise
from tinybar.data import load
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder
from tinybar.train.models import save_model

from .common import QUICK, results

TIMES = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=50)


# --- statistics ----------------------------------------------------------------------------------


@given(TIMES, st.randoms(use_true_random=False))
def test_a_summary_is_ordered_and_independent_of_order(times, random):
    summary = summarise(times)
    assert min(times) == summary.fastest <= summary.lower <= summary.median
    assert summary.median <= summary.upper <= max(times)
    random.shuffle(times)
    assert summarise(times) == summary


def test_quartiles_of_known_times():
    assert summarise([5.0, 1.0, 4.0, 2.0, 3.0]) == (3.0, 2.0, 4.0, 1.0)


@pytest.mark.parametrize("times", [[], [1.0, 0.0], [-1.0], [math.nan], [math.inf, 1.0]])
def test_times_that_are_not_positive_are_refused(times):
    with pytest.raises(ValueError, match="positive numbers"):
        summarise(times)


def test_the_ratio_is_taken_round_by_round():
    ours, theirs = [[1.0, 2.0], [3.0], [1.0]], [[4.0, 2.0], [8.0, 7.0], [1.0, 1.0, 90.0]]
    ratios = sorted([3 / 1.5, 7.5 / 3, 1.0])
    ratio, lower, upper = speed_ratio(ours, theirs)
    assert ratio == ratios[1]
    assert lower == pytest.approx((ratios[0] + ratios[1]) / 2)
    assert upper == pytest.approx((ratios[1] + ratios[2]) / 2)


# --- the networks of a run -----------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    """The folder of a run with its two networks; half of the channels are pruned."""
    folder, dataset = RunFolder.create(tmp_path / "run", Config(model="wrn-10-1")), load("digits")
    shape = dataset.num_classes, dataset.image_shape
    save_model(folder.teacher, nn.build("wrn-10-1", *shape), dataset)
    gated = nn.build("wrn-10-1", *shape, nn.HardConcrete)
    for gate in pruning.gates_of(gated):
        gate.log_alpha.data[::2] = -9
    save_model(folder.pruned, pruning.compact(gated.eval()), dataset)
    return folder.path


def test_a_run_reports_the_share_of_its_flop_reduction(run, tmp_path, capsys):
    facts = results(tmp_path, "--run", str(run), *QUICK, "--peers", "")
    assert facts["engines"].keys() == {"full", "compact"}
    assert facts["case"]["kind"] == "infer"
    about = facts["run"]
    assert about["flops_full"] > 3 * about["flops"] > 0
    assert about["flop_factor"] == about["flops_full"] / about["flops"]
    assert about["speedup"] == facts["ratios"]["full"]["ratio"]
    assert about["share"] == about["speedup"] / about["flop_factor"]
    assert about["peers"] == {}
    out = capsys.readouterr().out
    assert "times fewer FLOPs" in out
    assert f"{100 * about['share']:.0f} % of the FLOP reduction realised" in out


def test_a_peer_runs_both_networks_of_a_run(run, tmp_path, capsys):
    facts = results(tmp_path, "--run", str(run), *QUICK, "--peers", "tinybar-numpy")
    names = {"full", "compact", "full, tinybar-numpy", "compact, tinybar-numpy"}
    assert facts["engines"].keys() == names
    assert facts["ratios"].keys() == names - {"compact"}
    peer = facts["run"]["peers"]["tinybar-numpy"]
    assert peer["share"] == peer["speedup"] / facts["run"]["flop_factor"]
    assert peer["ratios"]["compact"] == facts["ratios"]["compact, tinybar-numpy"]
    ours, full, compact = (
        [median(turn) for turn in facts["engines"][name]["rounds"]]
        for name in ("full", "full, tinybar-numpy", "compact, tinybar-numpy")
    )
    for found, (a, b) in [
        (peer["ratios"]["full"]["ratio"], (ours, full)),
        (peer["speedup"], (compact, full)),
    ]:  # times in JSON are rounded
        expected = median(y / x for x, y in zip(a, b, strict=True))
        assert found == pytest.approx(expected, rel=0.01)
    out = capsys.readouterr().out
    assert out.count("of the FLOP reduction realised") == 2
    assert "tinybar : tinybar-numpy: full" in out
