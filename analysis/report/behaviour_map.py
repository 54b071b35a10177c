"""The map that behaviours are read from: one over all sessions of a report, or that of an earlier report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.behaviour_map import BehaviourMap, Drawn, draw_map
from analysis.bouts import bouts
from analysis.embedding import Regions, in_one_cluster
from analysis.inference import UNKNOWN, Estimate, bootstrap_weights, ends, episode_sums
from analysis.inputs import Array, Labels
from analysis.report.findings import Finding, Outcome, Picture
from analysis.report.source import TIMESTEP, Source
from rodent.errors import UsageError

NAME, TITLE = "behaviour_map", "Map of behaviour"
AGREEMENT = "agreement of watershed and HDBSCAN (adjusted Rand index)"
_COUNT, _NOISE = "regions of the map", "share of the map's steps in no cluster (HDBSCAN)"
_ONE = "share of a behaviour's steps in its most frequent cluster (HDBSCAN)"
_NEAR = "share of steps as near to the earlier map's as 95 % of these are to another episode's"
_FITTED = 120_000  # steps that a map is drawn of: of more, every second, third, ... episode
_SHORTEST = 10  # steps, 0.2 s; a region that is crossed faster is no behaviour


def behaviour_map(sources: Sequence[Source], seed: int) -> Outcome:
    """Draw one map over all sessions, so that their labels are the same behaviours.

    Leaves the arrays of the map (`analysis.behaviour_map.BehaviourMap`); `names` (labels,), with the mean speed and
    height of each; `label_of_region` (regions,); `clusters` (points,), HDBSCAN's; and of each session, by the SHA-256
    of its file, `places.SHA` (steps, 2) and `labels.SHA` (steps,), -1 where a step has none. Where no map can be
    drawn, `reason` says why, and nothing else is left.
    """
    outcome = Outcome()
    taken = _taken(sources)
    offsets = np.cumsum([0, *(len(source.lengths) for source in sources)])
    episodes = _joined([s.episodes + offset for s, offset in zip(sources, offsets, strict=False)], taken)
    episodes = np.unique(episodes, return_inverse=True)[1].astype(np.int64)
    angles = _joined([source.series("joint_angles") for source in sources], taken)
    positions = _joined([source.posture for source in sources], taken)
    joints, parts = _body(sources[0])
    drawn = draw_map(angles, positions, episodes, TIMESTEP, joints, parts, seed)
    if drawn.map is None or drawn.regions is None:
        outcome.missing(AGREEMENT, drawn.reason)
        outcome.arrays["reason"] = np.array(drawn.reason)
        return outcome
    places = _places(sources, taken, drawn, drawn.map)
    located = [_located(source, drawn.map, each) for source, each in zip(sources, places, strict=True)]
    order, names = _named(sources, located, drawn.map)
    outcome.arrays |= {**drawn.map.arrays(), "names": names, "label_of_region": order}
    _keep(sources, places, [_labels(each, order) for each in located], outcome)
    _clusters(drawn.regions, order, names, episodes[drawn.rows], outcome, seed)
    return outcome


def earlier_map(sources: Sequence[Source], arrays: Mapping[str, NDArray[Any]], seed: int) -> Outcome:
    """Place sessions in the map of an earlier report (`analysis.behaviour_map.load_map`), whose behaviours are theirs.

    Leaves what `behaviour_map` leaves, and tells how much of each session is like anything that the map is of.
    """
    outcome, found = Outcome(), BehaviourMap.of_arrays(arrays)
    order = arrays["label_of_region"]
    outcome.arrays |= {name: arrays[name] for name in (*found.arrays(), "names", "label_of_region", "clusters")}
    places, labels = [], []
    for source in sources:
        amplitudes = found.amplitudes(source.series("joint_angles"), source.posture, source.episodes)
        places.append(found.place(amplitudes))
        labels.append(_labels(_located(source, found, places[-1]), order))
        if np.isnan(found.reach):
            outcome.missing(_NEAR, "the earlier map is of one episode", variable=source.name)
            continue
        share = _share(found.near(amplitudes), source.episodes, seed)
        outcome.findings.append(Finding(_NEAR, share, variable=source.name))
    _keep(sources, places, labels, outcome)
    return outcome


def check_bodies(sources: Sequence[Source], earlier: Mapping[str, NDArray[Any]] | None) -> None:
    """Raise a `UsageError` where sessions can't share a map, or not the earlier one, since their bodies differ."""
    if earlier is not None:
        for source in sources:
            BehaviourMap.of_arrays(earlier).check(*_body(source), TIMESTEP, source.name)
        return
    for source in sources[1:]:
        if _body(source) != _body(sources[0]):
            raise UsageError(
                f"{sources[0].name} and {source.name} have other joints or body parts, and no map of behaviour holds "
                "both: analyse each by itself"
            )


