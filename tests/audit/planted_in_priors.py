"""Errors to plant in what `tinybar.audit.priors` checks: hundredths, and mistakes in earnest."""

from tinybar import autograd as ag
from tinybar import nn
from tinybar.nn.gaussian import FLOOR

from .planting import after, output, pullback


def start_off(gate):
    gate.log_sigma.data = gate.log_sigma.data * 1.01


def variance_for_deviation(patch):
    """log sigma read as log sigma^2, as the method's own code has it."""
    patch.setattr(
        nn.Gaussian,
        "ratio",
        lambda self: self.keep_best(self.mu / ag.exp(0.5 * self.log_sigma), FLOOR),
    )


def prior_without_one(patch):
    """1/2 ln(mu^2 / sigma^2), which it is near where sigma is small."""
    patch.setattr(nn.Gaussian, "prior", lambda self: 0.5 * ag.sum(ag.log(self.ratio() ** 2)))


MUTATIONS = {
    "L_HC is the expected number of open gates (std. errors)": output("probability_open"),
    "IB: the prior is the least divergence over its variance": output("log"),
    "IB: gradient of the prior": pullback("log"),
    "IB: log sigma at which a channel dies": output("exp"),
    "IB: z at the mean noise": output("_select"),
    "IB: P(z > 0), by quadrature": output("normal_cdf"),
    "IB: mean and variance of samples (std. errors)": output("relu"),
    "IB: initial mu and log sigma (std. errors)": after(nn.Gaussian, "__init__", start_off),
}

MISTAKES = {
    "log sigma is a variance": ("IB: log sigma at which a channel dies", variance_for_deviation),
    "log sigma is a variance, in the prior": (
        "IB: the prior is the least divergence over its variance",
        variance_for_deviation,
    ),
    "the prior of a sure channel": (
        "IB: the prior is the least divergence over its variance",
        prior_without_one,
    ),
}
