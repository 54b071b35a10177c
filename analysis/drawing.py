"""What the figures of all analyses share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.inference import Estimate
from analysis.inputs import Array


def axes_or_new(ax: Axes | None, size: tuple[float, float] = (4.0, 3.0)) -> Axes:
    """The axes given, or those of a new figure, which belongs to no window."""
    return Figure(figsize=size, layout="constrained").add_subplot() if ax is None else ax


def plot_estimates(estimates: Mapping[str, Estimate], label: str, ax: Axes | None = None) -> Axes:
    """Each estimate with its interval, and the middle 95 % of each control beside it."""
    ax = axes_or_new(ax)
    for x, estimate in enumerate(estimates.values()):
        nulls = {control: null for control, null in estimate.nulls.items() if len(null)}  # one episode has no others
        for step, (control, null) in enumerate(nulls.items()):
            low, high = np.nanquantile(null, [0.025, 0.975])
            at = x + 0.15 * (step + 1)
            ax.plot([at, at], [low, high], color=f"C{step + 1}", lw=4, alpha=0.5, label=control if x == 0 else None)
        ax.plot([x, x], estimate.interval, color="C0")
        ax.plot(x, estimate.value, "o", color="C0")
    ax.set_xticks(range(len(estimates)), list(estimates), rotation=45, ha="right")
    ax.set_ylabel(label)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax


def draw_cka(matrix: Array, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Unbiased CKA (rows, columns), as a figure that grows with the names."""
    figure = Figure((1.8 + 0.42 * len(columns), 1.4 + 0.42 * len(rows)), layout="constrained")
    ax = figure.add_subplot()
    image = ax.imshow(matrix, vmin=0, vmax=1, cmap="viridis")
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize="small")
    ax.set_yticks(range(len(rows)), rows, fontsize="small")
    figure.colorbar(image, label="unbiased CKA")
    return figure
