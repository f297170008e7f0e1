"""The audit has teeth: for every closed form, an error planted in what it checks fails its row.

Most are errors of one per cent; those below, in MISTAKES, are such as one makes in earnest.
"""

import math

import numpy as np
import pytest

import tinybar.autograd.gates
import tinybar.autograd.norm
import tinybar.nn.gates
import tinybar.nn.layers
import tinybar.nn.networks.live
import tinybar.nn.networks.postactivation
import tinybar.nn.networks.preactivation
import tinybar.nn.optim
import tinybar.pruning.compaction
import tinybar.pruning.cost
from tinybar import nn, pruning
from tinybar.audit import gates as audit_gates
from tinybar.audit.checks import CLOSED_FORMS
from tinybar.autograd import PRIMITIVES
from tinybar.pruning.methods import bar

from . import planted_in_constrained, planted_in_methods, planted_in_priors
from .planting import (
    adam,
    after,
    argument,
    output,
    pullback,
    replace,
    result,
    running_statistics,
)


def _raise(array, by):
    array.data = array.data * by


BETA = audit_gates.BETA
BETA_OFF = replace(tinybar.autograd.gates, "BETA", 1.02 * BETA)
BARRIER = result(pruning, "barrier")
TRANSITION = result(pruning, "transition")
BUDGET = result(pruning, "budget", lambda margins: tuple(1.01 * margin for margin in margins))
PRESSURE = replace(bar, "PRESSURE", 1.01 * bar.PRESSURE)
BATCH_NORM = output(*(name for name in PRIMITIVES if name.startswith("batch_norm")))
Z_OFF = result(tinybar.pruning.compaction, "_z", lambda z: None if z is None else 1.01 * z)
ONE_NEURON = result(pruning, "volume", lambda volume: volume + 1)
ONE_PRODUCT = result(pruning, "flops", lambda flops: flops + 2)


def falling_barrier(patch):
    """Every other neuron 1 % higher: no longer monotone."""
    right = pruning.barrier
    patch.setattr(pruning, "barrier", lambda v, a, b: right(v, a, b) * (1.01 if int(v) % 2 else 1))


def one_channel_too_few(patch):
    """Hard pruning stops a little early."""
    right = pruning.enforce_budget
    patch.setattr(
        pruning, "enforce_budget", lambda model, cost, target: right(model, cost, 1.01 * target + 8)
    )


def hard_with_a_slope(patch):
    """The paper's indicator, with the gradient of the gate passed straight through it."""
    right = nn.LIVE["hard"]
    patch.setitem(nn.LIVE, "hard", lambda z: right(z) + 0.01 * (z - z.detach()))


MUTATIONS = {
    "density = derivative of the distribution": result(audit_gates, "density"),
    "density integrates to 1": result(audit_gates, "density"),
    "P(z > 0), from the distribution": output("probability_open"),
    "P(z > 0), by quadrature": output("probability_open"),
    "sampled frequencies (std. errors)": BETA_OFF,
    "samples are the inverse of the distribution": BETA_OFF,
    "z at the mean noise": output("hard_concrete"),
    "log alpha at which a channel dies": BETA_OFF,
    "gradient of L_HC = p (1 - p)": pullback("probability_open"),
    "keep_one keeps the best channel": replace(tinybar.nn.gates, "FLOOR", 0.01),
    "initial log alpha is U(0, 0.01) (std. errors)": after(
        nn.HardConcrete, "__init__", lambda gate: _raise(gate.log_alpha, 1.01)
    ),
    "f = g(c) = c^2 / (1 - c)": BARRIER,
    "pole at b, infinite past it": BARRIER,
    "f(a) = f'(a) = 0 from both sides": BARRIER,
    "slope between a and b": BARRIER,
    "rises with V, and as b falls (violations)": falling_barrier,
    "L_BAR = L_S f, f constant for the gradient": result(bar, "bar_loss"),
    "finite penalty at the first iteration": PRESSURE,
    "finite penalty past the budget": PRESSURE,
    "T(0) = 0 and T(1) = 1": TRANSITION,
    "sigmoidal transition": TRANSITION,
    "slope of the sigmoidal transition": TRANSITION,
    "d -> 0 gives the linear transition": TRANSITION,
    "exponential schedule": TRANSITION,
    "b goes from V_F to B, a = B - V_F / 10,000": BUDGET,
    "b on its way": BUDGET,
    "WRN-28-12: V = 3,112,960, 15,087,796,224 FLOPs": ONE_NEURON,
    "ResNet-50: V = 3,629,056, 2,669,150,208 FLOPs": ONE_PRODUCT,
    "volume and FLOPs of a pruned network": ONE_NEURON,
    "volume and FLOPs with regular connectivity": ONE_PRODUCT,
    "volume and FLOPs of the compact network's arrays": ONE_PRODUCT,
    "hard pruning keeps the budget (neurons above it)": one_channel_too_few,
    "expected volume L_S": result(pruning, "expected_volume"),
    "gradient of L_S = A p (1 - p)": pullback("probability_open"),
    "L_S is the expectation of V while no path is dead": output("probability_open"),
    "L_S of the FLOP metric is that of the FLOPs": output("probability_open"),
    "L_S of the parameter metric is that of the weights": output("probability_open"),
    "distillation": result(nn, "distillation_loss"),
    "gradient of distillation": pullback("cross_entropy"),
    "slopes of distillation": pullback("cross_entropy"),
    "cross-entropy of labels": output("cross_entropy"),
    "batch norm normalises by the batch": BATCH_NORM,
    "running statistics of batch norm": running_statistics(
        lambda mean, var, x: mean.__imul__(1.01)
    ),
    "Adam, five steps": adam(lambda w, options: options | {"lr": 1.01 * options["lr"]}),
    "a gate multiplies channels": output("hard_concrete"),
    "a gate on a convolution's weight gates its output": output("conv2d"),
    "a gate on gamma and beta gates relu(bn(x))": BATCH_NORM,
    "a gated pooling block": output("conv2d"),
    "scatterAdd": output("scatter_add"),
    "mixed-connectivity block": output("scatter_add"),
    "mixed-connectivity pooling block": output("scatter_add"),
    "a gated pooling block of ResNet-50": output("conv2d"),
    "compact = masked: wide residual network": Z_OFF,
    "compact = masked: bottlenecks, as in ResNet-50": Z_OFF,
    "compact = masked: basic blocks, as in ResNet-20": Z_OFF,
    "E[live] = 1 - prod (1 - E[z]) (std. errors)": result(tinybar.nn.networks.live, "either"),
    "slope of live = prod of the other 1 - z": pullback("clip"),
    "hard: data do not see a channel's common z": hard_with_a_slope,
    "soft: data see a channel's common z": pullback("clip"),
    "initial weights are Kaiming-normal (std. errors)": result(
        tinybar.nn.layers, "kaiming_normal", lambda weight: 1.02 * weight
    ),
    **planted_in_constrained.MUTATIONS,
    **planted_in_methods.MUTATIONS,
    **planted_in_priors.MUTATIONS,
}


