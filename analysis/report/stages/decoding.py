"""What layers tell of held-out episodes, beside what the inputs and an untrained network tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.decoding import Decoded, classify, decode_families
from analysis.inference import Estimate, ends, not_estimable
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source, finite_units, reduced
from analysis.report.stages.families import families
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.untrained import BESIDE, GAIN, stand_beside, untrained_layers

_STEPS, _TARGETS, _FOLDS, _DRAWS = 2000, 6, 3, 200
_CLASS_COMPONENTS, _CLASS_FEWEST, _CLASS_DRAWS = 64, 20, 100
_INPUTS = "senses (inputs alone)"
_EXPLAINED, _ACCURACY = "variance explained", "balanced accuracy"


def decoding(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Decode each family of features, the behaviour and the task from each layer.

    Families are read from all units and from all senses: few leading components of either would leave out what varies
    little and tells much. Discriminants, which have no penalty, read leading components, many of them.

    A layer's gain over the same layer of an untrained network, and over the inputs, is tested over episodes, by
    swapping the two in whole episodes.
    """
    outcome, rows = Outcome(), source.thinned(_STEPS, seed=seed)
    layers, fresh = _populations(source, rows, seed, outcome)
    targets, missing = families(source, earlier["behaviour"], rows, _TARGETS)
    for name, reason in missing.items():
        outcome.missing(_EXPLAINED, reason, variable=name)
    episodes, tasks = source.episodes[rows], source.tasks[rows]
    decoded = {
        layer: decode_families(activity, targets, episodes, _FOLDS, _DRAWS, seed, tasks)
        for layer, activity in (layers | fresh).items()
    }
    for layer, found in decoded.items():
        outcome.findings += [
            Finding(_EXPLAINED, each.estimate, layer=layer, variable=name) for name, each in found.items()
        ]
    _gains(decoded, list(layers), outcome, seed)
    named = np.array(["", *earlier["behaviour"]["names"]])[earlier["behaviour"]["labels"][rows] + 1]
    few = {name: _leading(source, name, values) for name, values in (layers | fresh).items()}
    _classes(few, "behaviour", named, episodes, tasks, outcome, seed)
    _classes(few, "task", tasks.astype(str), episodes, None, outcome, seed)
    at = source.thinned(_STEPS, population_steps(source, seed), seed)
    asked = families(source, earlier["behaviour"], at, _TARGETS)[0]
    stand_beside(outcome, source, seed, partial(_beside, source, at, asked, seed))
    outcome.pictures["families"] = Picture(
        _curves(outcome, [*layers], list(targets)),
        "Variance of each family of features that a linear readout of the layer explains in held-out episodes; "
        "hollow: the same layer of an untrained network, driven through the same episodes. Bars: 95 % intervals over "
        "episodes.",
    )
    return outcome


def _beside(
    source: Source, at: NDArray[np.int64], targets: Mapping[str, Array], seed: int, layers: Layers, draws: int
) -> list[Finding]:
    """What layers (population steps, units) tell of families at some of these steps."""
    steps = population_steps(source, seed)
    place = np.searchsorted(steps, at)
    over, findings = told(source, steps), []
    for layer, activity in layers.items():
        found = decode_families(finite_units(activity[place]), targets, source.episodes[at], _FOLDS, draws=0, seed=seed)
        for name, each in found.items():
            of = replace(each.estimate, nulls={})
            findings.append(Finding(f"{_EXPLAINED}, {BESIDE}", of, "", layer, name, over))
    return findings


