"""docs/audit.md is true: what it names exists, and no equation or closed form is left out."""

import importlib
import re
from pathlib import Path

import pytest

from tinybar.audit.checks import CLOSED_FORMS
from tinybar.autograd import PRIMITIVES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "audit.md").read_text("utf-8")
WIDEST = 121  # columns of a line: a table row fits a screen

PARTS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
PART = {part.partition("\n")[0]: part for part in PARTS}
SECTIONS = {
    section.partition("\n")[0]: " ".join(section.split())
    for name in ("Equations", "The procedure", "The other methods")
    for section in PART[name].split("### ")[1:]
}
NAMES = sorted(set(re.findall(r"`(tinybar(?:\.\w+)+)`", TEXT)))


def test_of_the_test_the_page_was_read():
    assert len(SECTIONS) > 20
    assert len(NAMES) > 40


EQUATIONS = [f"Eq. {n}." for n in range(1, 8)]
EQUATIONS += [f"Supp. Eq. {n}." for n in ("1", "2 and 3", "4", "5")]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_every_equation_has_its_section(equation):
    assert [title for title in SECTIONS if title.startswith(equation)]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_is_complete(title):
    text = SECTIONS[title]
    assert re.search(r"- code: `tinybar\.", text)
    assert "- audit: " in text
    if title.startswith(("Eq.", "Supp. Eq.")):
        assert text.count("$$") == 2


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


def test_the_rows_are_those_of_the_audit_and_no_closed_form_is_left_out():
    audits = (text.partition("- audit: ")[2].partition("- errata")[0] for text in SECTIONS.values())
    named = {name for text in audits for name in re.findall(r'"([^"]+)"', text)}
    assert not named - set(CLOSED_FORMS) - set(PRIMITIVES)
    assert not set(CLOSED_FORMS) - named


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        page, _, anchor = target.partition("#")
        text = (ROOT / "docs" / page).read_text("utf-8")
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        assert not anchor or anchor in {heading.split(".")[0].lower() for heading in headings}


def test_paths_exist():
    for path in re.findall(r"`((?:tests|tinybar)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists(), path


def test_no_line_is_wider_than_a_screen():
    assert not [line for line in TEXT.splitlines() if len(line) > WIDEST]
