"""What the body does: eigenpostures, the paper's features, a map of behaviour, its regions as labels, and bouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from analysis.behavioural_features import BehaviouralFeatures, behavioural_features
from analysis.bouts import Bouts, bouts, plot_ethogram, share_of_time
from analysis.clips import choose_clips, plot_clips
from analysis.embedding import Regions, embed, map_into, plot_regions, regions
from analysis.inference import UNKNOWN, Estimate, ends
from analysis.inputs import Array, Labels
from analysis.postures import eigenpostures, plot_postures
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import TIMESTEP, Source
from analysis.wavelets import BANDS

BAND = "intermediate"  # of the map: its slowest period is one second, so that no episode is too short
_EMBEDDED = 4000  # steps that make the map; all others are mapped into it
_COMPONENTS = 15
_BANDWIDTH = 0.06
_POOLED = 25  # steps, half a second: about two strides
_SHORTEST = 10  # steps, 0.2 s; a region that is crossed faster is no behaviour
_FEWEST = 200  # steps that a map needs
_AGREEMENT = "agreement of watershed and HDBSCAN (adjusted Rand index)"
_PREDICTABILITY = "predictability of the next behaviour (bits)"


def behaviour(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Label each step with a region of a map of behaviour.

    Leaves `labels` (steps,), -1 where a step has none; `names` (labels,) with each label's mean speed and height;
    `places` (steps, 2); and for each band of the paper `features.BAND` (steps, 60).
    """
    outcome, angles, posture = Outcome(), source.series("joint_angles"), source.posture
    rows = source.thinned(4000)
    for name, values in (("joint angles", angles), ("positions", posture)):
        found = eigenpostures(values[rows], source.episodes[rows], _COMPONENTS, seed=seed)
        measure = f"variance that {_COMPONENTS} components explain"
        outcome.findings.append(Finding(measure, found.explained, variable=name))
        if found.explained.estimable:
            caption = f"Eigenpostures of {name}: variance that the first components explain together."
            figure = plot_postures(found).figure
            assert isinstance(figure, Figure)
            outcome.pictures[f"eigenpostures-{name.replace(' ', '-')}"] = Picture(figure, caption)
    bands = {band: behavioural_features(angles, posture, source.episodes, TIMESTEP, band) for band in BANDS}
    outcome.arrays |= {f"features.{band}": found.values.astype(np.float32) for band, found in bands.items()}
    _map(source, bands[BAND], outcome, seed)
    return outcome


