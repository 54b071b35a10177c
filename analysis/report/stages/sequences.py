"""Whether units fire in an order around events, and alike: touch-downs of a foot, and rewards that come seldom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing import axes_or_new
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.untrained import BESIDE, stand_beside
from analysis.sequences import plot_sequence, plot_variability, sequence

_MOST, _DRAWS = 150, 200  # events, and draws of null and interval
_WINDOWS = {"touch-down of the left foot": (5, 10)}  # steps before and after; 50 and 50 for rewards
_MEASURE = "reliability of the order (rank correlation)"
_FALL = "fall of the variance over events (share of its mean)"


def sequences(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Order each layer's units by their peak in half of the episodes and correlate with the other half.

    The same stands beside untrained networks, around the events that they were driven through.
    """
    outcome, wanted = Outcome(), _events(source, earlier["gait"]["standing"][:, 2])
    variability: dict[str, Axes] = {}
    for layer in source.layers:
        activity = source.layer(layer)
        for name, events in wanted.items():
            before, after = _WINDOWS.get(name, (50, 50))
            found = sequence(activity, _few(events), source.episodes, before, after, _DRAWS, seed)
            outcome.findings.append(Finding(_MEASURE, found.reliability, "", layer, name))
            outcome.findings.append(Finding(_FALL, found.fall, "", layer, name))
            if found.fall.estimable:
                if name not in variability:
                    variability[name] = axes_or_new(None, (5.2, 3.2))
                plot_variability(found, variability[name], TIMESTEP).get_lines()[-1].set_label(layer)
            if found.reliability.estimable:
                figure = plot_sequence(found, timestep=TIMESTEP).figure
                assert isinstance(figure, Figure)
                caption = (
                    f"{layer} around each {name}: mean activity over half of the episodes, units in the order of "
                    "their peak in the other half."
                )
                outcome.pictures[f"{name.replace(' ', '-')}.{layer}"] = Picture(figure, caption)
    for name, ax in variability.items():
        ax.legend(frameon=False, fontsize="x-small")
        caption = f"Variance over each {name}, mean over a layer's units, over its own mean: low where all are alike."
        figure = ax.figure
        assert isinstance(figure, Figure)
        outcome.pictures[f"variability.{name.replace(' ', '-')}"] = Picture(figure, caption)
    stand_beside(outcome, source, seed, partial(_beside, source, wanted, seed), draws=_DRAWS)
    return outcome


def _beside(
    source: Source, wanted: Mapping[str, NDArray[np.int64]], seed: int, layers: Layers, draws: int
) -> list[Finding]:
    """The same of layers (population steps, units), around the events that are among these steps."""
    steps, findings = population_steps(source, seed), []
    episodes, over = source.episodes[steps], told(source, steps)
    for name, events in wanted.items():
        before, after = _WINDOWS.get(name, (50, 50))
        at = _few(np.flatnonzero(np.isin(steps, events)))
        for layer, activity in layers.items():
            found = sequence(activity, at, episodes, before, after, draws, seed)
            for measure, estimate in ((_MEASURE, found.reliability), (_FALL, found.fall)):
                of = replace(estimate, nulls={})
                findings.append(Finding(f"{measure}, {BESIDE}", of, "", layer, name, over))
    return findings


def _few(events: NDArray[np.int64]) -> NDArray[np.int64]:
    return events[:: max(1, -(-len(events) // _MOST))]


def _events(source: Source, standing: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    same = source.episodes[1:] == source.episodes[:-1]
    down = np.flatnonzero(standing[1:] & ~standing[:-1] & same) + 1
    return {"touch-down of the left foot": down, **source.events()}
