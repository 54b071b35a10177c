"""How the notebooks show figures, tables and what they found."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import islice

import numpy as np
import pandas as pd
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure

from analysis.inference import Estimate
from analysis.report.findings import Finding, finding_rows
from rodent.errors import UsageError


def say(text: str) -> None:
    """Show Markdown that was made from numbers."""
    display(Markdown(text))


def show(figure: Figure, caption: str) -> None:
    """Show a figure and, below it, what it shows."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=110)
        display(Image(file.getvalue(), alt=caption))
    say(f"*{caption}*")


def table(findings: Sequence[Finding], **columns: str) -> pd.DataFrame:
    """A row a number and control, as the tables of a report have them.

    Args:
        findings: the numbers.
        columns: those to show of `analysis.report.findings.finding_rows`, and what to call them.
    """
    shown = columns or {"layer": "layer", "variable": "variable"}
    shown |= {"value": "value", "low": "low", "high": "high", "control": "control", "null_median": "of the control"}
    frame = pd.DataFrame(finding_rows(findings))
    return frame[[*shown, "p", "q", "reason"]].rename(columns=shown).round(3)


def beyond(findings: Sequence[Finding], *controls: str) -> list[Finding]:
    """Those that beat these controls, or without a name all of theirs, as the tables of a report have it.

    That is at a false discovery rate of 5 % over all that are given: give the whole table, not one number of it.
    """
    rows = iter(finding_rows(findings))
    found = []
    for each in findings:
        nulls = each.estimate.nulls if each.estimate.estimable else {}
        beat = {row["control"]: row["beat"] for row in islice(rows, max(len(nulls), 1))}
        if nulls and all(beat[control] for control in controls or nulls):
            found.append(each)
    return found


def told(estimate: Estimate, control: str = "", digits: int = 2) -> str:
    """A number in words: with its interval, and the median of a control and how seldom it comes as far.

    Raises:
        UsageError: it stands beside no such control.
    """
    if not estimate.estimable:
        return f"not estimable ({estimate.reason})"
    if control and control not in estimate.nulls:
        raise UsageError(f"there is no control {control!r}; give one of {listed(list(estimate.nulls))}")
    words = f"{estimate.value:.{digits}f}"
    details = []
    if np.isfinite(estimate.interval).all():
        details.append(f"95 % interval {estimate.interval[0]:.{digits}f} to {estimate.interval[1]:.{digits}f}")
    if control and len(null := estimate.nulls[control]):
        details.append(f"{control} {np.nanmedian(null):.{digits}f}, p = {estimate.p(control):.3f}")
    elif control:
        details.append(f"no draws of {control}")
    return f"{words} ({'; '.join(details)})" if details else words


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
