"""Networks by name, and compact ones by their layout."""

from __future__ import annotations

import re
from typing import Any

from ..gates import GateFactory
from .layout import check_layout
from .residual import CompactNetwork, ResidualNetwork
from .resnet import CompactResNet, resnet50, small_resnet
from .wide_resnet import CompactWideResNet, wide_resnet

MODELS = "wrn-DEPTH-WIDTH (such as wrn-16-4), resnet-DEPTH (such as resnet-20) or resnet50"
COMPACT = {kind.family: kind for kind in (CompactWideResNet, CompactResNet)}


def build(
    name: str,
    num_classes: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    gate: GateFactory | None = None,
    live: str = "hard",
) -> ResidualNetwork:
    """The network called `name`: one of `MODELS`. Raises ValueError for an unknown name.

    live: as `wide_resnet`; the other networks need no such mask (`postactivation.py`).
    """
    rest = num_classes, image_shape, gate
    if name in ("resnet50", "resnet-50"):
        return resnet50(*rest)
    if match := re.fullmatch(r"wrn-(\d{1,4})-(\d{1,4})", name):
        return wide_resnet(int(match[1]), int(match[2]), *rest, live)
    if match := re.fullmatch(r"resnet-(\d{1,4})", name):
        return small_resnet(int(match[1]), *rest)
    raise ValueError(f"unknown model {name!r}: use {MODELS}")


def compact_network(layout: dict[str, Any]) -> CompactNetwork:
    """A compact network of that layout, with random weights. ValueError as `check_layout`."""
    check_layout(layout)
    return COMPACT[layout["family"]](layout)
