"""Which channels of a residual signal exist, and what that tells their gates."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .. import autograd as ag
from .. import nn
from ..autograd import no_grad
from ..nn import HardConcrete
from ..nn.networks import live
from ..runtime.arrays import to_device
from .checks import assign, closed_form, host, randomise, relative, tensor, unless
from .gates import distribution, unstretched

# --- the soft form --------------------------------------------------------------------------------


def others(z: Any) -> Any:
    """prod_{j != k} (1 - min(z_j, 1)) for every k.   z: (K, C)."""
    closed = 1 - np.minimum(z, 1)
    return np.stack([np.delete(closed, k, axis=0).prod(axis=0) for k in range(len(z))])


@closed_form("networks", "E[live] = 1 - prod (1 - E[z]) (std. errors)", "errata B2", 5.0)
def expected_live(rng):
    """200,000 samples of three gates; E[z], the integral of 1 - Q_HC over (0, 1), by quadrature."""
    n, absent, gates = 200_000, 1.0, []
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for log_alpha in rng.uniform(-4, 0, 3):
        gates.append(HardConcrete(n).astype(np.float64).train())
        assign(gates[-1].log_alpha, log_alpha)
        tail = 1 - distribution(unstretched((1 + nodes) / 2), log_alpha)
        absent *= 1 - tail @ weights / 2
    with no_grad():
        found = host(reduce(live.either, (live.soft(gate.sample()) for gate in gates)))
    return abs(found.mean() - (1 - absent)) / (found.std() / np.sqrt(n))


@closed_form("networks", "slope of live = prod of the other 1 - z", "errata B2", 1e-9)
def slope_of_live(rng):
    """The tape, the closed form, central differences of 1 - prod (1 - min(z, 1)); z up to 1.2."""
    z, h = rng.uniform(0.05, 1.2, (4, 50)), 1e-3
    z[abs(z - 1) < 2 * h] = 0.5
    leaves = [tensor(row, requires_grad=True) for row in z]
    whole = reduce(live.either, map(live.soft, leaves))
    ag.sum(whole).backward()
    found = np.stack([host(leaf.grad) for leaf in leaves])
    value = lambda z: 1 - (1 - np.minimum(z, 1)).prod(axis=0)  # noqa: E731
    steps = h * np.eye(4)[:, :, None]
    differences = np.stack([(value(z + step) - value(z - step)) / (2 * h) for step in steps])
    errors = relative(found, others(z) * (z < 1)), relative(found, differences)
    return max(relative(whole, value(z)), *errors)


# --- what the data tell the gates -----------------------------------------------------------------


def euler_sums(form: str, rng: np.random.Generator) -> Any:
    """sum_k z_k dL/dz_k of the data's loss L, and what live has to do with it: (C,) both.

    k: the three gates that write the first residual signal of a WRN-16-1 in training, all open. Of
    its batch norms (eps -> 0) none sees a common factor of the z of a channel. So the sum is over
    the readers r, in which z stands in live_r alone, as a factor of gamma_r and beta_r:

        sum_r dL/dlive_r sum_k z_k dlive_r/dz_k,
        dL/dlive_r = (gamma_r dL/dgamma_r + beta_r dL/dbeta_r) / live_r
    """
    net: Any = randomise(nn.wide_resnet(16, 1, 4, (8, 8, 3), HardConcrete, form), rng).train()
    z: dict[Any, Any] = {None: None}
    gates: list[Any] = nn.gates_of(net)
    for gate in gates:
        z[gate] = tensor(rng.uniform(0.3, 0.9, gate.log_alpha.shape), requires_grad=True)
    net.draw = lambda: z
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-12
    labels = to_device(np.arange(6) % 4)
    ag.cross_entropy(net(tensor(rng.standard_normal((6, 8, 8, 3)))), labels).backward()
    writers = [z[net.stem_gate], z[net.blocks[0].gate2], z[net.blocks[1].gate2]]
    terms = np.stack([host(each) * host(each.grad) for each in writers])
    by_live = 0.0
    for r in range(3):
        bn, some = net.blocks[r].bn1, np.stack([host(each) for each in writers[: r + 1]])
        slope = host(bn.gamma) * host(bn.gamma.grad) + host(bn.beta) * host(bn.beta.grad)
        by_live = by_live + slope / (1 - (1 - some).prod(axis=0)) * (some * others(some)).sum(
            axis=0
        )
    return terms.sum(axis=0), by_live, abs(terms).max()


@closed_form("networks", "hard: data do not see a channel's common z", "errata B2", 1e-9)
def data_do_not_see_the_common_scale(rng):
    """sum_k z_k dL/dz_k = 0 over the gates that write a channel, against its largest term."""
    found, _, largest = euler_sums("hard", rng)
    return abs(found).max() / largest


@closed_form("networks", "soft: data see a channel's common z", "errata B2", 1e-9)
def data_see_the_common_scale(rng):
    """The same sum by the gradients of gamma and beta of the batch norms that read; it is not 0."""
    found, by_live, largest = euler_sums("soft", rng)
    return unless(abs(found).max() > 0.01 * largest, relative(found, by_live))
