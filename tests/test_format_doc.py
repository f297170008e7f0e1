"""docs/format.md is true: its reader reads, and it names every field that a file has."""

import hashlib
import io
import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from faults.samples import cache, network, toy_data

from tinybar import nn
from tinybar.runtime.files import load_arrays
from tinybar.train.folder import Checkpoint
from tinybar.train.models import save_model

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "format.md").read_text("utf-8")


def fields_after(words: str) -> set[str]:
    """The names in the first column of the first table behind these words."""
    table = re.search(r"(?:^\|.*\n)+", TEXT[TEXT.index(words) :], re.MULTILINE)[0]
    return {
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The path of a compact network."""
    save_model(tmp_path / "pruned.safetensors", network(0, compact=True), toy_data())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pruned.safetensors"


def test_the_reader_without_tinybar_reads(written):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert "tinybar." not in code
    found: dict = {}
    exec(code, found)
    arrays, about = load_arrays(written, "network")
    assert found["header"]["about"] == about
    assert found["arrays"].keys() == arrays.keys()
    assert all(np.array_equal(found["arrays"][name], a) for name, a in arrays.items())
    content = bytearray(written.read_bytes())
    content[-1] ^= 1
    written.write_bytes(content)
    with pytest.raises(AssertionError):
        exec(code, {})


def test_a_cache_of_images_is_an_array_and_its_checksum(tmp_path):
    content = cache("*.npy")(tmp_path, 0).read_bytes()
    assert hashlib.sha256(content[:-32]).digest() == content[-32:]
    assert np.load(io.BytesIO(content)).shape == (8, 6, 5, 3)


def test_a_cached_list_is_a_checksum_and_rows(tmp_path):
    checksum, _, rest = cache("*.json")(tmp_path, 0).read_bytes().partition(b"\n")
    assert hashlib.sha256(rest).hexdigest().encode() == checksum
    (_, size, _), rows = json.loads(rest)
    assert size == (tmp_path / "photos.zip").stat().st_size
    assert [row[:2] for row in rows[:3]] == [["train", "cat"], ["train", "cat"], ["train", "dog"]]
    assert {len(row) for row in rows} == {6}


def test_every_field_is_described(written, tmp_path):
    _, about = load_arrays(written, "network")
    layout = about["network"]["layout"]
    assert fields_after("entry, `tinybar`") == {"format", "kind", "sha256", "about"}
    assert fields_after("`data`:") == about["data"].keys()
    assert fields_after("and a `layout`:") == layout.keys()
    assert fields_after("| field of a block |") == layout["blocks"][0].keys()
    gated = nn.build("wrn-10-1", 3, (6, 6, 1), nn.HardConcrete)
    save_model(tmp_path / "full", gated, toy_data())
    _, full = load_arrays(tmp_path / "full", "network")
    assert fields_after("of a full network:") == full["network"].keys()
    checkpoint = {field.name for field in fields(Checkpoint)} - {"path", "arrays"}
    assert fields_after("under\n`optimizer/`") == checkpoint
