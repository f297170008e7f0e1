"""What the command line says where it ends otherwise than well, and with which exit code.

Each is one line on stderr, and leaves nothing behind. Those of damaged files are in tests/faults,
those of clusters in tests/sweep, those of streams in test_main.py.
"""

import signal

import pytest
from cli.common import QUICK, fails_with_one_line
from data.making import in_folder, tree

from tinybar.cli import cli, main
from tinybar.data.registry import DATASETS, NamedDataset
from tinybar.train.config import Config
from tinybar.train.folder import RunFolder

BAD_INPUT = {
    "": [
        ("frobnicate", "no such command 'frobnicate': the commands are train, sweep, report"),
        ("trian", "no such command 'trian': did you mean 'train'?"),
        ("Train", "did you mean 'train'?"),
        ("--frobnicate", "No such option"),
    ],
    "train --model wrn-10-1": [
        ("--frobnicate", "--frobnicate"),
        ("--buget 2x", "--budget"),
        ("surplus", "surplus"),
        ("--model vgg-16", "unknown model 'vgg-16'"),
        ("--model wrn-11-1", "depth 6n + 4"),
        ("--model resnet50 --skip-closed", "--skip-closed is for wide residual networks"),
        ("--data nope", "unknown dataset 'nope': expected a name (cifar10,"),
        ("--data file", "file' is no zip or tar archive, or it is damaged"),
        ("--data empty", "empty' has no folder 'train': expected train/CLASS"),
        ("--data odd", "train and test of '"),
        ("--image-size 8", "--image-size is for image files: digits has images of one size"),
        ("--val-fraction 1", "--val-fraction must be in [0, 1), got 1"),
        ("--no-augment --shift", "--no-augment leaves no --shift"),
        ("--method magic", "--method 'magic' is unknown: use one of bar, ib, id, l0"),
        ("--device quantum", "unknown device 'quantum'"),
        ("--budget much", "--budget 'much': use a factor"),
        ("--budget 0.5x", "a factor must be at least 1"),
        ("--budget 1.5", "a fraction must be in (0, 1]"),
        ("--budget 0", "it must be in 1..5,376, up to the full network"),
        ("--budget 83", "cannot be pruned below 84"),  # 64 + 16 + 4: stem and shortcuts
        ("--method scratch --budget 100", "cannot be pruned below 252 by --method scratch"),
        ("--alpha 2", "--alpha must be in [0, 1], got 2"),
        ("--lr nan", "--lr must be positive, got nan"),
        ("--lr fast", "'fast' is not a valid float"),
        ("--lr 1e31", "--lr must be within ±1e+30, got 1e+31"),
        ("--gate-lr 1e38", "--gate-lr must be in (0, 1000]"),
        ("--temperature 1e300", "--temperature must be in [1, 1000]"),
        ("--epochs 1 1", "--epochs"),
        ("--epochs 0 1 1", "--epochs must begin with at least 1, got 0"),
        ("--teacher-epochs 1 --teacher-slow-epochs 2", "must be at most --teacher-epochs (1)"),
        ("--teacher nope", "no such file"),
        ("--teacher file", "file"),
        ("--threads 0", "--threads must be an integer from 1 to"),
        ("--threads many", "'many' is not a valid integer"),
        ("--graph on", "'on' is not one of 'auto', 'off'"),
        ("--preset nope", "unknown preset 'nope': use digits,"),
        ("--preset nope.toml", "unknown preset 'nope.toml'"),
        ("--preset broken.toml", "broken.toml is not valid TOML"),
        ("--preset typo.toml", "typo.toml: unknown option 'buget': did you mean 'budget'?"),
        ("--preset twice.toml", "--skip-closed is given twice, as 'shrink' and 'skip-closed'"),
        ("--quiet --json", "leave one of them out"),
        ("--out run", "the run folder run exists: choose another --out, or resume it with"),
        ("--out odd", "the folder odd is not empty: choose another --out"),
        ("--out file", "file is a file: choose another --out"),
        ("--out file/run", "cannot make the run folder file/run: Not a directory"),
    ],
    "train --resume": [
        ("nowhere", "nowhere is not a run folder: it has no config.toml"),
        ("empty", "begin a run in it with --out empty"),
        ("run", "the run in run is complete: see run/result.json"),
        ("cut --seed 1 --lr 0.1", "--lr is 0.001, not 0.1, --seed is 0, not 1; only --data, "),
        ("cut --preset paper-cifar10", "--model is 'wrn-10-1', not 'wrn-28-12'"),
        ("cut --out other", "--out is other, but the run to resume is in cut"),
        ("cut --data moved", "if the data has moved, give --data PATH or --data-dir DIR"),
    ],
    "sweep": [
        ("", "Missing argument 'GRID'"),
        ("quick", "Missing option '--out'"),
        ("nope --out o", "unknown grid 'nope': use digits,"),
        ("quick --out o --jobs 0", "x>=1"),
        ("quick --out o --jobs 1 --scheduler tcp://a:1", "--jobs is for this machine"),
        ("quick --out o --tls-ca-file file", "go with --scheduler tls://"),
        ("quick --out o --tls-ca-file nope", "'nope' does not exist"),
        ("typo.toml --out o", "typo.toml: a grid has a table [grid] with lists of values"),
        ("scalar.toml --out o", "scalar.toml: grid.seed must be a list of at least one value"),
    ],
    "report": [
        ("", "Missing argument 'RUN|SWEEP...'"),
        ("nowhere", "nowhere is neither the folder of a run"),
        ("cut", "is not finished: tinybar train --resume cut"),
    ],
    "eval": [
        ("", "Missing argument 'RUN'"),
        ("nothing", "no such file: nothing"),
        (".", "is not a run folder"),
        ("file", "file"),
        ("run --data nope", "unknown dataset 'nope'"),
        ("run --conv-algorithm x", "one of auto, gather"),
        ("run/pruned.safetensors --teacher", "--teacher needs the folder of a run"),
        ("nothing --threads 0", "--threads must be an integer from 1 to"),
    ],
    "predict": [
        ("", "Missing argument 'RUN'"),
        ("run", "Missing argument 'IMAGE|FOLDER...'"),
        ("nothing file", "no such file: nothing"),
        ("run none.jpg", "cannot read none.jpg"),
        ("run empty", "no images"),
        ("run file --top 0", "x>=1"),
        ("run odd --json --csv", "--json and --csv exclude each other"),
    ],
    "export": [
        ("", "Missing argument 'RUN'"),
        ("run", "Missing option '-o'"),
        ("nothing -o x.onnx", "no such file: nothing"),
        ("run -o x.onnx --layout hwc", "'hwc' is not one of 'nhwc', 'nchw'"),
        ("run -o x.onnx --opset 1", "--opset must be in ["),
        ("run -o x.onnx --input float32 --resize", "own size"),
    ],
    "info": [
        ("", "either a MODEL or --system"),
        ("wrn-10-1 --system", "either a MODEL or --system"),
        ("vgg", "unknown model 'vgg'"),
        ("wrn-10-1 --classes 1", "num_classes >= 2"),
        ("wrn-10-1 --image-shape 0 8 1", "image_shape"),
        ("file", "file"),
    ],
    "audit": [
        ("--device quantum", "unknown device 'quantum'"),
        ("--seed -1", "x>=0"),
    ],
    "bench": [
        ("vgg", "unknown model 'vgg'"),
        ("--case x", "--case 'x' is unknown: use one of"),
        ("--batch-size 0", "--batch-size must be at least 1, got 0"),
        ("--peers x", "unknown peer 'x'"),
        ("--json nowhere/x.json", "there is no folder nowhere"),
        ("small --layers", "--layers is for residual networks"),
        ("small --gated", "the network 'small' has no gates"),
        ("--run cut", "cut"),
    ],
}
FILES = {
    "file": "neither an archive nor a network\n",
    "broken.toml": "lr = = 1\n",
    "typo.toml": "buget = '2x'\n",
    "twice.toml": "shrink = true\nskip-closed = true\n",
    "scalar.toml": "[grid]\nseed = 1\n",
}


