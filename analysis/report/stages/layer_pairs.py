"""Which layers are held against each other: neighbours in depth, and the core against the policy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product


def layer_pairs(layers: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of layers in both orders, so that a one-sided test of a difference may go either way.

    Args:
        layers: names such as `core.h` and `policy.0.h`, in the order of the network.
    """
    parts = [layer.split(".")[0] for layer in layers]
    of = {part: [layer for layer, mine in zip(layers, parts, strict=True) if mine == part] for part in parts}
    found = [pair for mine in of.values() for pair in pairwise(mine)]
    found += product(of.get("core", ()), of.get("policy", ()))
    return [pair for one, other in found for pair in ((one, other), (other, one))]
