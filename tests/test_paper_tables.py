"""docs/audit.md's account of the paper's tables: every bold figure, computed again.

From the networks themselves, by tinybar's own counts, and from the figures that stand beside.
"""

import re
from pathlib import Path

import pytest

from tinybar import nn, pruning

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "audit.md").read_text("utf-8")
SECTION = TEXT.partition("## The tables of Supp. 5 and 6, computed")[2].partition("\n## ")[0]
WRN, RESNET = nn.build("wrn-28-12", 10), nn.resnet50(11)
OPERATIONS = pruning.COSTS["flops"].of


def stem(model) -> int:
    return pruning.hard_pruned(model)[0].cost(OPERATIONS)


V, V_MIO = pruning.volume(WRN), pruning.volume(RESNET)
F, F_MIO = pruning.flops(WRN), pruning.flops(RESNET)
F_1X1 = F_MIO - stem(RESNET) + stem(RESNET) // 49


def rows(header: str) -> list[list[str]]:
    """The cells of the table whose header begins like this."""
    lines = SECTION.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith(header)) + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            return found
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def number(cell: str) -> float:
    """A figure, printed bold or with a power of ten or a dagger or not."""
    cell = cell.strip("*† ").replace(",", "")
    mantissa, _, exponent = cell.partition("·10")
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    return float(mantissa) * 10 ** int(exponent.translate(digits) or 0)


def printed_as(cell: str, value: float) -> bool:
    digits = len(cell.strip("*").partition(".")[2])
    return cell.strip("*").replace(",", "") == f"{value:.{digits}f}"


def test_the_networks():
    expected = [(V, V_MIO), (F, F_MIO), (stem(WRN), stem(RESNET)), (None, F_1X1)]
    for (_, wrn, resnet), values in zip(rows("| | WRN-28-12, 32×32"), expected, strict=True):
        for cell, value in zip((wrn, resnet), values, strict=True):
            assert cell == ("" if value is None else f"**{value:,}**")


def uniform(k: int, full: int, first: int) -> float:
    return full / (first / k + (full - first) / k**2)


@pytest.mark.parametrize("row", rows("| V factor k"), ids=lambda row: f"{row[0]}x")
def test_uniform_pruning(row):
    k, wrn, wrn_paper, one, one_paper, seven = row
    stem_1x1 = stem(RESNET) // 49
    assert printed_as(wrn, uniform(int(k), F, stem(WRN)))
    assert printed_as(one, uniform(int(k), F_1X1, stem_1x1))
    assert printed_as(seven, uniform(int(k), F_MIO, stem(RESNET)))
    assert (number(wrn), number(one)) == (number(wrn_paper), number(one_paper))


def test_uniform_pruning_is_what_a_network_of_such_widths_costs():
    """WRN-28-12 with a sixteenth of its width, and of its stem."""
    model = nn.wide_resnet(28, 12, 10, gate=nn.HardConcrete).eval()
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[gate.log_alpha.size // 16 :] = -9
    assert V / pruning.volume(model) == 16
    assert F / pruning.flops(model) == pytest.approx(uniform(16, F, stem(WRN)), rel=1e-12)


@pytest.mark.parametrize("row", rows("| | V, Supp. 5"), ids=lambda row: row[0])
def test_the_rows_of_bar(row):
    """Quotients of figures with three digits; what the paper prints is within their rounding."""
    _, volume, v_factor, v_paper, flops, f_factor, f_paper = row
    is_mio = rows("| | V, Supp. 5").index(row) >= 8
    full = (V_MIO, F_1X1) if is_mio else (V, F)
    for whole, part, factor, paper in (
        (full[0], number(volume), v_factor, v_paper),
        (full[1], number(flops), f_factor, f_paper),
    ):
        assert printed_as(factor, whole / part)
        unit = 10 ** (len(f"{part:.0f}") - 3)  # of the third digit
        low, high = whole / (part + unit / 2), whole / (part - unit / 2)
        assert low - 0.05 <= number(paper) <= high + 0.05


def test_the_daggers():
    text = SECTION.partition("*The rows with a dagger*")[2]
    times = [number(cell) for cell in re.findall(r"\*\*[\d,.]+\*\*", text)]
    assert times == [8 * 3.93e5, 16 * 1.97e5, 7.92, 15.80, 1.97, 3.95]
    assert [round(V / v, 2) for v in (3.93e5, 1.97e5, 1.58e6, 7.88e5)] == times[2:]
