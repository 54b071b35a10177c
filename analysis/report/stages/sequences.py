"""Whether units fire in an order around events, and alike: touch-downs of a foot, and rewards that come seldom."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing import axes_or_new
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.untrained import GAIN, MIXED, untrained_layers
from analysis.sequences import compare_sequences, plot_sequence, plot_variability, sequence

_MOST, _DRAWS = 150, 60  # events, and draws of null and interval
_WINDOWS = {"touch-down of the left foot": (5, 10)}  # steps before and after; 50 and 50 for rewards
_MEASURE = "reliability of the order (rank correlation)"
_FALL = "fall of the variance over events (share of its mean)"


def sequences(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Order each layer's units by their peak in half of the events and correlate with the other half.

    What a layer gains over that of an untrained network is told around the same events.
    """
    outcome, wanted = Outcome(), _events(source, earlier["gait"]["standing"][:, 2])
    fresh = untrained_layers(source, np.arange(len(source.episodes)), seed, outcome, GAIN)
    variability: dict[str, Axes] = {}
    for layer in source.layers:
        activity = source.layer(layer)
        for name, events in wanted.items():
            before, after = _WINDOWS.get(name, (50, 50))
            few = events[:: max(1, -(-len(events) // _MOST))]
            found = sequence(activity, few, source.episodes, before, after, _DRAWS, seed)
            outcome.findings.append(Finding(_MEASURE, found.reliability, "", layer, name, "events"))
            outcome.findings.append(Finding(_FALL, found.fall, "", layer, name, "events"))
            if layer in fresh:
                gain = compare_sequences(
                    activity, fresh[layer], few, source.episodes, before, after, MIXED, _DRAWS, seed
                )
                for measure, estimate in ((_MEASURE, gain.reliability), (_FALL, gain.fall)):
                    outcome.findings.append(Finding(f"{measure}, {GAIN}", estimate, "", layer, name, "events"))
            if found.fall.estimable:
                if name not in variability:
                    variability[name] = axes_or_new(None, (5.2, 3.2))
                plot_variability(found, variability[name], TIMESTEP).get_lines()[-1].set_label(layer)
            if found.reliability.estimable:
                figure = plot_sequence(found, timestep=TIMESTEP).figure
                assert isinstance(figure, Figure)
                caption = (
                    f"{layer} around each {name}: mean activity over half of the events, units in the order of their "
                    "peak in the other half."
                )
                outcome.pictures[f"{name.replace(' ', '-')}.{layer}"] = Picture(figure, caption)
    for name, ax in variability.items():
        ax.legend(frameon=False, fontsize="x-small")
        caption = f"Variance over each {name}, mean over a layer's units, over its own mean: low where all are alike."
        figure = ax.figure
        assert isinstance(figure, Figure)
        outcome.pictures[f"variability.{name.replace(' ', '-')}"] = Picture(figure, caption)
    return outcome


def _events(source: Source, standing: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    same = source.episodes[1:] == source.episodes[:-1]
    down = np.flatnonzero(standing[1:] & ~standing[:-1] & same) + 1
    return {"touch-down of the left foot": down, **source.events()}
