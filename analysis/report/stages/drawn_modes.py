"""A figure of the frequencies of modes: how far two methods of dynamic mode decomposition agree, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.report.findings import Finding, Picture


def mode_pictures(findings: Sequence[Finding], measures: tuple[str, str]) -> dict[str, Picture]:
    """Of each task that has any, by its name.

    Args:
        findings: those of other measures are left out.
        measures: frequencies of modes by either method, Hz.
    """
    known = [each for each in findings if each.measure in measures and each.estimate.estimable]
    return {
        f"modes.{task}": Picture(_drawn([each for each in known if each.task == task], measures), _MODES.format(task))
        for task in dict.fromkeys(each.task for each in known)
    }


def _drawn(findings: Sequence[Finding], measures: tuple[str, str]) -> Figure:
    layers = list(dict.fromkeys(each.layer for each in findings))
    figure = Figure((1.6 + 0.7 * len(layers), 3.2), layout="constrained")
    ax = figure.add_subplot()
    for i, measure in enumerate(measures):
        mine = [each for each in findings if each.measure == measure]
        at = np.array([layers.index(each.layer) for each in mine]) + 0.2 * i - 0.1
        ax.plot(
            at, [each.estimate.value for each in mine], "o", ms=4, color=f"C{i}", label=measure.split(" frequency")[0]
        )
        for x, each in zip(at, mine, strict=True):
            ax.plot([x, x], each.estimate.interval, lw=1, color=f"C{i}")
    ax.set_xticks(range(len(layers)), layers, rotation=45, ha="right", fontsize="small")
    ax.set_ylabel("frequency of modes (Hz)")
    ax.legend(frameon=False, fontsize="x-small")
    return figure


_MODES = (
    "{}: frequencies of the modes of the longest episode, by two methods; what they agree on does not hang on the "
    "method. Bars: 95 % over bags of steps."
)
