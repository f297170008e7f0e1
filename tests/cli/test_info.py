"""`tinybar info`."""

import json

import pytest

import tinybar
from tinybar.cli import main


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
    assert facts_of(capsys, "--system")["packages"]["tinybar"] == tinybar.__version__
    assert main(["info", "--system"]) == 0
    out = capsys.readouterr().out
    assert f"tinybar {tinybar.__version__}" in out
    assert "_" not in out
