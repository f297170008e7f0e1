"""`tinybar train`."""

import json
import shlex
import signal

import pytest
from cli.common import QUICK, fails_with_one_line
from data.making import in_folder, tree
from train.test_config import FULL

from tinybar.cli import main
from tinybar.cli.train import _resumable, command
from tinybar.data.registry import DATASETS, NamedDataset
from tinybar.runtime.signals import Interrupted
from tinybar.train.config import Config, configure
from tinybar.train.folder import RunFolder
from tinybar.train.options import options_of


def parsed(*arguments) -> dict:
    """The values that click gives to the command, without those that are None."""
    with command.make_context("train", list(map(str, arguments))) as context:
        return {name: value for name, value in context.params.items() if value is not None}


def flags_of(config: Config) -> list:
    """The command line that gives all options of a Config."""
    arguments = []
    for option in options_of(Config):
        value = getattr(config, option.field)
        if option.type is bool:
            arguments.append(option.flag if value else f"--no-{option.flag[2:]}")
        else:
            arguments += [option.flag, *(value if option.count > 1 else [value])]
    return arguments


def test_a_run_without_winograd_s_algorithm(finished, tmp_path):
    folder = tmp_path / "run"
    assert main(["train", *QUICK, "--conv-algorithm", "gather", "--out", str(folder)]) == 0
    first = [
        json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["loss_data"]
        for run in (folder, finished)
    ]
    assert first[0] != first[1]  # to the last digit, that is
    assert first[0] == pytest.approx(first[1], rel=1e-3)
    assert RunFolder.open(folder).load_config().conv_algorithm == "gather"


def test_every_option_has_its_flag():
    names = {option.key for option in options_of(Config)}
    given = {name: value for name, value in parsed(*flags_of(FULL)).items() if name in names}
    assert given.keys() == names
    assert configure(given) == FULL
    assert not names & parsed().keys()  # an option that is not given is left to the preset


def test_the_help_has_every_option_by_group_with_its_default(capsys):
    assert main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    text = "".join(out.split())  # a line may end behind a hyphen
    for option in options_of(Config):
        assert f"\n{option.group}:\n" in out
        expected = f"{option.help} [default: {option.default_and_range}]"
        assert "".join(expected.split()) in text
    assert "shrink" not in out


def test_an_existing_out(run, capsys):
    before = sorted(path.name for path in run.iterdir())
    fails_with_one_line(capsys, ["train", *QUICK, "--out", "run"], 2, "--resume run")
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """The folder of a run that has not got further than its options."""
    monkeypatch.chdir(tmp_path)
    given = {"data": "digits", "epochs": (1, 1, 0), "teacher_epochs": 1, "batch_size": 256}
    return RunFolder.create(tmp_path / "cut", Config(model="wrn-10-1", **given))


def test_options_beside_resume_that_agree_or_may_change(cut, tmp_path):
    same = ["--model", "wrn-10-1", "--epochs", "1", "1", "0", "--out", "cut"]
    may_change = ["--data-dir", "elsewhere", "--checkpoint-minutes", "2", "--device", "cpu"]
    assert main(["train", "--resume", "cut", *same, *may_change]) == 0
    config = cut.load_config()
    assert (config.data_dir, config.checkpoint_minutes) == (str(tmp_path / "elsewhere"), 2.0)


def signalled(number):
    """What a function does in which the signal arrives."""
    return lambda *arguments: signal.raise_signal(number)


@pytest.mark.usefixtures("_python_s_own_handler")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_data_is_loaded_leaves_nothing(
    number, code, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "slow", NamedDataset(signalled(number), resizable=False))
    assert main(["train", "--data", "slow"]) == code
    assert capsys.readouterr().err == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_the_data_of_a_resumed_run_is_loaded(cut, monkeypatch, capsys):
    monkeypatch.setitem(DATASETS, "digits", NamedDataset(signalled(signal.SIGTERM), False))
    assert main(["train", "--resume", "cut"]) == 143
    assert capsys.readouterr().err == "interrupted; resume with `tinybar train --resume cut`\n"
    assert [path.name for path in cut.path.iterdir()] == ["config.toml"]