def test_there_is_a_mutation_for_every_closed_form():
    assert set(MUTATIONS) == set(CLOSED_FORMS)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_an_error_of_a_hundredth_is_found(name, monkeypatch):
    MUTATIONS[name](monkeypatch)
    row = CLOSED_FORMS[name].run()
    assert not row.passed, row


# --- mistakes one makes in earnest ----------------------------------------------------------------


def kink(patch):
    """A barrier that leaves 0 with a slope."""
    right = pruning.barrier

    def mutated(v, a, b):
        return right(v, a, b) + 1e-3 * max(0.0, (v - a) / (b - a))

    patch.setattr(pruning, "barrier", mutated)


def without_cap(patch):
    """The barrier as it is, infinite."""
    right = bar.BudgetAwarePenalty.__init__

    def mutated(self, *args, **options):
        right(self, *args, **options)
        self.cap = math.inf

    patch.setattr(bar.BudgetAwarePenalty, "__init__", mutated)


def start_at_v_f(patch):
    """No tolerance: f is at its cap from the first iteration."""
    right = bar.BudgetAwarePenalty.__init__

    def mutated(self, *args, **options):
        right(self, *args, **options)
        self.tolerance = 0.0

    patch.setattr(bar.BudgetAwarePenalty, "__init__", mutated)


def reads_the_sum(patch):
    """A residual channel counted once for every gate that writes it, not once at most."""
    right = tinybar.pruning.cost.expected_reads

    def mutated(site):
        gates = [source.gate for source in site.reads]
        if not gates or None in gates:
            return right(site)
        widths = [tinybar.pruning.cost.total(gate.probability_open()) for gate in gates]
        return sum(widths[1:], widths[0])

    patch.setattr(tinybar.pruning.cost, "expected_reads", mutated)


def decoupled_decay(w, options):
    """AdamW."""
    w -= options["lr"] * options["weight_decay"] * w
    return options | {"weight_decay": 0.0}


def biased_variance(mean, var, x):
    m = x.size // x.shape[-1]
    var += 0.1 * (x.reshape(-1, x.shape[-1]).var(axis=0) * (1 - m / (m - 1)))


def no_bias_correction(arguments):
    """As if Adam had run for ages."""
    arguments[4] = 10**9
    return arguments


def exchanged_betas(arguments):
    *others, beta1, beta2, eps = arguments
    return [*others, beta2, beta1, eps]


def noise_upside_down(patch):
    """1 - epsilon for epsilon, which is as uniform."""
    right = PRIMITIVES["hard_concrete"].function
    patch.setattr(
        PRIMITIVES["hard_concrete"],
        "function",
        lambda log_alpha, epsilon: right(log_alpha, 1 - np.asarray(epsilon)),
    )


