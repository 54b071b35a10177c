"""The episodes themselves, their returns, lengths and endings; and how many units tell nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.inference import UNKNOWN, Estimate, ends
from analysis.inputs import column_reasons
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import TIMESTEP, Source

NO_ANIMAL = "the network reads privileged senses, which no animal has: never analyse it as one"


def overview(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Mean return and length of each task's episodes, how often each ending came, and the units that are left out."""
    outcome, trials, rng = Outcome(), source.session.trials, np.random.default_rng(seed)
    for task in source.task_names:
        mine = trials[trials["task"] == task]
        measured = {
            "return": mine["return"].to_numpy(np.float64),
            "length (s)": TIMESTEP * mine["steps"].to_numpy(np.float64),
        }
        measured |= {
            f"share that ended by {cause}": (mine["outcome"] == cause).to_numpy(np.float64)
            for cause in dict.fromkeys(mine["outcome"])
        }
        for measure, values in measured.items():
            drawn = values[rng.integers(len(values), size=(1000, len(values)))].mean(axis=1)
            interval = ends(drawn) if len(values) > 1 else UNKNOWN
            outcome.findings.append(Finding(measure, Estimate(float(values.mean()), {}, interval), task))
    for layer in source.layers:
        reasons = column_reasons(source.layer(layer).astype(np.float64))
        share = Estimate(sum(reason != "" for reason in reasons) / len(reasons), {})
        outcome.findings.append(Finding("share of units left out: constant or not finite", share, layer=layer))
    if source.privileged:
        outcome.missing("what an animal does", NO_ANIMAL)
    outcome.pictures["returns"] = Picture(_returns(source), "Each dot is an episode: its return, task by task.")
    return outcome


def _returns(source: Source) -> Figure:
    figure = Figure((1.5 + 1.3 * len(source.task_names), 3.0), layout="constrained")
    ax, trials = figure.add_subplot(), source.session.trials
    for x, task in enumerate(source.task_names):
        values = trials.loc[trials["task"] == task, "return"].to_numpy()
        ax.plot(x + np.linspace(-0.2, 0.2, len(values)), values, "o", ms=4, alpha=0.7)
    ax.set_xticks(range(len(source.task_names)), source.task_names)
    ax.set_xlim(-0.5, len(source.task_names) - 0.5)
    ax.set_ylabel("return (sum of rewards)")
    return figure
