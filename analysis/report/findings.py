"""What a stage of the report found: numbers with their controls, for tables and for what follows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.inference import LEVEL, Estimate, UnitEstimates, not_estimable, q_values, single_case

Arrays = dict[str, NDArray[Any]]
Layers = Mapping[str, NDArray[np.float32]]
"""A layer's name to its activity (steps, units)."""
UNTRAINED = "untrained networks"
"""The control of which each draw costs a network, so that they are few."""
_NAMES = ("task", "layer", "measure", "variable", "interval_over")


@dataclass(frozen=True)
class Finding:
    """One number.

    Attributes:
        measure: what was estimated, with its unit in brackets where it has one.
        estimate: the number, its controls and its interval.
        task: whose episodes; empty for all.
        layer: of the network, or what stands in for one.
        variable: what it is about, such as a variable that is decoded.
        interval_over: what was drawn again for the interval.
    """

    measure: str
    estimate: Estimate
    task: str = ""
    layer: str = ""
    variable: str = ""
    interval_over: str = "episodes"

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Which number it is, whoever's estimate."""
        return self.measure, self.task, self.layer, self.variable


@dataclass(frozen=True)
class UnitFinding:
    """One number a unit of a layer; the fields are those of `Finding`."""

    measure: str
    estimates: UnitEstimates
    task: str = ""
    layer: str = ""
    variable: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows."""

    figure: Figure
    caption: str


@dataclass
class Outcome:
    """What a stage leaves.

    Attributes:
        findings: its numbers.
        units: its numbers of single units.
        arrays: for later stages and the result file.
        pictures: by name.
        of_others: from the layers of another network at the population steps, the numbers that untrained networks are
            to stand beside, without nulls; None where there are none.
    """

    findings: list[Finding] = field(default_factory=list)
    units: list[UnitFinding] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    of_others: Callable[[Layers], Sequence[Finding]] | None = None

    def missing(self, measure: str, reason: str, **names: str) -> None:
        """Add the row that says why there is no number."""
        self.findings.append(Finding(measure, not_estimable(reason), **names))


def mean_over_units(estimates: UnitEstimates, draws: int = 200, seed: int = 0) -> Estimate:
    """The mean over a layer's units, with its null; the interval draws units, not episodes."""
    known = np.isfinite(estimates.value)
    if not known.any():
        reason = next((reason for reason in estimates.reasons if reason), "no unit is estimable")
        return not_estimable(reason)
    values, null = estimates.value[known], estimates.null[:, known]
    rng = np.random.default_rng(seed)
    samples = values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return Estimate(float(values.mean()), {estimates.control: null.mean(axis=1)}, (float(low), float(high)))


def finding_rows(findings: Sequence[Finding], **names: str) -> list[dict[str, Any]]:
    """Rows of a table: one a number and control; what cannot be estimated has one with its reason.

    q is p corrected for a false discovery rate over all numbers of the same measure with the same control. p is the
    share of the control's draws that reach the value; beside untrained networks, that of a single case.
    """
    rows = []
    for each in findings:
        estimate = each.estimate
        low, high = estimate.interval
        row = {
            **names, **{name: getattr(each, name) for name in _NAMES},
            "value": estimate.value, "low": low, "high": high,
        }  # fmt: skip
        for control, null in estimate.nulls.items() if estimate.estimable else ():
            middle, bottom, top = _quantiles(null)
            told = {"control": control, "null_median": middle, "null_low": bottom, "null_high": top}
            p, reason = _p(estimate, control)
            rows.append({**row, **told, "p": p, "q": math.nan, "beat": False, "reason": reason})
        if not estimate.nulls or not estimate.estimable:
            rows.append({**row, **_no_control(), "reason": _told(estimate)})
    families = defaultdict(list)
    for row in rows:
        families[row["measure"], row["control"]].append(row)
    for family in families.values():
        for row, q in zip(family, q_values(np.array([row["p"] for row in family])).tolist(), strict=True):
            row["q"], row["beat"] = q, q <= LEVEL
    return rows