def _body(source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of its joints and of its body parts."""
    return tuple(source.session.behaviour["joint_angles"].columns), tuple(source.body_parts)


def _taken(sources: Sequence[Source]) -> list[NDArray[np.int64]]:
    """Of each session, the steps that the map is drawn of: whole episodes."""
    steps = sum(len(source.episodes) for source in sources)
    every, first, taken = max(1, -(-steps // _FITTED)), 0, []
    for source in sources:
        taken.append(np.flatnonzero((source.episodes + first) % every == 0))
        first += len(source.lengths)
    return taken


def _joined(values: Sequence[NDArray[Any]], rows: Sequence[NDArray[np.int64]]) -> NDArray[Any]:
    return np.concatenate([each[taken] for each, taken in zip(values, rows, strict=True)])


def _places(
    sources: Sequence[Source], taken: Sequence[NDArray[np.int64]], drawn: Drawn, found: BehaviourMap
) -> list[Array]:
    """(steps, 2) of each session: those that were embedded where they lie, and all others mapped into it."""
    places, start = [], 0
    for source, rows in zip(sources, taken, strict=True):
        mine = np.full((len(source.episodes), 2), np.nan)
        stop = start + len(rows)
        embedded = (drawn.rows >= start) & (drawn.rows < stop)
        mine[rows[drawn.rows[embedded] - start]] = found.places[embedded]
        amplitudes = np.full((len(source.episodes), found.points.shape[1]), np.nan)
        amplitudes[rows] = drawn.amplitudes[start:stop]
        if len(rest := np.setdiff1d(np.arange(len(source.episodes)), rows)):
            angles, positions = source.series("joint_angles")[rest], source.posture[rest]
            amplitudes[rest] = found.amplitudes(angles, positions, source.episodes[rest])
        others = np.flatnonzero(np.isnan(mine[:, 0]))
        mine[others] = found.place(amplitudes[others])
        places.append(mine)
        start = stop
    return places


def _located(source: Source, found: BehaviourMap, places: Array) -> Labels:
    """(steps,) region of each step, short visits given to their neighbours."""
    mine = bouts(found.locate(places), source.episodes, TIMESTEP, _SHORTEST, draws=2)
    return np.repeat(mine.names[mine.label], mine.length)


def _named(
    sources: Sequence[Source], located: Sequence[Labels], found: BehaviourMap
) -> tuple[Labels, NDArray[np.str_]]:
    """Label of each region, in the order of how long they last in all, -1 of one that does not; the labels' names."""
    labels = np.concatenate(located)
    regions = int(found.grid.max()) + 1
    steps = np.bincount(labels[labels >= 0], minlength=regions)
    ranked = [region for region in np.argsort(-steps, kind="stable") if steps[region]]
    order = np.full(regions, -1)
    order[ranked] = np.arange(len(ranked))
    speed, height = (np.concatenate([s.kinematics[name] for s in sources]) for name in ("speed (m/s)", "height (m)"))
    names = [
        f"{i + 1}: {speed[labels == region].mean():.2f} m/s, torso at {100 * height[labels == region].mean():.1f} cm"
        for i, region in enumerate(ranked)
    ]
    return order, np.array(names, dtype=str)


def _labels(located: Labels, order: Labels) -> Labels:
    return np.where(located >= 0, order[located], -1)


def _keep(sources: Sequence[Source], places: Sequence[Array], labels: Sequence[Labels], outcome: Outcome) -> None:
    for source, mine, own in zip(sources, places, labels, strict=True):
        outcome.arrays[f"places.{source.digest}"] = mine.astype(np.float32)
        outcome.arrays[f"labels.{source.digest}"] = own


def _clusters(
    found: Regions, order: Labels, names: NDArray[np.str_], episodes: Labels, outcome: Outcome, seed: int
) -> None:
    """What HDBSCAN makes of the same map, beside the watershed."""
    outcome.arrays["clusters"] = found.clusters
    outcome.findings.append(Finding(AGREEMENT, found.agreement))
    for method, count in (("watershed", int(found.grid.max()) + 1), ("HDBSCAN", int(found.clusters.max()) + 1)):
        outcome.findings.append(Finding(_COUNT, Estimate(count, {}), variable=method))
    outcome.findings.append(Finding(_NOISE, _share(found.clusters < 0, episodes, seed)))
    labels = _labels(found.labels, order)
    for label, estimate in in_one_cluster(labels, found.clusters, episodes, seed=seed).items():
        outcome.findings.append(Finding(_ONE, estimate, variable=str(names[label])))
    outcome.pictures["clusters"] = Picture(_two_maps(outcome.arrays["map.places"], labels, found.clusters), _CAPTION)


def _share(inside: NDArray[np.bool_], episodes: Labels, seed: int) -> Estimate:
    """Of the steps, with an interval over episodes."""
    groups = np.unique(episodes, return_inverse=True)[1].astype(np.int64)
    hits, steps = episode_sums(inside.astype(np.float64), groups), episode_sums(np.ones(len(groups)), groups)
    weights = bootstrap_weights(len(hits), 500, np.random.default_rng(seed))
    interval = ends((weights @ hits) / (weights @ steps)) if len(hits) > 1 else UNKNOWN
    return Estimate(float(inside.mean()), {}, interval)


def _two_maps(places: Array, labels: Labels, clusters: Labels) -> Figure:
    figure = Figure((7.6, 3.6), layout="constrained")
    for ax, title, of in zip(figure.subplots(1, 2), ("watershed", "HDBSCAN"), (labels, clusters), strict=True):
        for each in np.unique(of):
            ax.plot(*places[of == each].T, ".", ms=2, color="lightgray" if each < 0 else f"C{each % 10}")
        ax.set(title=title, xlabel="t-SNE 1", ylabel="t-SNE 2")
    return figure


_CAPTION = (
    "The steps that the map was drawn of, a colour a behaviour (watershed, left) or a cluster (HDBSCAN, right; gray: "
    "in none). Where they disagree, the borders are the method's."
)
