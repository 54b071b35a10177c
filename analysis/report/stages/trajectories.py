"""The path of a population in each behaviour, beside that of the senses and the joints."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.dealing import CONTROL, Dealing
from analysis.inference import UNKNOWN, Estimate, bootstrap_weights, ends, episode_sums, not_estimable
from analysis.inputs import Array, Labels, codes
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import TIMESTEP, Source, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import population_steps, told

_COMPONENTS, _DRAWS = 3, 200
_SPAN, _FEWEST, _SHOWN = 25, 5, 8  # steps from a bout's beginning, bouts of a step of a path, behaviours of a figure
_MEASURE = "variance of the first three components that behaviours account for"


def trajectories(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """How far behaviours set a layer's states apart in each task, and their mean paths from where a bout begins.

    Untrained networks stand beside the former. Leaves `path.TASK.LAYER` (behaviours, steps, 3), in units of the first
    component's spread, NaN where fewer than five bouts last as long.
    """
    outcome, steps = Outcome(), population_steps(source, seed)
    labels, names = earlier["behaviour"]["labels"], [str(name) for name in earlier["behaviour"]["names"]]
    paths: dict[str, dict[str, Array]] = {}
    for task, layer in product(source.task_names, [*source.layers, *BESIDE]):
        rows = steps[source.tasks[steps] == task]
        scores = principal(recorded(source, layer, rows), _COMPONENTS)[0]
        doing, episodes = labels[rows], codes(source.episodes[rows], len(rows), "episodes")
        found = _accounted(scores, doing, episodes, seed)
        outcome.findings.append(Finding(_MEASURE, found, task, layer, "", f"episodes ({told(source, rows)})"))
        if found.estimable:
            spread = scores[:, 0].std()
            path = _paths(np.pad(scores, ((0, 0), (0, _COMPONENTS - scores.shape[1]))) / spread, doing, episodes, names)
            outcome.arrays[f"path.{task}.{layer}"] = path
            paths.setdefault(task, {})[layer] = path

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for task, (layer, activity) in product(source.task_names, layers.items()):
            mine = source.tasks[steps] == task
            scores, rows = principal(activity[mine], _COMPONENTS)[0], steps[mine]
            episodes = codes(source.episodes[rows], len(rows), "episodes")
            found.append(Finding(_MEASURE, _accounted(scores, labels[rows], episodes, seed, 0), task, layer))
        return found

    outcome.of_others = of_others
    for task, of in paths.items():
        outcome.pictures[f"behaviours.{task}"] = Picture(_drawn(of, names), _CAPTION.format(task))
    return outcome


def _accounted(scores: Array, doing: Labels, episodes: Labels, seed: int, draws: int = _DRAWS) -> Estimate:
    """Sum of squares between behaviours over that of all, of the steps that have one."""
    present = np.unique(doing[doing >= 0])
    if not scores.size or len(present) < 2:
        return not_estimable("constant" if not scores.size else f"{len(present)} behaviours; needs 2")
    dealing, rng = Dealing.of(episodes), np.random.default_rng(seed)
    orders = dealing.orders(draws, rng)
    null = [_share(*_sums(scores, doing[dealing.steps(order)], episodes, present)) for order in orders]
    sums = _sums(scores, doing, episodes, present)
    interval = UNKNOWN
    if episodes.max() > 0 and draws:
        weights = bootstrap_weights(int(episodes.max()) + 1, draws, rng)
        interval = ends(np.array([_share(*sums, weight) for weight in weights]))
    return Estimate(_share(*sums), {CONTROL: np.array(null)}, interval)


def _sums(scores: Array, doing: Labels, episodes: Labels, present: Labels) -> tuple[Array, Array, Array]:
    """Of each episode: (episodes, behaviours, components) sums, (episodes, behaviours) steps, (episodes,) squares."""
    inside = doing >= 0
    place, count = np.searchsorted(present, doing[inside]), int(episodes.max()) + 1
    cell, size = episodes[inside] * len(present) + place, count * len(present)
    sums = np.stack([np.bincount(cell, part, size) for part in scores[inside].T], axis=1)
    squares = episode_sums(np.square(scores[inside]).sum(axis=1), episodes[inside])
    steps = np.bincount(cell, minlength=size).astype(np.float64)
    whole = np.pad(squares, (0, count - len(squares)))  # the last episodes may have no step that counts
    return sums.reshape(count, len(present), -1).astype(np.float64), steps.reshape(count, -1), whole


def _share(sums: Array, steps: Array, squares: Array, weights: Array | None = None) -> float:
    weights = np.ones(len(steps)) if weights is None else weights
    total, counts = np.tensordot(weights, sums, 1), weights @ steps
    mean = np.square(total.sum(axis=0)).sum() / max(counts.sum(), 1.0)
    between = (np.square(total).sum(axis=1)[counts > 0] / counts[counts > 0]).sum() - mean
    whole = weights @ squares - mean
    return float(between / whole) if whole > 0 else float("nan")


def _paths(scores: Array, doing: Labels, episodes: Labels, names: list[str]) -> Array:
    """(behaviours, steps, components) means over bouts, step by step from their beginning."""
    new = np.append(True, (np.diff(doing) != 0) | (np.diff(episodes) != 0))
    since = np.arange(len(doing)) - np.flatnonzero(new)[np.cumsum(new) - 1]
    found = np.full((len(names), _SPAN, scores.shape[1]), np.nan)
    for label, step in product(range(len(names)), range(_SPAN)):
        mine = (doing == label) & (since == step)
        if mine.sum() >= _FEWEST:
            found[label, step] = scores[mine].mean(axis=0)
    return found


def _drawn(paths: Mapping[str, Array], names: list[str]) -> Figure:
    """A panel a layer; the behaviours whose paths are longest, a colour each."""
    known: NDArray[np.int64] = np.isfinite(next(iter(paths.values()))).all(axis=2).sum(axis=1)
    shown = [label for label in np.argsort(-known, kind="stable")[:_SHOWN].tolist() if known[label] > 1]
    columns = min(4, len(paths))
    figure = Figure((2.6 * columns, 2.6 * -(-len(paths) // columns) + 0.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(-(-len(paths) // columns), columns)).ravel()
    for ax, (layer, path) in zip(axes, paths.items(), strict=False):
        _panel(ax, path, shown, names)
        ax.set_title(layer, fontsize="small")
    for ax in axes[len(paths) :]:
        ax.set_visible(False)
    if shown:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="x-small")
    return figure


def _panel(ax: Axes, path: Array, shown: list[int], names: list[str]) -> None:
    for colour, label in enumerate(shown):
        ax.plot(path[label, :, 0], path[label, :, 1], lw=1.2, color=f"C{colour}", label=names[label])
        ax.plot(path[label, 0, 0], path[label, 0, 1], ".", ms=6, color=f"C{colour}")
    ax.set_xlabel("PC 1", fontsize="x-small")
    ax.set_ylabel("PC 2", fontsize="x-small")
    ax.tick_params(labelsize="x-small")


_CAPTION = (
    f"{{}}: mean path of each behaviour over the first {TIMESTEP * _SPAN:.1f} s of its bouts, on the first two "
    "principal components of each layer, of the senses and of the joints, in units of the first one's spread. Dots: "
    f"where bouts begin. A path ends where fewer than {_FEWEST} bouts last."
)
