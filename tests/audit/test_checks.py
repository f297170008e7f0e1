"""Closed forms hold for any seed; a check that breaks is a failing row."""

import math

import numpy as np
import pytest

from tinybar.audit import run_audit
from tinybar.audit.checks import (
    CLOSED_FORMS,
    GROUPS,
    Check,
    audit_closed_forms,
    closed_form,
    relative,
    unless,
)
from tinybar.audit.gradients import audit_primitives
from tinybar.runtime import arrays, random


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_it_holds(name):
    row = CLOSED_FORMS[name].run()
    assert row.passed, row
    assert 0 <= row.error <= row.bound
    assert row.source
    assert row.detail.endswith(".")


@pytest.mark.parametrize("seed", [1, 2, 2**32])
def test_they_hold_for_other_seeds(seed):
    assert not [row for row in audit_closed_forms(seed) if not row.passed]


@pytest.mark.gpu
def test_they_hold_on_the_gpu():
    arrays.use_device("gpu")
    assert not [row for row in run_audit() if not row.passed]


def test_the_audit_is_primitives_then_closed_forms_group_by_group():
    random.seed(5)
    random.stream("data").random(3)
    before = random.streams_state()
    rows = run_audit(3)
    assert random.streams_state() == before
    count = len(rows) - len(CLOSED_FORMS)
    assert rows[:count] == audit_primitives(3)
    assert {row.name for row in rows[count:]} == set(CLOSED_FORMS)
    places = [GROUPS.index(row.group) for row in rows[count:]]
    assert places == sorted(places)


def test_every_equation_is_among_the_sources():
    sources = " ".join(check.source for check in CLOSED_FORMS.values())
    for equation in range(1, 8):
        if equation != 3:  # L_D + lambda L_S: two losses, added
            assert f"Eq. {equation}" in sources
    for equation in ("Supp. Eq. 1", "Supp. Eq. 2, 3", "Supp. Eq. 4", "Supp. Eq. 5", "Supp. 2"):
        assert equation in sources


def test_a_row_depends_on_its_seed_and_name_alone():
    check = CLOSED_FORMS["sampled frequencies (std. errors)"]
    first = check.run(7)
    random.seed(1)
    random.stream("gates").random(5)
    assert check.run(7) == first
    assert check.run(8) != first


def run(measure, bound=1.0):
    return Check("gates", "a check", "Eq. 0", bound, measure).run()


def test_a_check_that_raises_is_a_failing_row():
    def broken(rng):
        """Never gets there."""
        raise RuntimeError("no memory left")

    row = run(broken)
    assert not row.passed
    assert row.error == math.inf
    assert row.detail == "RuntimeError: no memory left"


@pytest.mark.parametrize(
    ("error", "passed"), [(0.0, True), (1.0, True), (1.01, False), (math.inf, False)]
)
def test_an_error_up_to_the_bound_is_accepted(error, passed):
    assert run(lambda rng: error).passed is passed


def test_nan_is_no_agreement():
    assert not run(lambda rng: math.nan).passed
    assert not run(lambda rng: relative([1.0, math.nan], [1.0, 1.0])).passed


def test_no_name_twice():
    name = next(iter(CLOSED_FORMS))
    with pytest.raises(ValueError, match="is checked already"):
        closed_form("gates", name, "", 0)(lambda rng: 0.0)


def test_of_the_errors():
    assert relative([1.0, 2.2], [1.0, 2.0]) == pytest.approx(0.1)
    assert relative(np.ones(3), np.ones(4)) == math.inf
    assert relative([0.5], [0.0]) == 0.5  # nothing to be relative to
    assert unless(True, 0.25) == 0.25
    assert unless(np.bool_(False), 0.25) == math.inf
