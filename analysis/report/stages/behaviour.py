"""What the body does: eigenpostures, the paper's features, regions of the map of behaviour as labels, and bouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from analysis.behaviour_map import BANDWIDTH
from analysis.behavioural_features import behavioural_features
from analysis.bouts import Bouts, bouts, plot_ethogram, share_of_time
from analysis.clips import choose_clips, plot_clips
from analysis.embedding import density, draw_density
from analysis.inference import UNKNOWN, Estimate, ends
from analysis.inputs import Array, Labels
from analysis.postures import eigenpostures, plot_postures
from analysis.report.behaviour_map import NAME as MAP
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import TIMESTEP, Source
from analysis.wavelets import BANDS

_COMPONENTS = 15
_PREDICTABILITY = "predictability of the next behaviour (bits)"


def behaviour(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """What each step does, by the region of the map of behaviour (`analysis.report.behaviour_map`) that it is in.

    Leaves `labels` (steps,), -1 where a step has none; `names` (labels,) of the map;
    `places` (steps, 2); and for each band of the paper `features.BAND` (steps, 60).
    """
    outcome, angles, posture = Outcome(), source.series("joint_angles"), source.posture
    rows = source.thinned(4000, seed=seed)
    for name, values in (("joint angles", angles), ("positions", posture)):
        found = eigenpostures(values[rows], source.episodes[rows], _COMPONENTS, seed=seed)
        measure = f"variance that {_COMPONENTS} components explain"
        outcome.findings.append(Finding(measure, found.explained, variable=name))
        if found.explained.estimable:
            caption = f"Eigenpostures of {name}: variance that the first components explain together."
            figure = plot_postures(found).figure
            assert isinstance(figure, Figure)
            outcome.pictures[f"eigenpostures-{name.replace(' ', '-')}"] = Picture(figure, caption)
    for band in BANDS:
        features = behavioural_features(angles, posture, source.episodes, TIMESTEP, band, _COMPONENTS)
        outcome.arrays[f"features.{band}"] = features.values.astype(np.float32)
    _mapped(source, earlier[MAP], outcome, seed)
    return outcome


def _mapped(source: Source, drawn: Arrays, outcome: Outcome, seed: int) -> None:
    steps = len(source.episodes)
    reason = str(drawn.get("reason", ""))
    names = drawn.get("names", np.array([], dtype=str))
    labels = drawn.get(f"labels.{source.digest}", np.full(steps, -1))
    places = drawn.get(f"places.{source.digest}", np.full((steps, 2), np.nan))
    outcome.arrays |= {"labels": labels, "names": names, "places": places}
    if reason or not (labels >= 0).any():
        outcome.missing(_PREDICTABILITY, reason or "no episode of a second or more, or none that the map reaches")
        return
    _bouts(bouts(labels, source.episodes, TIMESTEP, seed=seed, none=-1), labels, names, source, outcome, seed)
    outcome.pictures["map"] = _map(drawn, places)
    outcome.pictures["clips"] = Picture(_strips(source, labels, names), _STRIPS)


def _bouts(found: Bouts, labels: Labels, names: NDArray[np.str_], source: Source, outcome: Outcome, seed: int) -> None:
    outcome.findings.append(Finding(_PREDICTABILITY, found.predictability))
    for label, name in enumerate(names):  # also those that only other sessions of the map show
        shares = share_of_time(labels == label, source.episodes, source.tasks, seed=seed)
        outcome.findings += [Finding("share of time", each, task, variable=str(name)) for task, each in shares.items()]
        length = TIMESTEP * found.length[found.names[found.label] == label]
        if len(length):
            outcome.findings.append(_median_bout(str(name), length))
    outcome.arrays["transitions"] = found.transitions
    outcome.pictures["ethogram"] = Picture(
        _ethogram(found, names),
        "Ethogram: one row an episode, one colour a behaviour (a region of the map), named by its mean speed and "
        "height. White: none.",
    )
    outcome.pictures["transitions"] = Picture(
        _transitions(found.transitions, found.names),
        "How often a behaviour of a row is followed by that of a column, as a share of the row; a row is blank where "
        "the behaviour only ended episodes.",
    )


def _median_bout(name: str, length: Array) -> Finding:
    interval = UNKNOWN
    if len(length) > 1:
        rng = np.random.default_rng(0)
        interval = ends(np.median(length[rng.integers(len(length), size=(500, len(length)))], axis=1))
    median = Estimate(float(np.median(length)), {}, interval)
    return Finding("median bout (s)", median, variable=name, interval_over="bouts")


def _strips(source: Source, labels: Labels, names: NDArray[np.str_]) -> Figure:
    parts, edges = source.session.skeleton
    pose = np.stack([source.series(f"pose.{part}") for part in parts], axis=1)
    clips = {str(names[label]): each for label, each in choose_clips(labels, source.episodes).items()}
    return plot_clips(pose, edges, (parts.index("pelvis"), parts.index("skull")), source.episodes, clips)


_STRIPS = (
    "Each behaviour in the middle of long bouts, one colour a bout, from the side and to one scale. "
    "`rodent analyze --clips` films them."
)


def _ethogram(found: Bouts, names: NDArray[np.str_]) -> Figure:
    figure = Figure((6.4, 3.4 + 0.2 * len(names)), layout="constrained")
    plot_ethogram(found, figure.add_subplot())
    told = {i: str(names[name]) for i, name in enumerate(found.names)}
    handles = [Patch(color=f"C{i % 10}", label=name) for i, name in told.items()]
    figure.legend(handles=handles, frameon=False, fontsize="small", loc="outside lower center", ncols=2)
    return figure


def _transitions(shares: Array, labels: Labels) -> Figure:
    figure = Figure((4.2, 3.6), layout="constrained")
    ax = figure.add_subplot()
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    ticks = np.arange(len(shares))
    ax.set_xticks(ticks, [str(label + 1) for label in labels])
    ax.set_yticks(ticks, [str(label + 1) for label in labels])
    ax.set_xlabel("next behaviour")
    ax.set_ylabel("behaviour")
    figure.colorbar(image, label="share of the bouts")
    return figure


def _map(drawn: Arrays, places: Array) -> Picture:
    edges, known = (drawn["map.edges"][0], drawn["map.edges"][1]), np.isfinite(places).all(axis=1)
    extent = float(np.ptp(drawn["map.places"], axis=0).max())
    spread = density(places[known], edges, BANDWIDTH * extent) if known.any() else np.zeros(drawn["map.grid"].shape)
    figure = draw_density(spread, drawn["map.grid"], edges).figure
    assert isinstance(figure, Figure)
    caption = (
        "Map of behaviour: t-SNE of the Morlet amplitudes of posture from 1 to 25 Hz; brighter where the rat is "
        "more often. White lines are the watershed's borders; each region is one behaviour."
    )
    return Picture(figure, caption)
