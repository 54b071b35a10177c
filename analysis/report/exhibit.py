"""What the page plays: an episode, with the behaviour, paws, units and trajectories that move with its film."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.report.cache import Kept
from analysis.report.findings import UnitFinding
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.beside import BESIDE
from analysis.report.stages.tuning import MEASURE

UNITS = 10
_CLOUD = 1500  # points of the other episodes
_CRITIC = (("value", "value", ""), ("prediction_error", "prediction error", ""), ("reward", "reward", ""))


def exhibit(source: Source, trial: int, kept: Mapping[str, Kept]) -> dict[str, Any]:
    """The data of one episode, JSON-compatible.

    Args:
        source: its session.
        trial: which.
        kept: what the stages found; what a failed one would have given is left out.
    """
    facts, rows = source.session.trials.iloc[trial], np.flatnonzero(source.episodes == trial)
    labels, names = _labels(kept, rows)
    paths = _paths(source, trial, kept)
    units, caption = _units(source, rows, kept)
    return {
        "title": f"{source.name}: {facts['task']}, episode {facts['episode']} of seed {facts['seed']}",
        "steps": len(rows),
        "labels": packed(labels, "i2"),
        "names": names,
        "standing": packed(_paws(kept["gait"].arrays["standing"][rows]), "u1") if "gait" in kept else None,
        "series": _series(source, rows),
        "units": units,
        "unitsCaption": caption,
        "paths": paths,
        "layer": next(iter(paths), ""),
        "pose": scaled(_pose(source, rows), "i2"),
        "caption": f"{facts['task']}, return {facts['return']:.1f} in {TIMESTEP * len(rows):.1f} s, ended by "
        f"{facts['outcome'].replace('_', ' ')}. Frame k shows the state that the activity of step k answers.",
    }


def choose_trials(source: Source, films: Mapping[int, Any]) -> list[int]:
    """A trial for each task: that with the median return, of those with a film where there are any."""
    chosen = []
    for task in source.task_names:
        mine = np.flatnonzero(source.session.trials["task"] == task)
        mine = np.array([trial for trial in mine if trial in films]) if any(t in films for t in mine) else mine
        order = np.argsort(source.session.trials["return"].to_numpy()[mine], kind="stable")
        chosen.append(int(mine[order[len(order) // 2]]))
    return chosen


def packed(values: NDArray[Any], kind: str) -> dict[str, Any]:
    """Numbers as base64, little-endian."""
    return {"type": kind, "data": base64.b64encode(values.astype(f"<{kind}").tobytes()).decode()}


def scaled(values: NDArray[Any], kind: str) -> dict[str, Any]:
    """The same, in levels between the least and the greatest value; the type's least number stands for NaN."""
    info, known = np.iinfo(np.dtype(kind)), values[np.isfinite(values)]
    low, high = float(known.min(initial=0.0)), float(known.max(initial=0.0))
    lowest = info.min + 1
    step = (high - low) / (info.max - lowest) or 1.0
    levels = np.where(np.isfinite(values), np.rint((values - low) / step) + lowest, info.min)
    return {**packed(levels, kind), "scale": step, "offset": low - lowest * step, "missing": int(info.min)}