def unbiased_moments(patch):
    """The batch normalised by the variance that the running one moves to."""
    right = tinybar.autograd.norm.moments

    def mutated(x):
        mean, var = right(x)
        m = x.size // x.shape[-1]
        return mean, var * (m / (m - 1))

    patch.setattr(tinybar.autograd.norm, "moments", mutated)


def temperature_once(patch):
    """T where Section 3.5 has T^2."""
    right, paper = nn.distillation_loss, 4.0

    def mutated(student, teacher, labels, alpha=0.9, temperature=paper):
        hard = right(student, teacher, labels, 0.0, temperature)
        soft = right(student, teacher, labels, 1.0, temperature)
        return (1 - alpha) * hard + (alpha / temperature) * soft

    patch.setattr(nn, "distillation_loss", mutated)


def scatter_backwards(patch):
    """The delta's channels in another order than the index."""
    right = PRIMITIVES["scatter_add"].function
    patch.setattr(
        PRIMITIVES["scatter_add"],
        "function",
        lambda x, delta, index, axis=-1: right(x, delta, list(index)[::-1], axis),
    )


def clamped_gate_keeps_its_slope(patch):
    right = nn.HardConcrete.location

    def mutated(self):
        made = right(self)
        return self.log_alpha + (made - self.log_alpha).detach()

    patch.setattr(nn.HardConcrete, "location", mutated)


def always(z):
    return np.ones(1, z.dtype)


MISTAKES = {
    "the barrier has a kink at a": ("f(a) = f'(a) = 0 from both sides", kink),
    "the barrier has no cap": ("finite penalty past the budget", without_cap),
    "b starts at V_F": ("finite penalty at the first iteration", start_at_v_f),
    "z-bar without beta": (
        "log alpha at which a channel dies",
        replace(tinybar.autograd.gates, "BETA", 1.0),
    ),
    "a clamped gate keeps its slope": (
        "gradient of L_S = A p (1 - p)",
        clamped_gate_keeps_its_slope,
    ),
    "no live mask": (
        "compact = masked: wide residual network",
        result(tinybar.nn.networks.preactivation, "after", lambda live: live * 0 + 1),
    ),
    "an interrupted path still adds beta": (
        "a gated pooling block of ResNet-50",
        replace(tinybar.nn.networks.postactivation, "any_open", always),
    ),
    "an interrupted path still adds beta, in a network": (
        "compact = masked: bottlenecks, as in ResNet-50",
        replace(tinybar.nn.networks.postactivation, "any_open", always),
    ),
    "no live mask, in a block": (
        "a gated pooling block",
        result(tinybar.nn.networks.preactivation, "after", lambda live: live * 0 + 1),
    ),
    "a delta that nothing reaches is live": (
        "compact = masked: wide residual network",
        replace(tinybar.nn.networks.live, "any_open", always),
    ),
    "the soft mask is not folded into the batch norm": (
        "compact = masked: wide residual network",
        result(tinybar.pruning.compaction, "either", np.sign),
    ),
    "the soft mask adds up the gates": (
        "slope of live = prod of the other 1 - z",
        replace(tinybar.nn.networks.live, "either", lambda live, written: live + written),
    ),
    "the soft mask has no slope": (
        "soft: data see a channel's common z",
        lambda patch: patch.setitem(nn.LIVE, "soft", nn.LIVE["hard"]),
    ),
    "FLOPs read the sum of a signal's gates": (
        "L_S of the FLOP metric is that of the FLOPs",
        reads_the_sum,
    ),
    "weight decay is decoupled": ("Adam, five steps", adam(decoupled_decay)),
    "the running variance is biased": (
        "running statistics of batch norm",
        running_statistics(biased_variance),
    ),
    "Adam does not correct its bias": (
        "Adam, five steps",
        argument(tinybar.nn.optim, "adam_update", no_bias_correction),
    ),
    "Adam exchanges its betas": (
        "Adam, five steps",
        argument(tinybar.nn.optim, "adam_update", exchanged_betas),
    ),
    "the noise is upside down": (
        "samples are the inverse of the distribution",
        noise_upside_down,
    ),
    "P(z > 0) before it is stretched": (
        "P(z > 0), by quadrature",
        replace(tinybar.autograd.gates, "THRESHOLD", 0.0),
    ),
    "the batch is normalised by the unbiased variance": (
        "batch norm normalises by the batch",
        unbiased_moments,
    ),
    "the teacher's softmax is not softened": (
        "distillation",
        argument(nn, "distillation_loss", lambda a: [a[0], a[1] * 4.0, *a[2:]]),
    ),
    "T instead of T^2": ("gradient of distillation", temperature_once),
    "delta scattered backwards": ("mixed-connectivity block", scatter_backwards),
    **planted_in_constrained.MISTAKES,
    **planted_in_methods.MISTAKES,
    **planted_in_priors.MISTAKES,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake, monkeypatch):
    name, plant = MISTAKES[mistake]
    assert CLOSED_FORMS[name].run().passed
    plant(monkeypatch)
    assert not CLOSED_FORMS[name].run().passed
