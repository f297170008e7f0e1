"""Every bold figure of docs/errata.md, recomputed from first principles and the paper's tables.

Nothing of tinybar is used but the gates' constants, so the page checks the code as well.
"""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from tinybar.autograd import gates

ERRATA = Path(__file__).resolve().parents[1] / "docs" / "errata.md"
BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
THRESHOLD = BETA * math.log(-GAMMA / ZETA)
FACTORS = (2, 4, 8, 16)

# --- the hard concrete distribution --------------------------------------------------------------


def stretched(noise, log_alpha):
    """Supp. Eq. 4 before its clamp."""
    logit = math.log(noise) - math.log1p(-noise)
    return expit((logit + log_alpha) / BETA) * (ZETA - GAMMA) + GAMMA


def z_mean_noise(log_alpha):
    return min(1.0, max(0.0, stretched(0.5, log_alpha)))


def p_active(log_alpha):
    """Supp. Eq. 5."""
    return expit(log_alpha - THRESHOLD)


def expectation(log_alpha):
    """E[z]: quadrature between the noises at which z leaves 0 and reaches 1."""
    low, high = expit(THRESHOLD - log_alpha), expit(-THRESHOLD - log_alpha)
    assert stretched(low, log_alpha) == pytest.approx(0, abs=1e-12)
    assert stretched(high, log_alpha) == pytest.approx(1)
    return quad(stretched, low, high, args=(log_alpha,))[0] + (1 - high)


def transition(t, d=10.0):
    """Supp. Eq. 1."""
    delta = expit(-0.5 * d)
    return (expit(d * (t - 0.5)) - delta) / (1 - 2 * delta)


def budget_excess(iterations):
    """b - B (Eq. 7) at the last iteration, for WRN-28-12 and its 16x budget."""
    return (1 - transition(1 - 1 / iterations)) * (WRN.volume - WRN.volume / 16)


# --- the networks, convolution by convolution: (kernel area, inputs, outputs, output area) -------


class Network:
    def __init__(self, convolutions):
        self.convolutions = convolutions
        self.stem = convolutions[0]
        self.volume = sum(outputs * area for _, _, outputs, area in convolutions)
        self.flops = sum(map(flops, convolutions))

    def uniform_factor(self, k):
        """The FLOP factor if every width is divided by k; the image keeps its channels."""
        stem = flops(self.stem)
        return self.flops / ((self.flops - stem) / k**2 + stem / k)


def flops(convolution):
    return 2 * math.prod(convolution)


