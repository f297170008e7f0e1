"""Damaged files of every kind, and the judge of what is made of them."""

from collections import Counter

import pytest
from faults.files import cases_of, judged
from faults.samples import BROKEN, KINDS, sealed_again, with_right_sums

pytest.importorskip("resource")  # limits the memory


def test_damaged_files_are_refused_in_one_line(tmp_path):
    """500 of those that `python tests/faults/files.py 10000` tries."""
    found = list(judged(0, cases_of(500), tmp_path))
    assert {kind for kind, *_ in found} == KINDS.keys()
    assert len(found) == 500
    assert Counter(verdict for _, _, verdict, _ in found)["refused"] > 250
    assert [case for case in found if case[2] == "wrong"] == []


EXPECTED = {
    "KeyError": ("wrong", "KeyError"),
    "two lines": ("wrong", "is\\nwrong"),
    "no name": ("wrong", "it is wrong"),
    "takes memory": ("wrong", "MemoryError"),
    "sealed": ("wrong", "accepted with other content"),
    "dies": ("wrong", "died or hung"),
    "not sealed": ("other content", ""),  # after a start, which may take longer
    "hangs": ("wrong", "died or hung"),
    "right": ("refused", "text is wrong"),  # by the process in the place of those that were lost
}


def test_of_the_test_readers_that_misbehave_are_found(tmp_path):
    assert EXPECTED.keys() == BROKEN.keys()
    for kind, number, verdict, why in judged(0, list(enumerate(EXPECTED)), tmp_path, patience=2):
        expected, words = EXPECTED[kind]
        assert (kind, verdict) == (list(EXPECTED)[number], expected)
        assert words in why


@pytest.mark.parametrize("kind", [name for name in KINDS if "forged" in name])
def test_of_the_test_a_forged_file_is_a_valid_one(kind, tmp_path):
    path = KINDS[kind].make(tmp_path, 0)
    inside, outside = KINDS[kind].layer
    assert outside(inside(path.read_bytes())) == path.read_bytes()


def test_of_the_test_a_png_gets_its_sums_back(tmp_path):
    content = KINDS["PNG"].make(tmp_path, 0).read_bytes()
    spoilt = content[:-4] + b"sums"
    assert with_right_sums(spoilt) == content


def test_of_the_test_a_network_with_another_header_is_sealed_again(tmp_path):
    kind = KINDS["forged network"]
    path = kind.make(tmp_path, 0)
    inside = path.read_bytes()[8:].replace(b"wrn-10-1", b"wrn-16-10", 1)
    path.write_bytes(sealed_again(inside))
    with pytest.raises(ValueError, match="are more than there are"):
        kind.read(path)
