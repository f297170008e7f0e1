"""`tinybar info`."""

import json

import pytest
from cli.common import fails_with_one_line

import tinybar
from tinybar.cli import main
from tinybar.runtime import arrays, gpu


def facts_of(capsys, *arguments) -> dict:
    assert main(["info", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("model", "convolutions", "volume", "flops"),
    [
        ("wrn-28-12", 1 + 3 + 24, 3_112_960, 15_087_796_224),
        ("resnet-20 --image-shape 32 32 3", 1 + 18 + 2, 200_704, 81_625_088),
        ("resnet50 --image-shape 128 128 3", 1 + 48 + 4, 3_629_056, 2_669_150_208),
        ("resnet-50 --image-shape 128 128 3", 1 + 48 + 4, 3_629_056, 2_669_150_208),
    ],
)
def test_a_network_by_name(model, convolutions, volume, flops, capsys):
    facts = facts_of(capsys, *model.split())
    assert (len(facts["layers"]), facts["volume"], facts["flops"]) == (convolutions, volume, flops)
    for cost in ("volume", "flops"):
        assert sum(layer[cost] for layer in facts["layers"]) == facts[cost]


def test_the_network_of_a_run(run, capsys):
    result = json.loads((run / "result.json").read_text())
    assert facts_of(capsys, "run")["volume"] == result["volume"]


def test_the_table_fits_a_terminal(capsys):
    assert main(["info", "wrn-28-12"]) == 0
    out = capsys.readouterr().out.splitlines()
    (row,) = [line for line in out if "blocks.11.conv2" in line]
    assert row.split() == [
        "blocks.11.conv2", "3x3x768x768", "64", "49,152", "679,477,248", "5,308,416"
    ]  # fmt: skip
    assert any("3,112,960" in line and "15,087,796,224" in line for line in out)
    assert "…" not in "".join(out)
    assert max(map(len, out)) <= 80


def test_the_system(capsys):
    facts = facts_of(capsys, "--system")
    assert facts["packages"]["tinybar"] == tinybar.__version__
    assert facts["processors"] >= 1
    assert main(["info", "--system"]) == 0
    out = capsys.readouterr().out
    assert f"tinybar {tinybar.__version__}" in out
    assert not [line for line in out.splitlines() if "_" in line.partition("│")[2].split("│")[0]]
    assert out.count("a GPU lacks") == len(facts["gpu"]["missing"])


@pytest.mark.skipif(arrays.gpu_available(), reason="there is a GPU")
def test_without_a_gpu_the_system_and_a_run_say_why_in_the_same_words(capsys):
    """In one line, before there is a folder."""
    lines = facts_of(capsys, "--system")["gpu"]["missing"]
    said = fails_with_one_line(capsys, ["train", "--device", "gpu"], 2)
    reason = said.removeprefix("tinybar: error: device 'gpu': ").partition("; or use")[0]
    assert reason in lines


def test_a_gpu_has_a_line(capsys, monkeypatch):
    card = {"name": "A card", "compute_capability": "9.0", "precision": ["fp32", "tf32"]}
    card |= {"memory": 80 * 2**30, "free": 79 * 2**30}
    facts = {"driver": "580.65.06", "cublas": None, "gpus": [card], "missing": ["cuBLAS: this"]}
    monkeypatch.setattr(gpu, "facts", lambda: facts)
    assert main(["info", "--system"]) == 0
    lines = [" ".join(line.strip("│ ").split()) for line in capsys.readouterr().out.splitlines()]
    table = "".join(lines)
    for text in ("A card", "capability 9.0", "80.0 GiB total, 79.0 GiB", "fp32 or tf32", "580.65"):
        assert text in table.replace("│", "").replace("  ", " ")
    assert "cublas │ none" in lines
    assert "a GPU lacks │ cuBLAS: this" in lines