def _populations(
    source: Source, rows: NDArray[np.int64], seed: int, outcome: Outcome
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Activity of the recorded layers and the inputs, and of the untrained network's layers."""
    layers: dict[str, Array] = {
        name: finite_units(source.layer(name, rows)).astype(np.float64) for name in source.layers
    }
    read = [source.senses] if source.sight is None else [source.senses, source.sight]
    layers[_INPUTS] = np.concatenate([_standard(each[rows]) for each in read], axis=1)
    fresh = untrained_layers(source, rows, seed, outcome, GAIN)
    return layers, {_untrained(name): values.astype(np.float64) for name, values in fresh.items()}


def _leading(source: Source, name: str, values: Array) -> Array:
    """Leading components; of the inputs of one that sees, of what it felt and of what it saw, so that neither is lost.

    There are a tenth as many as steps at most.
    """
    count = max(min(_CLASS_COMPONENTS, len(values) // 10), 1)
    if name != _INPUTS or source.sight is None:
        return reduced(values, count)
    parts = [reduced(each, -(-count // 2)) for each in np.split(values, [source.senses.shape[1]], axis=1)]
    return np.concatenate(parts, axis=1)


def _untrained(layer: str) -> str:
    return f"untrained {layer}"


def _standard(values: Array) -> Array:
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _gains(decoded: Mapping[str, Mapping[str, Decoded]], layers: Sequence[str], outcome: Outcome, seed: int) -> None:
    """Of each recorded layer over the inputs, and over the same layer of the untrained network where there is one."""
    for layer in (layer for layer in layers if layer != _INPUTS):
        others = {"inputs": ("gain over the inputs", decoded[_INPUTS])}
        if _untrained(layer) in decoded:
            others["untrained network"] = (GAIN, decoded[_untrained(layer)])
        for (name, own), (control, (measure, other)) in product(decoded[layer].items(), others.items()):
            reason = own.estimate.reason or other[name].estimate.reason
            estimate = not_estimable(reason) if reason else gain(own, other[name], control, seed)
            outcome.findings.append(Finding(measure, estimate, layer=layer, variable=name))


def gain(own: Decoded, other: Decoded, control: str, seed: int, draws: int = 1000) -> Estimate:
    """How much more of the variance one layer explains than another, over the same held-out episodes.

    Args:
        own: of the one.
        other: of the other, of the same variables and episodes.
        control: the other's name. Its null swaps the two in random episodes.
        seed: of the swaps and of the episodes drawn for the interval.
        draws: of both.
    """
    totals = own.totals
    if not totals.sum() > 0:
        return not_estimable("nothing to explain")
    saved, rng = other.missed - own.missed, np.random.default_rng(seed)
    null = (rng.choice([-1.0, 1.0], size=(draws, len(saved))) @ saved) / totals.sum()
    drawn = rng.integers(len(saved), size=(draws, len(saved)))
    interval = ends(saved[drawn].sum(axis=1) / totals[drawn].sum(axis=1))
    return Estimate(float(saved.sum() / totals.sum()), {f"swapped with {control}": null}, interval)


def _classes(
    layers: Mapping[str, Array],
    what: str,
    labels: NDArray,
    episodes: Labels,
    tasks: NDArray | None,
    outcome: Outcome,
    seed: int,
) -> None:
    """Classify labels, by their names, that are common enough, and say why each other one is not among them.

    The empty one is none. The null deals within the tasks.
    """
    reasons = {str(name): _too_rare(episodes[labels == name]) for name in np.unique(labels[labels != ""])}
    for name, reason in reasons.items():
        if reason:
            outcome.missing(_ACCURACY, reason, variable=f"{what} {name}")
    often = [name for name, reason in reasons.items() if not reason]
    if len(often) < 2:
        reason = f"{'one' if often else 'no'} {what} is common enough; needs two"
        outcome.missing(_ACCURACY, reason, variable=what)
        return
    found = classify(layers, labels, episodes, _FOLDS, _CLASS_DRAWS, seed, tasks, np.isin(labels, often))
    for layer, estimate in found.items():
        outcome.findings.append(Finding(_ACCURACY, estimate, layer=layer, variable=what))


def _too_rare(episodes: Labels) -> str:
    """Why a class that is in these steps, each with its episode, cannot be told from others; empty where it can."""
    count = len(np.unique(episodes))
    if count > 1 and len(episodes) >= _CLASS_FEWEST:
        return ""
    return f"{len(episodes)} steps in {count} {'episode' if count == 1 else 'episodes'}; needs {_CLASS_FEWEST} in two"


def _curves(outcome: Outcome, layers: list[str], targets: list[str]) -> Figure:
    figure = Figure((6.6, 3.4), layout="constrained")
    ax = figure.add_subplot()
    found = {(f.layer, f.variable): f.estimate for f in outcome.findings if f.measure == _EXPLAINED}
    for i, name in enumerate(targets):
        for fresh, shown in ((False, f"C{i}"), (True, "none")):
            known = [(x, found.get((_untrained(layer) if fresh else layer, name))) for x, layer in enumerate(layers)]
            points = [(x + (i - (len(targets) - 1) / 2) / 9, each) for x, each in known if each is not None]
            for x, each in points:
                ax.plot([x, x], each.interval, lw=0.8, color=f"C{i}")
            at, values = [x for x, _ in points], [each.value for _, each in points]
            ax.plot(at, values, "o", ms=4, color=f"C{i}", mfc=shown, label=None if fresh else name)
    ax.plot([], [], "o", ms=4, color="grey", mfc="none", label="untrained network")
    ax.set_xticks(range(len(layers)), layers, rotation=30, ha="right", fontsize="small")
    ax.set_ylabel("held-out variance explained")
    ax.legend(frameon=False, fontsize="x-small", bbox_to_anchor=(1, 1), loc="upper left")
    return figure
