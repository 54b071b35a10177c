"""How long units resemble themselves, layer by layer, beside the senses and the joints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.inference import Estimate, UnitEstimates, ends, not_estimable
from analysis.inputs import Array
from analysis.paired import paired_mean
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture, UnitFinding
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.layer_pairs import layer_pairs
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.untrained import BESIDE, stand_beside
from analysis.timescales import NO_DECAY, episode_timescales, unit_timescales

_DRAWS, _UNITS = 20, 64  # of a layer, at even spacing, where untrained networks or other layers stand beside it
_EPISODES = 10  # of a task, that layers are held against each other in
_MEDIAN = "median timescale (s)"
_SLOWER_LAYER = "slower than another layer's units (share of pairs, less one half)"


def timescales(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """The decay time of every unit, and the median of each layer, which stands beside untrained networks, too.

    Layers stand against each other, episode by episode.
    """
    outcome = Outcome()
    values: dict[str, Array] = {}
    for name in [*source.layers, "senses", "joint angles"]:
        activity = source.layer(name) if name in source.layers else _body(source, name)
        found = _measured(activity, name, source, outcome, values, seed)
        outcome.units.append(UnitFinding("timescale (s)", found, layer=name))
    stand_beside(outcome, source, seed, partial(_beside, source, seed))
    outcome.findings += _against_each_other(source, seed)
    if values:
        caption = (
            "Timescales of each layer's units (boxes: quartiles), beside those of the senses and the joints. Dotted: "
            "one control step; what lies below has forgotten itself within one."
        )
        outcome.pictures["layers"] = Picture(_boxes(values), caption)
    return outcome


def _against_each_other(source: Source, seed: int) -> list[Finding]:
    """In which share of pairs of units one layer's is the slower one, mean over episodes."""
    drawn = [
        np.random.default_rng(seed).permutation(np.unique(source.episodes[source.of_task(task)]))[:_EPISODES]
        for task in source.task_names
    ]
    rows = np.flatnonzero(np.isin(source.episodes, np.concatenate(drawn)))
    of = f"episodes ({told(source, rows)})"
    taus = {}
    for layer in source.layers:
        activity = source.layer(layer, rows)
        some = np.unique(np.linspace(0, activity.shape[1] - 1, min(_UNITS, activity.shape[1])).astype(np.int64))
        taus[layer] = episode_timescales(activity[:, some], source.episodes[rows], TIMESTEP, tasks=source.tasks[rows])
    found = []
    for one, other in layer_pairs(source.layers):
        shares = [_share(first, second) for first, second in zip(taus[one], taus[other], strict=True)]
        known = [share - 0.5 for share in shares if np.isfinite(share)]
        estimate = paired_mean(known, seed=seed) if known else not_estimable("no unit of one of them is estimable")
        found.append(Finding(_SLOWER_LAYER, estimate, "", one, f"than {other}", of))
    return found


def _share(first: Array, second: Array) -> float:
    """Of the pairs of units of two layers in an episode; half where both are alike, NaN where there are none."""
    one, other = (each[~np.isnan(each)] for each in (first, second))
    if not len(one) or not len(other):
        return float("nan")
    return float(((one[:, None] > other) + 0.5 * (one[:, None] == other)).mean())


def _measured(
    activity: NDArray, name: str, source: Source, outcome: Outcome, values: dict[str, Array], seed: int
) -> UnitEstimates:
    """The decay times, whose median is told; those that are known go into `values`."""
    found = unit_timescales(activity, source.episodes, TIMESTEP, draws=_DRAWS, seed=seed, tasks=source.tasks).tau
    median = median_of_units(found.value, found.null, found.reasons, seed)
    outcome.findings.append(Finding(_MEDIAN, median, "", name, "", "units"))
    if (known := found.value[np.isfinite(found.value)]).size:
        values[name] = known
    return found


def _beside(source: Source, seed: int, layers: Layers, draws: int) -> list[Finding]:
    """The median over some units of layers (population steps, units).

    None counts as slower than the longest lag, which units that never decay are: else a network in which most of them
    never do would have no median to be held against.
    """
    steps = population_steps(source, seed)
    over, findings, rng = f"units (of {told(source, steps)})", [], np.random.default_rng(seed)
    for layer, activity in layers.items():
        some = activity[:, :: -(-activity.shape[1] // _UNITS)]
        found = unit_timescales(some, source.episodes[steps], TIMESTEP, draws=0, tasks=source.tasks[steps])
        slowest = TIMESTEP * len(found.autocorrelation)
        never = np.array([reason == NO_DECAY for reason in found.tau.reasons])
        tau = np.minimum(np.where(never, slowest, found.tau.value), slowest)
        tau = tau[np.isfinite(tau)]
        estimate = not_estimable(next(filter(None, found.tau.reasons), "no unit is estimable"))
        if len(tau):
            drawn = np.median(rng.choice(tau, size=(draws, len(tau))), axis=1)
            estimate = Estimate(float(np.median(tau)), {}, ends(drawn))
        findings.append(Finding(f"{_MEDIAN}, at most the longest lag, {BESIDE}", estimate, "", layer, "", over))
    return findings


def _body(source: Source, name: str) -> Array:
    return source.senses if name == "senses" else source.series("joint_angles")


def median_of_units(values: Array, null: Array, reasons: tuple[str, ...], seed: int) -> Estimate:
    """The median over a layer's units, beside that of white noise; the interval draws units.

    Units that never decay count as slower than all others: without them slow layers would look fast.

    Args:
        values: (units,) s; NaN where there is none.
        null: (draws, units) of white noise.
        reasons: (units,) why there is none.
        seed: of the draws.
    """
    known, slower = np.isfinite(values), np.array([reason == NO_DECAY for reason in reasons])
    if not known.any():
        return not_estimable(next(filter(None, reasons), "no unit is estimable"))
    kept, rng = np.where(slower, np.inf, values)[known | slower], np.random.default_rng(seed)
    middle = np.median(kept)
    if not np.isfinite(middle):
        return not_estimable(f"{slower.sum()} of {len(kept)} units show {NO_DECAY}")
    drawn = np.median(kept[rng.integers(len(kept), size=(500, len(kept)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    noise = np.nanmedian(null[:, known], axis=1)
    return Estimate(float(middle), {"white noise": noise}, (float(low), float(high)))


def _boxes(values: Mapping[str, Array]) -> Figure:
    figure = Figure((5.6, 3.2), layout="constrained")
    ax = figure.add_subplot()
    ax.boxplot(list(values.values()), showfliers=False)
    ax.axhline(TIMESTEP, color="grey", lw=0.8, ls=":")
    ax.set_yscale("log")
    ax.set_ylabel("timescale (s)")
    ax.set_xticks(range(1, len(values) + 1), list(values), rotation=30, ha="right", fontsize="small")
    return figure