def _p(estimate: Estimate, control: str) -> tuple[float, str]:
    """p, and why there is none; empty where there is."""
    if control != UNTRAINED:
        return estimate.p(control), ""
    p = single_case(estimate.value, estimate.nulls[control])
    return p, "p not estimable: of fewer than three networks, or of such as do not differ" if math.isnan(p) else ""


def unit_rows(units: Sequence[UnitFinding], **names: str) -> list[dict[str, Any]]:
    """Rows of a table: one a unit."""
    rows = []
    for each in units:
        of, about = each.estimates, {"task": each.task, "layer": each.layer}
        middle, bottom, top = (np.atleast_1d(part) for part in _quantiles(of.null))
        p, q, beat = of.p, of.q, of.beat
        for unit, reason in enumerate(of.reasons):
            rows.append(
                {
                    **names, **about, "unit": unit, "measure": each.measure, "variable": each.variable,
                    "value": of.value[unit], "low": of.interval[0, unit], "high": of.interval[1, unit],
                    "control": of.control, "null_median": middle[unit], "null_low": bottom[unit],
                    "null_high": top[unit], "p": p[unit], "q": q[unit],
                    "beat": bool(beat[unit]), "reason": f"not estimable: {reason}" if reason else "",
                }
            )  # fmt: skip
    return rows


def pack(findings: Sequence[Finding], units: Sequence[UnitFinding]) -> tuple[list[Any], list[Any], Arrays]:
    """Findings as JSON, unit findings as JSON, and the arrays that both need."""
    arrays: Arrays = {}
    told, told_units = [], []
    for i, each in enumerate(findings):
        estimate = each.estimate
        for j, null in enumerate(estimate.nulls.values()):
            arrays[f"finding.{i}.{j}"] = np.asarray(null, dtype=np.float32)
        told.append(
            {name: getattr(each, name) for name in _NAMES}
            | {"value": estimate.value, "interval": list(estimate.interval), "reason": estimate.reason}
            | {"controls": list(estimate.nulls)}
        )
    for i, of_units in enumerate(units):
        estimates = of_units.estimates
        for name in ("value", "null", "interval"):
            arrays[f"unit.{i}.{name}"] = np.asarray(getattr(estimates, name), dtype=np.float32)
        told_units.append(
            {name: getattr(of_units, name) for name in _NAMES[:-1]}
            | {"control": estimates.control, "reasons": list(estimates.reasons)}
        )
    return told, told_units, arrays


def unpack(
    told: Sequence[Mapping[str, Any]], told_units: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]
) -> tuple[list[Finding], list[UnitFinding]]:
    """What `pack` was given."""
    findings, units = [], []
    for i, each in enumerate(told):
        nulls = {control: arrays[f"finding.{i}.{j}"] for j, control in enumerate(each["controls"])}
        low, high = each["interval"]
        estimate = Estimate(each["value"], nulls, (low, high), each["reason"])
        findings.append(Finding(estimate=estimate, **{name: each[name] for name in _NAMES}))
    for i, each in enumerate(told_units):
        value, null, interval = (arrays[f"unit.{i}.{name}"] for name in ("value", "null", "interval"))
        estimates = UnitEstimates(value, each["control"], null, interval, tuple(each["reasons"]))
        units.append(UnitFinding(estimates=estimates, **{name: each[name] for name in _NAMES[:-1]}))
    return findings, units


def _quantiles(null: NDArray[Any]) -> NDArray[Any]:
    """Median, 2.5 and 97.5 % of the draws (draws, ...); NaN where none is finite, or none is drawn."""
    if not len(null):
        return np.full((3, *null.shape[1:]), np.nan)
    known = np.isfinite(null).any(axis=0)
    found = np.nanquantile(np.where(known, null, 0.0), [0.5, 0.025, 0.975], axis=0)
    return np.where(known, found, np.nan)


def _no_control() -> dict[str, Any]:
    nothing = dict.fromkeys(("null_median", "null_low", "null_high", "p", "q"), math.nan)
    return {"control": "", **nothing, "beat": False}


def _told(estimate: Estimate) -> str:
    return f"not estimable: {estimate.reason}" if estimate.reason else ""