def _map(source: Source, features: BehaviouralFeatures, outcome: Outcome, seed: int) -> None:
    steps = len(source.episodes)
    outcome.arrays |= {
        "labels": np.full(steps, -1), "names": np.array([], dtype=str), "places": np.full((steps, 2), np.nan),
    }  # fmt: skip
    known = np.flatnonzero(np.isfinite(features.values).all(axis=1))
    if features.reason or len(known) < _FEWEST:
        reason = features.reason or f"{len(known)} steps in episodes of a second or more; a map needs {_FEWEST}"
        outcome.missing(_AGREEMENT, reason)
        outcome.missing(_PREDICTABILITY, reason)
        return
    rows, values = source.thinned(_EMBEDDED, known), pooled(spectra(features), source.episodes)
    drawn = embed(values[rows], min(30.0, (len(rows) - 1) / 3.1), seed)
    places = np.full((steps, 2), np.nan)
    others = np.setdiff1d(known, rows)
    if len(others):
        places[others] = map_into(drawn, values[others])
    places[rows] = np.array(drawn)
    found = regions(places[rows], source.episodes[rows], _BANDWIDTH, smallest=max(10, len(rows) // 100), seed=seed)
    outcome.findings.append(Finding(_AGREEMENT, found.agreement))
    located = bouts(found.locate(places), source.episodes, TIMESTEP, _SHORTEST, draws=2, seed=seed)
    labels, names = _named(np.repeat(located.names[located.label], located.length), source)
    outcome.arrays |= {"labels": labels, "names": names, "places": places.astype(np.float32)}
    _bouts(bouts(labels, source.episodes, TIMESTEP, seed=seed), labels, names, source, outcome, seed)
    _map_pictures(found, outcome)
    outcome.pictures["clips"] = Picture(_strips(source, labels, names), _STRIPS)


def spectra(features: BehaviouralFeatures) -> Array:
    """The Morlet amplitudes among the features, those of angles and of positions with the same variance.

    Postures themselves are left out, since they would cut every stride into its phases (Berman et al. 2014).
    """
    angles, positions = (features.values[:, at : at + _COMPONENTS] for at in (_COMPONENTS, 3 * _COMPONENTS))
    return np.concatenate([part / np.sqrt(np.nanvar(part, axis=0).sum()) for part in (angles, positions)], axis=1)


def pooled(values: Array, episodes: Labels) -> Array:
    """Means over half a second around each step (steps, features), of its episode alone.

    Amplitudes at the highest frequencies rise and fall within a stride. A map of them cuts strides into phases, which
    are too short for behaviours; what is long enough is then found at the ends of episodes alone.
    """
    found = np.empty_like(values)
    for episode in np.unique(episodes):
        rows = episodes == episode
        found[rows] = uniform_filter1d(values[rows], _POOLED, axis=0, mode="nearest")
    return found


def _named(located: Labels, source: Source) -> tuple[Labels, NDArray[np.str_]]:
    """Labels in the order of how long they last in all, short visits given to their neighbours; and their names."""
    labels = located.copy()
    order = [name for name in np.argsort(-np.bincount(labels[labels >= 0])) if (labels == name).any()]
    place = np.full(max(order, default=0) + 2, -1)
    place[order] = np.arange(len(order))
    labels = np.where(labels >= 0, place[labels], -1)
    speed, height = source.kinematics["speed (m/s)"], source.kinematics["height (m)"]
    names = [
        f"{name + 1}: {speed[labels == name].mean():.2f} m/s, torso at {100 * height[labels == name].mean():.1f} cm"
        for name in range(len(order))
    ]
    return labels, np.array(names, dtype=str)


def _bouts(found: Bouts, labels: Labels, names: NDArray[np.str_], source: Source, outcome: Outcome, seed: int) -> None:
    outcome.findings.append(Finding(_PREDICTABILITY, found.predictability))
    present = found.names >= 0
    for index in np.flatnonzero(present):
        name, length = str(names[found.names[index]]), TIMESTEP * found.length[found.label == index]
        shares = share_of_time(labels == found.names[index], source.episodes, source.tasks, seed=seed)
        outcome.findings += [Finding("share of time", each, task, variable=name) for task, each in shares.items()]
        outcome.findings.append(_median_bout(name, length))
    outcome.arrays["transitions"] = found.transitions
    outcome.pictures["ethogram"] = Picture(
        _ethogram(found, names),
        "Ethogram: one row an episode, one colour a behaviour (a region of the map), named by its mean speed and "
        "height.",
    )
    outcome.pictures["transitions"] = Picture(
        _transitions(found.transitions[np.ix_(present, present)]),
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
    told = {i: str(names[name]) if name >= 0 else "none" for i, name in enumerate(found.names)}
    handles = [Patch(color=f"C{i % 10}", label=name) for i, name in told.items()]
    figure.legend(handles=handles, frameon=False, fontsize="small", loc="outside lower center", ncols=2)
    return figure


def _transitions(shares: Array) -> Figure:
    figure = Figure((4.2, 3.6), layout="constrained")
    ax = figure.add_subplot()
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    ticks = np.arange(len(shares))
    ax.set_xticks(ticks, [str(tick + 1) for tick in ticks])
    ax.set_yticks(ticks, [str(tick + 1) for tick in ticks])
    ax.set_xlabel("next behaviour")
    ax.set_ylabel("behaviour")
    figure.colorbar(image, label="share of the bouts")
    return figure


def _map_pictures(found: Regions, outcome: Outcome) -> None:
    figure = plot_regions(found).figure
    assert isinstance(figure, Figure)
    caption = (
        "Map of behaviour: t-SNE of the Morlet amplitudes of posture from 1 to 25 Hz; brighter where the rat is "
        "more often. White lines are the watershed's borders; each region is one behaviour."
    )
    outcome.pictures["map"] = Picture(figure, caption)
