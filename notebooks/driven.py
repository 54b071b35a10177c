"""The untrained network that stands beside each layer in the notebooks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from showing import say

from analysis.report.source import Source
from analysis.untrained import untrained_activities
from rodent.errors import UsageError


def untrained_layers(source: Source, seed: int) -> dict[str, NDArray[np.float32]]:
    """Each layer of the same architecture with fresh weights, driven through the session's own senses.

    One that sees is shown pictures redrawn from the recorded states; where nothing can draw there is none, and the
    notebook says so.

    Returns:
        A layer's name to (steps, units).
    """
    networks = untrained_networks(source, seed, 1)
    return networks[0] if networks else {}


def untrained_networks(source: Source, seed: int, count: int) -> list[dict[str, NDArray[np.float32]]]:
    """The same of several networks, with weights of their own; none where none can be driven."""
    steps = np.arange(len(source.episodes))
    try:
        return list(untrained_activities(source.session, steps, range(seed, seed + count)))
    except UsageError as error:
        say(f"No untrained network stands beside this one: {error}.")
        return []
