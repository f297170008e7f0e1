"""Errors to plant in what lagrangian and morphnet are made of, for `test_mutations.py`."""

from tinybar import autograd as ag
from tinybar.pruning import widths
from tinybar.pruning.methods import lagrangian, morphnet
from tinybar.pruning.methods.recipe import Penalty
from tinybar.pruning.multiplier import Multiplier

from .planting import pullback, replace, result


def multiplier_after(change):
    """change(lambda before, error, gains, what is right) -> what comes in its place."""

    def plant(patch):
        right = Multiplier.after

        def mutated(self, error, gains):
            return change(self, error, gains, right(self, error, gains))

        patch.setattr(Multiplier, "after", mutated)

    return plant


def times(by):
    """The whole multiplier."""
    return multiplier_after(lambda before, e, gains, now: now._replace(value=by * now.value))


def smoother(before, error, gains, now):
    """A mean that is one per cent off."""
    return now._replace(smooth=1.01 * now.smooth)


def without_projection(before, error, gains, now):
    """lambda < 0."""
    return now._replace(value=before.value + gains.integral * error)


def loss_of(owner, by=1.01):
    """Multiply the loss of a penalty."""

    def plant(patch):
        right = owner.__call__

        def mutated(self, iteration):
            loss, *others = right(self, iteration)
            return Penalty(loss * by, *others)

        patch.setattr(owner, "__call__", mutated)

    return plant


MUTATIONS = {
    "nuPI with kappa_P = 0 is dual ascent": times(1.01),
    "nuPI: errors summed, and a mean's changes": multiplier_after(smoother),
    "lambda >= 0 (violations)": multiplier_after(without_projection),
    "nuPI finds a known multiplier": times(0.99),
    "lambda (L_S - b) / V_F, and its slope in the gates": loss_of(lagrangian.Lagrangian),
    "MorphNet's price, counted by hand": loss_of(morphnet.PricedScales),
    "slopes of MorphNet's price": pullback("maximum"),
    "MorphNet: with every gamma kept, the full network": result(
        widths, "fitted", lambda found: [*found[:-1], found[-1] - 1]
    ),
    "MorphNet: the largest multiplier that fits": replace(widths, "STEPS", 2),
}


def mean_from_zero(before, error, gains, now):
    """xi is 0 before the first error: kappa_P answers to all of it."""
    if before.smooth is not None:
        return now
    return now._replace(smooth=(1 - gains.nu) * error)


def sum_of_errors(before, error, gains, now):
    """kappa_P on the mean instead of on its change."""
    return now._replace(
        value=before.value + gains.integral * error + gains.proportional * now.smooth
    )


def scales_of_the_first_norm(self):
    """A channel of a residual signal scaled by one of its batch norms."""
    norms = [group.norms[0] for group in self.groups]
    return [ag.maximum(bn.gamma, -bn.gamma) for bn in norms]


def all_channels(self):
    """Beside the channels that are there at first, not beside those that count."""
    return [group.writers[0].c_out for group in self.groups]


MISTAKES = {
    "the mean of errors begins at 0": (
        "nuPI: errors summed, and a mean's changes",
        multiplier_after(mean_from_zero),
    ),
    "the proportional term is summed, too": (
        "nuPI: errors summed, and a mean's changes",
        multiplier_after(sum_of_errors),
    ),
    "one batch norm speaks for a signal": (
        "MorphNet's price, counted by hand",
        replace(morphnet.PricedScales, "scales", scales_of_the_first_norm),
    ),
    "prices are those of the full network": (
        "MorphNet's price, counted by hand",
        replace(morphnet.PricedScales, "widths", all_channels),
    ),
}
