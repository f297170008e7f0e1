"""docs/audit.md is true: what it names exists, and it names everything."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from tinybar.audit.checks import CLOSED_FORMS
from tinybar.audit.closed_forms import GROUPS
from tinybar.autograd import PRIMITIVES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "audit.md").read_text("utf-8")
COLUMNS = ("where", "what", "code", "test", "audit row", "see")

NAMES = sorted(set(re.findall(r"`(tinybar(?:\.\w+)+)`", TEXT)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", TEXT)))
FILES = re.findall(r"\| `(tinybar/[\w/]+\.py)` \| (\d+) \|", TEXT)


def tables(header) -> list[list[str]]:
    """The rows, as lists of cells, of all tables with this header."""
    found, inside = [], False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            inside = False
        elif tuple(cells) == tuple(header):
            inside = True
        elif inside and not set(line) <= set("|-"):
            found.append([cell.strip(" |") for cell in cells])
    return found


ROWS = tables(COLUMNS)


def test_of_the_test_the_page_was_read():
    assert len(ROWS) > 35
    assert len(NAMES) > 40
    assert len(TESTS) > 60
    assert len(FILES) > 15


def test_every_equation_has_its_row():
    first = [row[0] for row in ROWS]
    numbered = [f"Eq. {n}" for n in range(1, 8)] + [f"Supp. Eq. {n}" for n in range(1, 6)]
    assert first[: len(numbered)] == numbered


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_row_is_complete(row):
    where, what, code, test, audit, see = row
    assert where
    assert what
    assert re.search(r"`tinybar\.", code)
    assert re.search(r"`tests/", test)
    assert audit
    assert re.fullmatch(r"(\[\w+\]\(errata\.md#\w+\) ?)*", see)


@pytest.mark.parametrize("name", NAMES)
def test_the_function_exists(name):
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[split:]:
            found = getattr(found, attribute)
        return
    pytest.fail(f"nothing of {name} can be imported")


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("test", TESTS)
def test_the_test_exists(test):
    path, _, name = test.partition("::")
    assert name.startswith("test_")
    assert name in names_in(path)


def test_the_rows_are_the_audit_s_and_no_closed_form_is_left_out():
    named = {name for row in ROWS for name in re.findall(r'"([^"]+)"', row[4])}
    assert not named - set(CLOSED_FORMS) - set(PRIMITIVES)
    assert not set(CLOSED_FORMS) - named
    assert {check.group for check in CLOSED_FORMS.values()} == set(GROUPS)


@pytest.mark.parametrize(("path", "lines"), FILES)
def test_a_file_is_as_long_as_it_says(path, lines):
    """Within a third: the reader plans with it."""
    assert len((ROOT / path).read_text("utf-8").splitlines()) == pytest.approx(
        int(lines), rel=1 / 3
    )


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        page, _, anchor = target.partition("#")
        text = (ROOT / "docs" / page).read_text("utf-8")
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        assert not anchor or anchor in {heading.split(".")[0].lower() for heading in headings}


def test_other_paths_exist():
    for path in re.findall(r"`((?:tests|tinybar)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists(), path