@pytest.fixture
def here(run):
    """The working directory: a finished run, one that has just begun, and files of no use."""
    folder = run.parent
    RunFolder.create(folder / "cut", Config(model="wrn-10-1", data="digits"))
    (folder / "empty").mkdir()
    in_folder(folder / "odd", tree((8, 8)) | {"train/emu/1.png": tree((8, 8))["train/cat/1.png"]})
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def everything(folder) -> list:
    """All files but those of the cache, whose time of change tells whether they were written."""
    return sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [(command, *case) for command, cases in BAD_INPUT.items() for case in cases],
)
def test_bad_input_is_2(command, arguments, words, here, capsys):
    if command == "export":
        pytest.importorskip("onnx")
    before = everything(here)
    fails_with_one_line(capsys, [*command.split(), *arguments.split()], 2, words)
    assert everything(here) == before


def test_every_command_is_here():
    assert {command.split()[0] for command in BAD_INPUT if command} == set(cli.commands)


def raising(error):
    """A loader of data that fails so."""

    def load(*_):
        raise error

    return load


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(5, "Input/output error"), 1, "tinybar: error: [Errno 5] Input/output error"),
        (MemoryError(), 1, "tinybar: error: MemoryError"),
        (RuntimeError("a worker died"), 1, "tinybar: error: a worker died"),
    ],
    ids=repr,
)
def test_other_failures_are_1(error, code, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "bad", NamedDataset(raising(error), resizable=False))
    assert main(["train", "--data", "bad"]) == code
    assert capsys.readouterr().err == f"{line}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_diverges_is_3(tmp_path, capsys):
    command = ["train", *QUICK, "--lr", "1e30", "--out", str(tmp_path / "run"), "--quiet"]
    assert main(command) == 3
    *warnings, error = capsys.readouterr().err.splitlines()
    assert error.startswith("tinybar: error: ")
    assert "not finite in epoch 1" in error
    assert all(line.startswith("tinybar: warning: ") for line in warnings)


@pytest.mark.usefixtures("_python_s_own_handler")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_128_and_its_number(number, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    loader = NamedDataset(lambda *_: signal.raise_signal(number), resizable=False)
    monkeypatch.setitem(DATASETS, "slow", loader)
    assert main(["train", "--data", "slow"]) == code
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["--version"], ["train", "-h"]])
def test_questions_are_0(arguments, capsys):
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out
    assert err == ""