def wide_resnet(depth, k, stem_kernel=9):
    convolutions, channels, size = [(stem_kernel, 3, 16, 32**2)], 16, 32
    for group, width in enumerate((16 * k, 32 * k, 64 * k)):
        for block in range((depth - 4) // 6):
            if block == 0:
                size //= 2 if group else 1
                convolutions.append((1, channels, width, size**2))  # the shortcut
            convolutions += [(9, channels, width, size**2), (9, width, width, size**2)]
            channels = width
    return Network(convolutions)


def resnet50(stem_kernel=49, stride_in_3x3=True):
    convolutions, channels, size = [(stem_kernel, 3, 64, 64**2)], 64, 32
    for group, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            before = size
            if block == 0:
                size //= 2 if group else 1
                convolutions.append((1, channels, 4 * width, size**2))
            first = before if stride_in_3x3 else size
            convolutions += [
                (1, channels, width, first**2),
                (9, width, width, size**2),
                (1, width, 4 * width, size**2),
            ]
            channels = 4 * width
    return Network(convolutions)


WRN = wide_resnet(28, 12)
RESNET, RESNET_1X1 = resnet50(), resnet50(stem_kernel=1)
SHORTCUTS = [w * a for k, _, w, a in WRN.convolutions if k == 1]
RESNET_SHORTCUTS = [256 * 32**2, 512 * 16**2, 1024 * 8**2, 2048 * 4**2]


def stem_cost(factor):
    """The stem's FLOPs if uniform 16x pruning of ResNet-50 gives this FLOP factor."""
    rest = RESNET.flops - flops(RESNET.stem)
    return rest * (1 - factor / 256) / (factor / 16 - 1)


# --- the paper's tables --------------------------------------------------------------------------

# Supp. 5: (V regular, V mixed, delta %, FLOPs regular, FLOPs mixed, delta %), as printed.
SUPP5 = {
    "CIFAR-10": [
        ("1.79e6", "1.58e6", 12, "2.71e9", "2.35e9", 13),
        ("1.37e6", "7.88e5", 43, "1.51e9", "9.49e8", 37),
        ("8.43e5", "3.93e5", 53, "8.06e8", "4.46e8", 45),
        ("4.67e5", "1.97e5", 58, "4.20e8", "2.20e8", 48),
    ],
    "CIFAR-100": [
        ("1.84e6", "1.58e6", 14, "2.68e9", "2.29e9", 15),
        ("1.53e6", "7.88e5", 49, "1.85e9", "1.10e9", 40),
        ("8.76e5", "3.93e5", 55, "1.08e9", "6.03e8", 44),
        ("4.59e5", "1.97e5", 57, "6.21e8", "3.27e8", 47),
    ],
    "Mio-TCD": [
        ("2.66e6", "1.81e6", 32, "1.15e9", "8.33e8", 28),
        ("1.45e6", "9.07e5", 37, "2.50e8", "1.56e8", 38),
        ("7.51e5", "4.54e5", 40, "6.87e7", "3.98e7", 42),
        ("4.70e5", "2.26e5", 52, "3.31e7", "1.66e7", 50),
    ],
}
TABLE2 = {
    "CIFAR-10": (12, 43, 53, 58),
    "CIFAR-100": (14, 49, 55, 57),
    "Mio-TCD": (32, 37, 40, 52),
}
OURS = {  # Supp. 6: BAR's V and F factors
    "CIFAR-10": [("2.0", "6.4"), ("4.0", "15.9"), ("7.9", "33.8"), ("15.8", "68.5")],
    "CIFAR-100": [("2.0", "6.6"), ("4.0", "13.7"), ("7.9", "25.0"), ("15.8", "46.2")],
    "Mio-TCD": [("2.0", "3.1"), ("4.0", "16.7"), ("8.0", "65.1"), ("16.1", "156.7")],
}
UNIFORM = {"CIFAR": ("4.0", "16.0", "64.0", "255.8"), "Mio-TCD": ("4.0", "16.0", "63.7", "253.7")}


def interval(printed: str) -> tuple[float, float]:
    """What a figure, rounded to the digits it has, may have been."""
    mantissa, _, exponent = printed.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return float(printed) - unit / 2, float(printed) + unit / 2


def meets(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[0] <= second[1] and second[0] <= first[1]


def quotient(full: float, printed: str) -> tuple[float, float]:
    low, high = interval(printed)
    return full / high, full / low


def mixed_volumes(name):
    return [float(row[1]) for row in SUPP5[name]]


MIXED_GAIN = [float(row[0]) / float(row[1]) for table in SUPP5.values() for row in table]
MIO_FLOPS = [float(row[4]) for row in SUPP5["Mio-TCD"]]
CIFAR_OVER = [v * k / WRN.volume for v, k in zip(mixed_volumes("CIFAR-10"), FACTORS, strict=True)]
CIFAR_FACTOR = [WRN.volume / v for v in mixed_volumes("CIFAR-10")]
LINE = np.linspace(0, 1, 1001)

# The bold figures of each item, in the order in which they are read.
FIGURES = {
    "summary": [expit(THRESHOLD)],
    "A1": [expit(THRESHOLD), expit(0.5 * math.log(1 / 11))],
    "A2": [
        THRESHOLD,
        p_active(THRESHOLD),
        expectation(THRESHOLD),
        math.log(1 / 11),
        p_active(math.log(1 / 11)),
    ],
    "A3": [
        math.log(0.01),
        p_active(math.log(0.01)),
        p_active(0.0),
        z_mean_noise(0.0),
        z_mean_noise(0.01),
    ],
    "A4": [math.exp(18), math.exp(9), math.exp(-9 / 2), math.exp(-9)],
    "A5": [
        abs(transition(LINE, 0.01) - LINE).max(),
        transition(0.49, 1000),
        transition(0.51, 1000),
    ],
    "A8": [1e-4 * WRN.volume, 32**2, 16**2, 8**2],
    "A9": [budget_excess(80 * (50_000 // 64)), 50_000 // 64, budget_excess(100)],
    "B1": [
        *SHORTCUTS,
        sum(SHORTCUTS),
        sum(SHORTCUTS) / (WRN.volume / 16),
        WRN.volume / 16,
        100 * sum(SHORTCUTS[1:]) / (WRN.volume / 16),
    ],
    "B4": [
        WRN.volume,
        wide_resnet(22, 12).volume,
        wide_resnet(34, 12).volume,
        RESNET.volume,
        resnet50(stride_in_3x3=False).volume,
    ],
    "B5": [
        resnet50(stride_in_3x3=False).volume,
        resnet50(stride_in_3x3=False).volume / 4.54e5,
        *RESNET_SHORTCUTS,
        sum(RESNET_SHORTCUTS),
        sum(RESNET_SHORTCUTS) / (RESNET.volume / 16),
    ],
    "B7": [80 + 10],
    "C1": [WRN.volume, *CIFAR_OVER, *CIFAR_FACTOR],
    "C2": [
        flops(RESNET.stem),
        RESNET.flops,
        flops(RESNET_1X1.stem),
        RESNET_1X1.flops,
        *(net.uniform_factor(k) for k in FACTORS for net in (RESNET, RESNET_1X1)),
        stem_cost(253.75) / 1e6,
        stem_cost(253.65) / 1e6,
        *(net.flops / cost for cost in MIO_FLOPS for net in (RESNET, RESNET_1X1)),
        WRN.uniform_factor(16),
        wide_resnet(28, 12, stem_kernel=1).uniform_factor(16),
    ],
    "C3": [*MIXED_GAIN, sum(gain >= 2 for gain in MIXED_GAIN)],
    "C4": [100 * (0.9590 - 0.9567)],
    "C5": [100 * (1 - 46.2 / 60), 100 * (1 - 156.7 / 200)],
    "C7": [WRN.uniform_factor(7.9), WRN.uniform_factor(15.8)],
    "C8": [WRN.uniform_factor(v) for v in (3.1, 4.6, 8.1, 2.5, 4.3, 8.0)],
    "C9": [80 + 10, 80 + 40 + 10, (40 + 10) * (1 + 4), 92.70 - 1.37, 91.82 - 90.90],
    "C10": [100 * (1 - 2 / 3.1)],
    "D": [100 * (RESNET.volume / WRN.volume - 1)],
    "E": [-GAMMA / (ZETA - GAMMA), WRN.flops],
    "F": [x * 4 / 1e6 for x in interval("7.88e5")] + [x * 8 / 1e6 for x in interval("3.93e5")],
}


def sections() -> dict[str, str]:
    """The page's text by item; what stands before the first heading is the summary."""
    parts = re.split(r"^#{2,3} ([A-F]\d*)$", ERRATA.read_text("utf-8"), flags=re.MULTILINE)
    return {"summary": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def quoted(text: str) -> list[str]:
    """The bold figures, in order; other bold text begins with a letter."""
    return re.findall(r"\*\*([−\d][^*]*)\*\*", text)


@pytest.mark.parametrize("item", sorted(sections()))
def test_figures(item):
    found, expected = quoted(sections()[item]), FIGURES.get(item, [])
    assert len(found) == len(expected), (item, found, expected)
    for text, value in zip(found, expected, strict=True):
        figure = text.replace(",", "").replace("−", "-")
        unit = 10.0 ** -len(figure.partition(".")[2])
        assert abs(float(figure) - value) <= unit / 2 * (1 + 1e-9), (item, text, value)


def test_no_item_has_gone():
    assert set(FIGURES) <= set(sections())
    linked = re.findall(r"\]\(#(\w+)\)", sections()["summary"])
    assert {name.upper() for name in linked} == set(sections()) - {"summary"}


# --- what the page says without a figure ---------------------------------------------------------


def test_tinybar_has_the_constants_of_the_paper():
    assert (gates.BETA, gates.GAMMA, gates.ZETA) == (BETA, GAMMA, ZETA)
    assert pytest.approx(THRESHOLD) == gates.THRESHOLD


def test_a2_the_expectation_is_never_zero():
    assert all(expectation(x) > 0 for x in np.linspace(-12, 12, 49))
    assert z_mean_noise(THRESHOLD - 1e-9) == 0 < z_mean_noise(THRESHOLD + 1e-9)


def test_a8_the_barrier_is_c1_not_c2():
    h = 1e-5

    def g(c):
        return c * c / (1 - c) if c > 0 else 0.0

    assert g(h) / h < 2 * h  # g' is 0 on both sides
    assert (g(2 * h) - 2 * g(h) + g(0)) / h**2 == pytest.approx(2, abs=1e-3)


def cdf(s, log_alpha):
    """Supp. Eq. 3."""
    return expit((math.log(s) - math.log1p(-s)) * BETA - log_alpha)


def density(s, alpha):
    """Supp. Eq. 2."""
    top = BETA * alpha * s ** (-BETA - 1) * (1 - s) ** (-BETA - 1)
    return top / (alpha * s**-BETA + (1 - s) ** -BETA) ** 2


@pytest.mark.parametrize("log_alpha", [-3.0, -0.5, 0.0, 0.7, 4.0])
def test_e_the_equations_of_the_supplement_agree(log_alpha):
    for s in (0.02, 0.3, 0.5, 0.8, 0.97):
        slope = (cdf(s + 1e-6, log_alpha) - cdf(s - 1e-6, log_alpha)) / 2e-6
        assert density(s, math.exp(log_alpha)) == pytest.approx(slope, rel=1e-6)
        assert stretched(cdf(s, log_alpha), log_alpha) == pytest.approx(s * (ZETA - GAMMA) + GAMMA)
    origin = -GAMMA / (ZETA - GAMMA)
    assert 1 - cdf(origin, log_alpha) == pytest.approx(p_active(log_alpha))


def test_e_the_transition_and_the_margins():
    assert transition(0.0) == pytest.approx(0, abs=1e-15)
    assert transition(1.0) == pytest.approx(1)
    assert (np.diff(transition(LINE)) > 0).all()  # so b >= B at all times


@pytest.mark.parametrize("name", SUPP5)
def test_e_table_2_and_the_deltas_follow_from_supplement_5(name):
    assert tuple(row[2] for row in SUPP5[name]) == TABLE2[name]
    for row in SUPP5[name]:
        for regular, mixed, delta in (row[:3], row[3:]):
            (r0, r1), (m0, m1) = interval(regular), interval(mixed)
            saved = 100 * (1 - m1 / r0), 100 * (1 - m0 / r1)
            assert meets(saved, (delta - 0.5, delta + 0.5)), row


@pytest.mark.parametrize("name", SUPP5)
def test_e_and_c2_the_factors_of_bar_follow_from_supplement_5(name):
    net = RESNET_1X1 if name == "Mio-TCD" else WRN
    for row, (v, f) in zip(SUPP5[name], OURS[name], strict=True):
        assert meets(quotient(net.volume, row[1]), interval(v))
        assert meets(quotient(net.flops, row[4]), interval(f))
        assert name != "Mio-TCD" or not meets(quotient(RESNET.flops, row[4]), interval(f))


def test_b5_the_shortcuts_are_convolutions_of_the_network():
    shapes = [(1, c, w, a) for c, w, a in ((64, 256, 32**2), (256, 512, 16**2),
                                           (512, 1024, 8**2), (1024, 2048, 4**2))]  # fmt: skip
    assert [w * a for _, _, w, a in shapes] == RESNET_SHORTCUTS
    assert set(shapes) <= set(RESNET.convolutions)


def test_c1_which_budgets_are_exceeded():
    for name, net in (("CIFAR-10", WRN), ("CIFAR-100", WRN), ("Mio-TCD", RESNET)):
        for row, k in zip(SUPP5[name], FACTORS, strict=True):
            least_possible = interval(row[1])[0]
            assert (least_possible > net.volume / k) == (net is WRN)


def test_c7_the_factors_of_uniform_scaling():
    for name, net in (("CIFAR", WRN), ("Mio-TCD", RESNET_1X1)):
        for printed, k in zip(UNIFORM[name], FACTORS, strict=True):
            low, high = interval(printed)
            assert low <= net.uniform_factor(k) <= high


def test_c10_uniform_widths_meet_all_budgets():
    widths = {outputs for _, _, outputs, _ in WRN.convolutions}
    assert all(width % k == 0 for width in widths for k in FACTORS)


def test_c8_the_two_columns_of_vq_exclude_each_other():
    def possible(v):
        return tuple(map(WRN.uniform_factor, interval(v)))

    for v, f in (("3.1", "9.4"), ("4.6", "21.0"), ("8.1", "64.9"), ("16.0", "256.7")):
        assert meets(possible(v), interval(f))
    for v, f in (("2.5", "9.4"), ("4.3", "21.0"), ("8.0", "64.9")):
        assert not meets(possible(v), interval(f))