def test_a_signal_at_the_end_of_a_run_loses_nothing(cut, monkeypatch, capsys):
    """When everything is trained, and the latency is measured."""
    with monkeypatch.context() as patch:
        patch.setattr("tinybar.train.result.latencies", signalled(signal.SIGTERM))
        assert main(["train", "--resume", "cut"]) == 143
    captured = capsys.readouterr()
    assert captured.err == "interrupted; resume with `tinybar train --resume cut`\n"
    trained, lines = cut.pruned.read_bytes(), cut.metrics.read_bytes()
    assert main(["train", "--resume", "cut"]) == 0
    assert (cut.pruned.read_bytes(), cut.metrics.read_bytes()) == (trained, lines)
    assert cut.result.exists()


def test_damaged_checkpoints(run, capsys, tmp_path):
    folder = RunFolder.create(tmp_path / "cut", Config(model="wrn-10-1"))
    teacher = (run / "teacher.safetensors").read_bytes()
    for content, word in (
        (teacher[:500], "damaged"),
        (b"", "damaged"),
        (b"text", "damaged"),
        (teacher, "is a network, not a checkpoint"),
    ):
        (folder.path / "checkpoint.safetensors").write_bytes(content)
        fails_with_one_line(capsys, ["train", "--resume", "cut"], 2, "checkpoint.safetensors", word)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("nope = 1", "unknown option 'nope'"),
        ("seed = = 1", "not valid TOML"),
        ("lr = 'x'", "--lr must be a number, got 'x'"),
        ("", "is truncated or damaged: its last line"),
    ],
)
def test_a_spoiled_config(line, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.toml").write_text(line + "\n")
    fails_with_one_line(capsys, ["train", "--resume", "cut"], 2, "cut/config.toml", word)


def test_shrink_is_a_hidden_name_of_skip_closed():
    assert configure({"shrink": parsed("--shrink")["shrink"]}).skip_closed
    assert parsed("--no-shrink")["shrink"] is False


@pytest.mark.parametrize("flags", [[], ["--memory"]], ids=str)
def test_the_peak_memory_is_printed_on_request(flags, capsys, tmp_path):
    assert main(["train", *QUICK, *flags, "--out", str(tmp_path / "run")]) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("peak")]
    peak = json.loads((tmp_path / "run" / "result.json").read_text())["peak_bytes"]
    assert printed == [f"peak memory: {peak / 2**20:,.0f} MiB on the host"] * len(flags)


def test_a_small_resnet_is_trained_on_the_digits(tmp_path, capsys):
    out = str(tmp_path / "run")
    options = ["--model", "resnet-20", "--budget", "4x", "--epochs", "1", "1", "0"]
    assert main(["train", *options, "--teacher-epochs", "1", "--out", out]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["volume"] <= result["budget"] == result["volume_full"] // 4
    capsys.readouterr()
    assert main(["info", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["volume"] == result["volume"]


def test_what_is_done_to_the_images_is_told_at_the_start(tmp_path, monkeypatch, capsys):
    """And which of them are not read."""
    monkeypatch.chdir(tmp_path)
    in_folder(tmp_path / "pets", tree((28, 28)) | {"train/cat/a.webp": b""})
    assert main(["train", "--data", "pets", "--no-mirror", "--out", "run", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert "28x28 pixels, grey; training images are shifted by up to 4 pixels\n" in out
    assert f"\nnote     images skipped in {str(tmp_path / 'pets')!r}: 1 .webp\n" in out
    assert err == ""


def test_the_command_that_resumes_can_be_pasted(tmp_path, capsys):
    folder = RunFolder.create(tmp_path / "my [old] run", Config())
    with pytest.raises(SystemExit), _resumable(folder):
        raise Interrupted(signal.SIGINT)
    line = capsys.readouterr().err
    _, pasted, _ = line.split("`")
    assert shlex.split(pasted) == ["tinybar", "train", "--resume", str(folder.path)]
