"""Adam [Kingma & Ba 2015], with parameter groups and L2 weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..autograd.changes import note_change
from ..kernels.dispatch import accelerated
from ..runtime.arrays import Array, array_module, to_device, to_numpy

_OPTIONS = ("lr", "weight_decay", "betas", "eps")


class Adam:
    """g = grad + weight_decay w;   m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2;

        w -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    The decay is added to the gradient, as the paper's framework does; it is not decoupled (AdamW).
    parameters: Tensors, or groups {"params": Tensors, "lr": ..., "weight_decay": ...} whose
    missing options are the ones given here. A parameter without a gradient is left as it is; t
    counts the steps of each by itself.
    Raises ValueError for an option out of range, an unknown option, or a parameter named twice.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        defaults = {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        entries: list[Any] = list(parameters)
        if not all(isinstance(entry, Mapping) for entry in entries):
            entries = [{"params": entries}]
        self.groups: list[dict[str, Any]] = [_group(entry, defaults) for entry in entries]
        everything = [p for group in self.groups for p in group["params"]]
        if len({id(p) for p in everything}) != len(everything):
            raise ValueError("Adam was given the same parameter twice")
        self.t: list[int] = [0] * len(everything)
        self.m: list[Array] = [array_module(p.data).zeros_like(p.data) for p in everything]
        self.v: list[Array] = [array_module(p.data).zeros_like(p.data) for p in everything]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.groups:
            for p in group["params"]:
                p.grad = None

    def step(self) -> None:
        """One update of all parameters that have a gradient.

        Raises ValueError for a gradient, or a parameter, that has another shape than at first.
        """
        states = zip(range(len(self.t)), self.m, self.v, strict=True)
        for group in self.groups:
            here = [(p, *state) for p, state in zip(group["params"], states, strict=False)]
            here = [entry for entry in here if entry[0].grad is not None]
            for p, k, m, _ in here:
                if not p.grad.shape == p.data.shape == m.shape:
                    raise ValueError(
                        f"Adam: parameter {k} has shape {p.shape}, its gradient {p.grad.shape} "
                        f"and its moments {m.shape}"
                    )
            if here:
                self._step(group, *map(list, zip(*here, strict=True)))

    def _step(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        ks: list[int],
        ms: list[Any],
        vs: list[Any],
    ) -> None:
        for k in ks:
            self.t[k] += 1
        ws, ts = [p.data for p in params], tuple([self.t[k] for k in ks])
        options = group["lr"], group["weight_decay"], *group["betas"], group["eps"]
        adam_step(ws, [p.grad for p in params], ms, vs, ts, *options)
        for w in ws:
            note_change(w)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Both moments of every parameter and the number of its steps, on the host."""
        state = {"t": np.array(self.t)}
        for k, (m, v) in enumerate(zip(self.m, self.v, strict=True)):
            state[f"m.{k}"], state[f"v.{k}"] = (np.array(to_numpy(a)) for a in (m, v))
        return state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from `state_dict`. Raises ValueError if it is of other parameters.

        t may also be one number for all parameters.
        """
        own = {f"{key}.{k}": a for key in "mv" for k, a in enumerate(getattr(self, key))}
        if (
            {*own, "t"} != set(state)
            or any(state[k].shape != a.shape for k, a in own.items())
            or state["t"].shape not in ((), (len(self.t),))
        ):
            raise ValueError("this optimizer state belongs to other parameters")
        self.t = np.broadcast_to(state["t"], len(self.t)).astype(int).tolist()
        for name, array in own.items():
            array[...] = to_device(state[name])


@accelerated(changes=(0, 2, 3))
def adam_step(ws, grads, ms, vs, ts, lr, weight_decay, beta1, beta2, eps):
    """`adam_update` of parameters that share their options.   Lists of arrays, and a tuple of t."""
    for *arrays, t in zip(ws, grads, ms, vs, ts, strict=True):
        adam_update(*arrays, t, lr, weight_decay, beta1, beta2, eps)


def adam_update(
    w: Array,
    grad: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    weight_decay: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """Algorithm 1 of Kingma & Ba: w, m and v in place.   Arrays of one shape; t = 1, 2, ..."""
    g = grad + weight_decay * w
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w -= lr * m_hat / (array_module(w).sqrt(v_hat) + eps)


def _group(entry: Mapping[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    unknown = entry.keys() - {"params", *_OPTIONS}
    if unknown:
        raise ValueError(f"Adam: unknown option {', '.join(sorted(unknown))}; use {_OPTIONS}")
    group = defaults | dict(entry)
    group["params"] = list(group["params"])
    if not all(isinstance(p, Tensor) and p.dtype.kind == "f" for p in group["params"]):
        raise TypeError("Adam needs floating-point Tensors, such as module.parameters()")
    if not (group["lr"] >= 0 and group["weight_decay"] >= 0 and group["eps"] > 0):
        raise ValueError(
            "Adam needs lr >= 0, weight_decay >= 0 and eps > 0, got "
            f"lr={group['lr']}, weight_decay={group['weight_decay']}, eps={group['eps']}"
        )
    if not all(0 <= b < 1 for b in group["betas"]):
        raise ValueError(f"Adam needs 0 <= beta < 1, got {group['betas']}")
    return group
