"""Event files: read back as TensorBoard reads them."""

import json
import struct
import sys

import pytest
from cli.common import QUICK, fails_with_one_line
from train.toy import TINY, metrics_of, pruned_of, resume_toy, run_toy, without_times

from tinybar.cli import main
from tinybar.report.tensorboard import EventFiles
from tinybar.train.folder import RunFolder

WHERE = "tensorboard/events.out.tfevents.*"


def events_in(folder) -> list:
    """The events of the only file: each behind its length and a checksum, another after it."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.glob(WHERE)
    content, events = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return events


def scalars_in(folder) -> dict[tuple[str, int], float]:
    """{(tag, step): value}; each is there once."""
    points = [((v.tag, e.step), v.simple_value) for e in events_in(folder)
              for v in e.summary.value if v.HasField("simple_value")]  # fmt: skip
    assert len(dict(points)) == len(points)
    return dict(points)


def texts_in(folder) -> dict[str, str]:
    return {v.tag: v.tensor.string_val[0].decode() for e in events_in(folder)
            for v in e.summary.value if v.metadata.plugin_data.plugin_name == "text"}  # fmt: skip


def expected_of(folder) -> dict[tuple[str, int], float]:
    """What metrics.jsonl says, as `scalars_in`."""
    return {
        (f"{record['stage']}/{name}", step): value
        for step, record in enumerate(metrics_of(folder), 1)
        for name, value in record.items()
        if name not in ("stage", "epoch") and value is not None
    }


def exactly(points: dict) -> dict:
    """In single precision, which event files have."""
    return {at: struct.unpack("f", struct.pack("f", value))[0] for at, value in points.items()}


@pytest.fixture
def _is_installed():
    pytest.importorskip("tensorboardX")


@pytest.mark.usefixtures("_is_installed")
def test_a_run_leaves_its_metrics_options_and_result(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", *QUICK, "--tensorboard", "--teacher-only", "--out", str(out)]) == 0
    assert scalars_in(out) == exactly(expected_of(out))
    assert main(["train", "--resume", str(out), "--tensorboard"]) == 0
    result = json.loads((out / "result.json").read_text())
    numbers = {(f"result/{name}", 3): value for name, value in result.items()
               if isinstance(value, (int, float))}  # fmt: skip
    assert scalars_in(out) == exactly(expected_of(out) | numbers)
    assert {tag for tag, _ in scalars_in(out)} >= {"prune/b", "prune/f", "fine-tune/accuracy_test"}
    texts = texts_in(out)
    for line in (out / "config.toml").read_text().splitlines()[:-1]:
        assert f"    {line}\n" in texts["config/text_summary"]
    assert f"| accuracy | {result['accuracy']} |" in texts["result/text_summary"].splitlines()
    plugins = {v.metadata.plugin_data.plugin_name for e in events_in(out) for v in e.summary.value}
    assert "hparams" in plugins


@pytest.mark.usefixtures("_is_installed")
def test_nothing_else_of_a_run_changes(tmp_path):
    plain, _ = run_toy(tmp_path / "plain")
    folder = RunFolder(tmp_path / "told")
    with EventFiles(folder, TINY) as events:
        told, _ = run_toy(folder.path, listen=events)
    assert pruned_of(told) == pruned_of(plain)
    assert without_times(told) == without_times(plain)
    assert scalars_in(told.path) == exactly(expected_of(told.path))


class Killed(BaseException):
    """What no handler catches."""


@pytest.mark.usefixtures("_is_installed")
@pytest.mark.parametrize("before", [True, False])
def test_a_resumed_run_has_every_epoch_once(before, tmp_path):
    """Its last line was not in the checkpoint; also if the first process wrote no events."""
    folder = RunFolder(tmp_path / "run")

    with EventFiles(folder, TINY) as events:

        def listen(record):
            if before:
                events(record)
            if (record["stage"], record["epoch"]) == ("prune", 2):
                raise Killed

        with pytest.raises(Killed):
            run_toy(folder.path, listen=listen)
    assert len(list(folder.path.glob(WHERE))) == before
    with EventFiles(folder, TINY) as events:
        resume_toy(folder.path, events)
    assert len(metrics_of(folder.path)) == 6
    assert scalars_in(folder.path) == exactly(expected_of(folder.path))


def test_without_tensorboardx_nothing_is_begun(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    arguments = ["train", "--tensorboard", "--out", tmp_path / "run"]
    fails_with_one_line(capsys, arguments, 2, "pip install 'tinybar[tensorboard]'")
    assert list(tmp_path.iterdir()) == []
