"""The command line: exit codes, and errors of exactly one line on stderr."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import tinybar
from tinybar.cli import main
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder

QUICK = [
    "--model", "wrn-10-1", "--epochs", "1", "1", "0", "--teacher-epochs", "1",
    "--batch-size", "256",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of one finished run."""
    folder = tmp_path_factory.mktemp("cli") / "finished"
    assert main(["train", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of it, called `run`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "run")
    return tmp_path / "run"


def fails_with_one_line(capsys, arguments, code, *words) -> str:
    """Check the exit code and the only line on stderr, which must hold all of `words`."""
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("tinybar: error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    for word in words:
        assert word in captured.err
    assert "Traceback" not in captured.err + captured.out
    return captured.err


BAD_OPTIONS = [
    (["--model", "resnet-21"], "depth 6n + 2"),
    (["--model", "resnet50", "--shrink"], "--shrink is for wide residual networks"),
    (["--model", "vgg-16"], "unknown model 'vgg-16'"),
    (["--model", "wrn-11-1"], "depth 6n + 4"),
    (["--model", "wrn-10-0"], "width >= 1"),
    (["--data", "nope"], "unknown dataset 'nope'"),
    (["--method", "magic"], "use one of bar, random"),
    (["--metric", "watts"], "use one of volume, flops"),
    (["--schedule", "cosine"], "use one of sigmoid, linear, exponential"),
    (["--device", "quantum"], "unknown device 'quantum'"),
    (["--budget", "0"], "budget '0' is 0"),
    (["--budget", "-5"], "budget '-5' is -5"),
    (["--budget", "1.5"], "a fraction lies in (0, 1]"),
    (["--budget", "0x"], "a factor is at least 1"),
    (["--budget", "much"], "use a factor"),
    (["--budget", "99999999"], "must lie in"),
    (["--budget", "83"], "cannot be pruned below 84"),  # 64 + 16 + 4: stem and shortcuts
    (["--budget", "1000x"], "cannot be pruned below"),
    (["--alpha", "2"], "--alpha must be in [0, 1]"),
    (["--temperature", "0"], "--temperature must be at least 1"),
    (["--lambda", "-1"], "--lambda must be at least 0"),
    (["--lr", "0"], "--lr must be positive"),
    (["--lr", "nan"], "--lr must be positive"),
    (["--lr", "fast"], "'fast' is not a valid float"),
    (["--gate-lr", "-1"], "--gate-lr must be positive"),
    (["--weight-decay", "-1"], "--weight-decay must be at least 0"),
    (["--epochs", "0", "1", "1"], "--epochs must be three numbers"),
    (["--epochs", "1", "1"], "--epochs"),
    (["--teacher-epochs", "0"], "--teacher-epochs must be at least 1"),
    (["--batch-size", "1"], "--batch-size must be at least 2"),
    (["--precision", "fp16"], "use one of fp32, tf32"),
    (["--seed", "-1"], "--seed must be at least 0"),
    (["--threads", "0"], "--threads must be an integer from 1 to"),
    (["--threads", "many"], "'many' is not a valid integer"),
    (["--preset", "nope"], "unknown preset 'nope'"),
    (["--preset", "absent.toml"], "unknown preset"),
    (["--frobnicate"], "--frobnicate"),
    (["surplus"], "surplus"),
    (["--resume", "nowhere"], "nowhere is not a run folder"),
    (["--resume", "nowhere", "--seed", "1"], "--resume takes the run's own options"),
]


@pytest.mark.parametrize(("options", "word"), BAD_OPTIONS, ids=lambda v: str(v))
def test_bad_options(options, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new_run = [] if "--resume" in options else QUICK
    fails_with_one_line(capsys, ["train", *new_run, *options], 2, word)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


OTHER_COMMANDS = [
    (["frobnicate"], "No such command 'frobnicate'"),
    (["eval", "nothing"], "no such file: nothing"),
    (["eval", "."], "is not a run folder"),
    (["eval"], "Missing argument"),
    (["info"], "either a MODEL or --system"),
    (["info", "wrn-10-1", "--system"], "either a MODEL or --system"),
    (["info", "vgg"], "unknown model 'vgg'"),
    (["info", "wrn-10-1", "--classes", "1"], "num_classes >= 2"),
    (["info", "wrn-10-1", "--image-shape", "0", "8", "1"], "image_shape"),
    (["audit", "--device", "quantum"], "unknown device"),
    (["eval", "nothing", "--threads", "0"], "--threads must be an integer from 1 to"),
]


@pytest.mark.parametrize(("arguments", "word"), OTHER_COMMANDS, ids=lambda v: str(v))
def test_bad_arguments_of_other_commands(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails_with_one_line(capsys, arguments, 2, word)


def test_an_existing_out(run, capsys):
    before = sorted(path.name for path in run.iterdir())
    fails_with_one_line(capsys, ["train", *QUICK, "--out", "run"], 2, "--resume run")
    assert sorted(path.name for path in run.iterdir()) == before


def test_a_complete_run_is_not_resumed(run, capsys):
    fails_with_one_line(capsys, ["train", "--resume", "run"], 2, "run is complete", "result.json")


def test_damaged_networks(run, capsys):
    pruned = run / "pruned.safetensors"
    whole = pruned.read_bytes()
    for content in (whole[:1000], whole[:-4], b"", b"something else", os.urandom(300)):
        pruned.write_bytes(content)
        fails_with_one_line(capsys, ["eval", "run"], 2, "pruned.safetensors", "damaged")
        fails_with_one_line(capsys, ["info", "run"], 2, "pruned.safetensors", "damaged")
    pruned.unlink()
    fails_with_one_line(capsys, ["eval", "run"], 2, "no such file: run", "pruned.safetensors")


def test_a_foreign_network(run, capsys):
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3)}, run / "pruned.safetensors")
    fails_with_one_line(capsys, ["eval", "run"], 2, "was not written by tinybar")


def test_the_teacher_of_a_single_file(run, capsys):
    fails_with_one_line(capsys, ["eval", "run/pruned.safetensors", "--teacher"], 2, "run's folder")


def unfinished(path, **options) -> RunFolder:
    """A run that was stopped before its first epoch."""
    return RunFolder.create(path, Config(model="wrn-10-1", **options))


def test_damaged_checkpoints(run, capsys, tmp_path):
    checkpoint = unfinished(tmp_path / "cut").path / "checkpoint.safetensors"
    teacher = (run / "teacher.safetensors").read_bytes()
    for content, word in (
        (teacher[:500], "damaged"),
        (b"", "damaged"),
        (b"text", "damaged"),
        (teacher, "another version"),
    ):
        checkpoint.write_bytes(content)
        fails_with_one_line(capsys, ["train", "--resume", "cut"], 2, "checkpoint.safetensors", word)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("nope = 1", "unknown option 'nope'"),
        ("seed = = 1", "not valid TOML"),
        ("lr = 'x'", "lr cannot be"),
    ],
)
def test_a_spoiled_config(line, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.toml").write_text(line + "\n")
    fails_with_one_line(capsys, ["train", "--resume", "cut"], 2, "config.toml", word)


def test_eval_on_images_of_another_shape(run, capsys, tmp_path):
    for part in ("train", "test"):
        for label in "0123456789":
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            Image.new("RGB", (9, 8)).save(folder / "a.png")
    message = fails_with_one_line(capsys, ["eval", "run", "--data", "photos"], 2)
    assert "the network takes images (8, 8, 1) of 10 classes" in message
    assert "photos has (8, 9, 3) and 10" in message


def test_eval_on_other_classes(run, capsys, tmp_path):
    for part in ("train", "test"):
        for label in "abcdefghij":
            folder = tmp_path / "letters" / part / label
            folder.mkdir(parents=True)
            Image.new("L", (8, 8)).save(folder / "a.png")
    fails_with_one_line(capsys, ["eval", "run", "--data", "letters"], 2, "classes of letters")


# --- what goes right -----------------------------------------------------------------------------


def test_eval_tells_accuracy_and_costs(run, capsys):
    result = json.loads((run / "result.json").read_text())
    assert main(["eval", "run"]) == 0
    out = capsys.readouterr().out
    assert f"test accuracy {100 * result['accuracy']:.2f} % on 360 images of digits" in out
    assert f"volume {result['volume']:,}, FLOPs {result['flops']:,}" in out
    assert main(["eval", "run/pruned.safetensors", "--json"]) == 0  # it knows its data set
    assert json.loads(capsys.readouterr().out)["accuracy"] == result["accuracy"]


@pytest.mark.parametrize("flags", [[], ["--memory"]], ids=str)
def test_a_run_tells_its_peak_memory_if_asked(flags, capsys, tmp_path):
    assert main(["train", *QUICK, *flags, "--out", str(tmp_path / "run")]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "memory" in line]
    peak = json.loads((tmp_path / "run" / "result.json").read_text())["peak_bytes"]
    assert told == [f"peak memory: {peak / 2**20:,.0f} MiB on the host"] * len(flags)


@pytest.mark.parametrize("command", ["train", "eval"])
def test_threads_are_set_for_the_run(command, run):
    """In a process of its own, whose BLAS would use two."""
    what = ["train", *QUICK, "--out", "threads"] if command == "train" else ["eval", "run"]
    code = f"""
from tinybar.cli import main
assert main({[*what, "--threads", "1"]}) == 0
from tinybar.runtime import blas, threads
print("threads:", blas.status()["blas_threads"], threads.count())
"""
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.splitlines()[-1] == "threads: 1 1"


def test_info_of_a_name_and_of_a_run(run, capsys):
    assert main(["info", "wrn-28-12", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["volume"], facts["flops"]) == (3_112_960, 15_087_796_224)
    assert sum(layer["volume"] for layer in facts["layers"]) == facts["volume"]
    assert sum(layer["flops"] for layer in facts["layers"]) == facts["flops"]
    assert len(facts["layers"]) == 1 + 3 + 24
    assert main(["info", "run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["volume"] == json.loads((run / "result.json").read_text())["volume"]
    assert main(["info", "wrn-28-12"]) == 0
    out = capsys.readouterr().out.splitlines()
    (row,) = [line for line in out if "blocks.11.conv2" in line]
    assert row.split() == [
        "blocks.11.conv2",
        "3x3x768x768",
        "64",
        "49,152",
        "679,477,248",
        "5,308,416",
    ]
    assert any("3,112,960" in line and "15,087,796,224" in line for line in out)
    assert "…" not in "".join(out)
    assert max(map(len, out)) <= 80
    assert main(["info", "--system", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["packages"]["tinybar"] == tinybar.__version__


@pytest.mark.parametrize(
    ("model", "convolutions", "volume", "flops"),
    [
        ("resnet-20 --image-shape 32 32 3", 1 + 18 + 2, 200_704, 81_625_088),
        ("resnet50 --image-shape 128 128 3", 1 + 48 + 4, 3_629_056, 2_669_150_208),
        ("resnet-50 --image-shape 128 128 3", 1 + 48 + 4, 3_629_056, 2_669_150_208),
    ],
)
def test_info_of_other_networks(model, convolutions, volume, flops, capsys):
    assert main(["info", *model.split(), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (len(facts["layers"]), facts["volume"], facts["flops"]) == (convolutions, volume, flops)


def test_a_small_resnet_is_trained_on_the_digits(tmp_path, capsys):
    out = str(tmp_path / "run")
    options = ["--model", "resnet-20", "--budget", "4x", "--epochs", "1", "1", "0"]
    assert main(["train", *options, "--teacher-epochs", "1", "--out", out]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["volume"] <= result["budget"] == result["volume_full"] // 4
    capsys.readouterr()
    assert main(["info", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["volume"] == result["volume"]


@pytest.mark.parametrize("command", ["train", "eval", "info", "audit", "bench"])
def test_every_command_has_help_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples:" in out
    assert f"tinybar {command}" in out


def test_the_program_itself(capsys):
    assert main(["--version"]) == 0
    assert tinybar.__version__ in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "train" in capsys.readouterr().out
    assert main([]) == 0
    assert "Usage: tinybar" in capsys.readouterr().out


def python(*arguments, **environ) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tinybar", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environ,
    )


def test_as_a_module_it_exits_with_the_code():
    assert python("--version").returncode == 0
    failed = python("eval", "nothing")
    assert failed.returncode == 2
    assert failed.stderr == "tinybar: error: no such file: nothing\n"


def test_debugging_shows_where_an_error_arose():
    failed = python("eval", "nothing", TINYBAR_DEBUG="1")
    assert "Traceback" in failed.stderr
    assert failed.returncode == 1


def test_a_loss_that_explodes_is_one_line(tmp_path):
    failed = python("train", *QUICK, "--lr", "1e30", "--out", str(tmp_path / "run"))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("tinybar: error: the loss is ")
    assert "--lr" in failed.stderr


def test_a_digits_run_without_options_takes_the_digits_preset(tmp_path, monkeypatch, capsys):
    """Its budget fails the check, so that nothing is trained: only the model's name is wanted."""
    monkeypatch.chdir(tmp_path)
    train = ["train", "--budget", "1"]
    fails_with_one_line(capsys, train, 2, "wrn-10-2 cannot be pruned below")
    (tmp_path / "digits").mkdir()  # does not stand in for the embedded ones
    fails_with_one_line(capsys, train, 2, "wrn-10-2 cannot be pruned below")
    fails_with_one_line(capsys, [*train, "--data", ""], 2, "unknown dataset ''")
    (tmp_path / "mine.toml").write_text("model = 'wrn-16-1'")  # names no data: the digits
    for preset in (["mine.toml"], ["paper-cifar10", "--data", "digits"]):
        fails_with_one_line(capsys, [*train, "--preset", *preset], 2, "cannot be pruned below")