def _labels(kept: Mapping[str, Kept], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    if "behaviour" not in kept:
        return np.full(len(rows), -1), []
    arrays = kept["behaviour"].arrays
    return arrays["labels"][rows], [str(name) for name in arrays["names"]]


def _paws(standing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(steps,) one bit a paw."""
    bits: NDArray[np.int64] = standing.astype(np.int64) @ (1 << np.arange(standing.shape[1]))
    return bits


def _series(source: Source, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Traces of the body and of what the critic says."""
    body = {name: source.kinematics[name][rows] for name in ("speed (m/s)", "height (m)")}
    found = [_trace(name.split(" (")[0], name.split("(")[1].rstrip(")"), values) for name, values in body.items()]
    for name, shown, unit in _CRITIC:
        if name in source.session.behaviour and np.isfinite(values := source.partial(name)[rows]).any():
            found.append(_trace(shown, unit, values))
    return found


def _trace(name: str, unit: str, values: NDArray[Any]) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    return {"name": name, "unit": unit, "low": low, "high": high, "values": scaled(values, "i2")}


def _units(source: Source, rows: NDArray[np.int64], kept: Mapping[str, Kept]) -> tuple[list[dict[str, Any]], str]:
    """The units that follow each variable best, in turns, and what a reader must know of them."""
    chosen = _strongest(kept["tuning"].units) if "tuning" in kept else []
    if not chosen:
        layer = source.layers[0]
        found = [_trace(f"{layer} · {i}", "", values[rows]) for i, values in enumerate(source.layer(layer).T[:UNITS])]
        return found, f"The first units of {layer}: no unit is known to follow a variable."
    activity = {layer: source.layer(layer, rows) for layer in {layer for layer, _, _ in chosen}}
    found = [
        _trace(f"{layer} · {unit} · {variable.split(' (')[0]}", "", activity[layer][:, unit])
        for layer, unit, variable in chosen
    ]
    return found, (
        "Units that follow a variable best, as layer, number and variable: those that explain most of its held-out "
        "variance, among those that beat the variable of other episodes at a false discovery rate of 5 %."
    )


def _strongest(units: list[UnitFinding]) -> list[tuple[str, int, str]]:
    """(layer, unit, variable) of the units that beat their null, the best of each variable in turns, each unit once."""
    ranked: dict[str, list[tuple[float, str, int]]] = {}
    for each in (each for each in units if each.measure == MEASURE):
        for unit in np.flatnonzero(each.estimates.beat).tolist():
            ranked.setdefault(each.variable, []).append((float(each.estimates.value[unit]), each.layer, unit))
    queues = {variable: sorted(found, reverse=True) for variable, found in ranked.items()}
    chosen: list[tuple[str, int, str]] = []
    seen: set[tuple[str, int]] = set()
    per_layer: dict[tuple[str, str], int] = {}
    while len(chosen) < UNITS and any(queues.values()):
        for variable, queue in queues.items():
            while queue:
                _, layer, unit = queue.pop(0)
                if (layer, unit) not in seen and per_layer.get((variable, layer), 0) < 1:
                    seen.add((layer, unit))
                    per_layer[variable, layer] = 1
                    chosen.append((layer, unit, variable))
                    break
    order = {variable: i for i, variable in enumerate(queues)}
    return sorted(chosen[:UNITS], key=lambda each: order[each[2]])


def _paths(source: Source, trial: int, kept: Mapping[str, Kept]) -> dict[str, Any]:
    """By layer, of senses and joints, too: the episode's path, points of the task's other ones, shares of variance."""
    if "dimensions" not in kept:
        return {}
    task = source.session.trials["task"].iloc[trial]
    mine = source.episodes[source.of_task(task)] == trial
    found = {}
    for layer in [*source.layers, *BESIDE]:
        scores = _three(kept["dimensions"].arrays[f"scores.{task}.{layer}"])
        others = scores[~mine]
        cloud = others[:: max(1, -(-len(others) // _CLOUD))] if len(others) else scores[:0]
        shares = [float(share) for share in kept["dimensions"].arrays[f"shares.{task}.{layer}"]]
        found[layer] = {
            "path": scaled(scores[mine].ravel(), "i2"),
            "cloud": scaled(cloud.ravel(), "i2"),
            "shares": shares,
        }
    return found


def _three(scores: NDArray[Any]) -> NDArray[Any]:
    """(steps, 3): a layer of fewer dimensions has zeros in those that it lacks."""
    return np.pad(scores, ((0, 0), (0, 3 - scores.shape[1])))


def _pose(source: Source, rows: NDArray[np.int64]) -> NDArray[Any]:
    """All body parts, step after step, m: about the torso along the floor, and above the lowest part seen."""
    names, _ = source.session.skeleton
    pose = np.stack([source.series(f"pose.{name}")[rows] for name in names], axis=1)
    pose[:, :, :2] -= pose[:, [names.index("torso")], :2]
    pose[:, :, 2] -= pose[:, :, 2].min()
    return pose.ravel()
