"""How many dimensions a layer uses, and its path through the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from matplotlib.figure import Figure

from analysis.populations import Dimensions
from analysis.populations import dimensions as count_dimensions
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import population_steps, told

_STEPS, _SAMPLES = 2000, 800
_DRAWS = (100, 60)  # of the participation ratio, and of the intrinsic dimension, each of which seeks neighbours
_SHOWN = 3


def dimensions(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Participation ratio and intrinsic dimension of each layer in each task, of senses and of joints.

    Untrained networks stand beside them. Leaves `scores.TASK.LAYER` (steps of the task, 3) on the first principal
    components, and `shares.TASK.LAYER`.
    """
    outcome, spectra = Outcome(), {}
    steps = population_steps(source, seed)
    rows = {task: source.thinned(_STEPS, steps[source.tasks[steps] == task], seed) for task in source.task_names}
    for layer in [*source.layers, *BESIDE]:
        activity = recorded(source, layer, np.arange(len(source.episodes)))
        for task in source.task_names:
            mine = rows[task]
            found = count_dimensions(activity[mine], source.episodes[mine], _DRAWS[0], _SAMPLES, seed, _DRAWS[1])
            outcome.findings += _findings(found, task, layer, told(source, mine))
            scores, _, shares = principal(activity[source.of_task(task)], _SHOWN)
            outcome.arrays[f"scores.{task}.{layer}"] = scores.astype(np.float32)
            outcome.arrays[f"shares.{task}.{layer}"] = shares
            if found.participation.estimable:
                spectra[task, layer] = np.cumsum(found.variances) / found.variances.sum()

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for (layer, activity), (task, mine) in product(layers.items(), rows.items()):
            part = activity[np.searchsorted(steps, mine)]
            again = count_dimensions(part, source.episodes[mine], draws=0, samples=_SAMPLES, seed=seed)
            found += _findings(again, task, layer, told(source, mine))
        return found

    outcome.of_others = of_others
    if spectra:
        outcome.pictures["spectra"] = Picture(
            _spectra(spectra),
            "Share of variance that the first principal components of each layer, the senses and the joints hold "
            "together.",
        )
    return outcome


def _findings(found: Dimensions, task: str, layer: str, of: str) -> list[Finding]:
    about, episodes = {"task": task, "layer": layer}, f"episodes ({of})"
    return [
        Finding("participation ratio", found.participation, **about, interval_over=episodes),
        Finding("1 / participation ratio", found.concentration, **about, interval_over=episodes),
        Finding("intrinsic dimension (TwoNN)", found.intrinsic, **about, interval_over=f"half-samples ({of})"),
    ]


def _spectra(spectra: Mapping[tuple[str, str], np.ndarray]) -> Figure:
    tasks = list(dict.fromkeys(task for task, _ in spectra))
    figure = Figure((1.0 + 3.0 * len(tasks), 3.2), layout="constrained")
    for ax, task in zip(np.atleast_1d(figure.subplots(1, len(tasks), sharey=True)), tasks, strict=True):
        for (of, layer), shares in spectra.items():
            if of == task:
                ax.semilogx(np.arange(1, len(shares) + 1), shares, label=layer)
        ax.set_title(task, fontsize="medium")
        ax.set_xlabel("components")
        ax.label_outer()
    figure.get_axes()[0].set_ylabel("share of variance, cumulative")
    ax.legend(frameon=False, fontsize="x-small")
    return figure
