"""Learning curves of runs: mean over the seeds of a configuration, with 95 % intervals; as a picture or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from policies.config import CHANGEABLE, CONFIG_FILE, TrainConfig, load_yaml, to_json
from policies.intervals import student_ci95
from policies.metrics import METRICS_FILE, early_ends, owners_of_columns, read_metrics
from policies.run_folder import seed_folders
from policies.storage import write_atomically
from rodent.errors import UsageError

FORMATS = (".png", ".svg", ".csv")
_POINTS = 200
_COUNTED = 40  # spans of a run in which its episodes' ends are counted, which are too few at a time to draw singly
_LABELS = {  # of measures; of a run of several tasks each has its own, TASK.MEASURE
    "reward": "task reward a control step, while training",
    "early_ends": "ends before the time limit,\nper 1,000 control steps",
    "evaluation_return": "return of an episode, mean action, evaluated",
}


@dataclass(frozen=True)
class Curve:
    """One measure of one configuration, over its seeds."""

    label: str
    measure: str
    seeds: int
    """How many runs."""
    steps: NDArray[np.float64]
    """(points,), environment steps."""
    minutes: NDArray[np.float64]
    """(points,), wall time of the mean run."""
    mean: NDArray[np.float64]
    """(points,), over seeds."""
    low: NDArray[np.float64]
    """(points,), lower end of the mean's 95 % t-interval over seeds; NaN for a single seed."""
    high: NDArray[np.float64]
    """(points,), upper end."""
    began: float = 0.0
    """Steps of what led to the run, where that is drawn before it."""
    lasted: float = 0.0
    """Minutes of the mean run, which may go on after the measure was taken for the last time."""


@dataclass
class _Configuration:
    """What was read of the runs that share a configuration but for the seed."""

    label: str
    tasks: tuple[str, ...]
    folders: dict[int, Path] = field(default_factory=dict)  # by seed
    seeds: list[list[dict[str, float]]] = field(default_factory=list)  # the rows of each
    began: float = 0.0  # steps of what led to the first

    def add(self, seed: int, folder: Path, before: list[dict[str, float]], rows: list[dict[str, float]]) -> None:
        """Take a run with its rows and those of what led to it."""
        if there := self.folders.get(seed):
            raise UsageError(
                f"{there} and {folder} are of the same configuration and seed, which count once: name one of them"
            )
        self.folders[seed] = folder
        if before and not self.seeds:
            self.began = before[-1]["steps"]
        joined = _joined(before, rows)
        for owner in owners_of_columns(self.tasks):
            _count_early_ends(joined, owner, share=1 / len(self.tasks))
        self.seeds.append(joined)

    @property
    def measures(self) -> list[str]:
        return [owner + measure for owner in owners_of_columns(self.tasks) for measure in _LABELS]


def draw_curves(runs: Sequence[Path], output: Path, chain: bool = False) -> list[Curve]:
    """Draw the curves of run folders to a picture, or write their numbers to CSV.

    Args:
        runs: run folders, of one seed or of several; those that share a configuration are taken together.
        output: its suffix says what it will be, .png, .svg or .csv.
        chain: before each run those of the same tasks that led to it, as far as their folders are there (`init_from`).

    Raises:
        UsageError: a folder holds no run or nothing measured yet, or a run is given twice; the output is of no known
            kind or cannot be written.
    """
    if output.suffix not in FORMATS:
        raise UsageError(f"cannot write curves to {output}: its name must end in {', '.join(FORMATS)}")
    curves = read_curves(runs, chain)
    content = _as_csv(curves) if output.suffix == ".csv" else _as_picture(curves, output.suffix[1:])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(output, content)
    except OSError as error:
        raise UsageError(f"cannot write curves to {output}: {error.strerror or error}") from None
    return curves


def read_curves(runs: Sequence[Path], chain: bool = False) -> list[Curve]:
    """The curves of run folders: of reward and early ends in training, and of evaluations where there are any.

    Where no episode of any seed ended early, there is no curve of that.

    Raises:
        UsageError: see `draw_curves`.
    """
    groups: dict[str, _Configuration] = {}
    for run in runs:
        for folder in seed_folders(run):
            config, rows = _read_run(folder)
            group = groups.setdefault(_but_for_the_seed(config), _Configuration(run.resolve().name, config.task))
            before = _read_before(config, frozenset({folder.resolve()})) if chain else []
            group.add(config.seeds[0], folder, before, rows)
    return [
        curve
        for group in groups.values()
        for measure in group.measures
        if (curve := _curve(group.label, measure, group.seeds, group.began)) is not None
        and (curve.mean.any() or not measure.endswith("early_ends"))
    ]


def _but_for_the_seed(config: TrainConfig) -> str:
    """What the runs of a configuration share. What one begins with, or is taught by, may be a run of its own seed."""
    shared = {name: value for name, value in to_json(config).items() if name not in CHANGEABLE | {"seeds"}}
    own = f"/seed-{config.seeds[0]}"

    def of_any_seed(source: str) -> str:
        return f"{source.removesuffix(own)}/seed" if source.endswith(own) else source

    sources = {
        "init_from": of_any_seed(config.init_from or ""),
        "expert": [of_any_seed(each) for each in config.expert],
    }
    return str(shared | sources)


def _read_run(folder: Path) -> tuple[TrainConfig, list[dict[str, float]]]:
    if not (folder / CONFIG_FILE).is_file():
        raise UsageError(f"{folder} is no run folder: it has no {CONFIG_FILE}")
    rows = read_metrics(folder / METRICS_FILE)
    if not any("reward" in row for row in rows):
        raise UsageError(f"{folder} has measured nothing yet: its {METRICS_FILE} has no rows")
    return load_yaml(folder / CONFIG_FILE), rows


def _read_before(config: TrainConfig, seen: frozenset[Path]) -> list[dict[str, float]]:
    """The rows of the runs of the same tasks that a run began with, first things first, but for those seen already."""
    source = Path(config.init_from or "")
    if config.init_from is None or not all((source / name).is_file() for name in (CONFIG_FILE, METRICS_FILE)):
        return []
    if source.resolve() in seen:
        return []
    before, rows = _read_run(source)
    return _joined(_read_before(before, seen | {source.resolve()}), rows) if before.task == config.task else []


def _joined(before: list[dict[str, float]], rows: list[dict[str, float]]) -> list[dict[str, float]]:
    spent = {name: before[-1][name] for name in ("steps", "seconds")} if before else {}
    return before + [row | {name: row[name] + value for name, value in spent.items()} for row in rows]


def _count_early_ends(rows: list[dict[str, float]], owner: str, share: float) -> None:
    """Add to the last row of each span of a run how many episodes something other than time ended, per 1,000 steps.

    The steps are those of the task itself, which has a share of the environments.
    """
    causes = early_ends(rows, owner)
    if not causes:
        return
    counted = [row for row in rows if any(cause in row for cause in causes)]
    span, ends, begun = counted[-1]["steps"] / _COUNTED, 0.0, 0.0
    for row in counted:
        ends += sum(row.get(cause, 0.0) for cause in causes)
        if (steps := row["steps"] - begun) >= max(span, 1):
            row[f"{owner}early_ends"] = 1000 * ends / (share * steps)
            ends, begun = 0.0, row["steps"]


def _curve(label: str, measure: str, runs: list[list[dict[str, float]]], began: float) -> Curve | None:
    tables = [np.array([(r["steps"], r["seconds"] / 60, r[measure]) for r in rows if measure in r]) for rows in runs]
    if not all(len(table) for table in tables):
        return None
    first, last = max(table[0, 0] for table in tables), min(table[-1, 0] for table in tables)
    if first > last:  # seldom measured, and never when another seed was: the first time of each, the second, and so on
        together = np.array([table[: min(map(len, tables))] for table in tables])
        (steps, minutes), values = together[..., :2].mean(axis=0).T, together[..., 2]
    else:
        steps = tables[0][:, 0] if len(tables[0]) < _POINTS else np.linspace(first, last, _POINTS)
        steps = steps[(steps >= first) & (steps <= last)]
        minutes = np.mean([np.interp(steps, table[:, 0], table[:, 1]) for table in tables], axis=0)
        values = np.array([np.interp(steps, table[:, 0], table[:, 2]) for table in tables])
    unknown = np.full(len(steps), np.nan)
    low, high = student_ci95(values) if len(tables) > 1 else (unknown, unknown)
    lasted = float(np.mean([rows[-1]["seconds"] for rows in runs])) / 60
    return Curve(label, measure, len(tables), steps, minutes, values.mean(axis=0), low, high, began, lasted)


def _as_csv(curves: Sequence[Curve]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "measure", "seeds", "steps", "minutes", "mean", "low", "high"])
    for c in curves:
        for point in zip(c.steps, c.minutes, c.mean, c.low, c.high, strict=True):
            numbers = ["" if np.isnan(value) else f"{value:.6g}" for value in point[1:]]
            writer.writerow([c.label, c.measure, c.seeds, round(point[0]), *numbers])
    return text.getvalue()


def _as_picture(curves: Sequence[Curve], kind: str) -> bytes:
    measures = list(dict.fromkeys(curve.measure for curve in curves))
    figure = Figure(figsize=(5.5 * len(measures), 4), layout="constrained")
    panels: Any = figure.subplots(1, len(measures), squeeze=False)
    for measure, axes in zip(measures, panels[0], strict=True):
        _draw_panel(axes, [curve for curve in curves if curve.measure == measure])
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=150)
    return buffer.getvalue()


def _draw_panel(axes: Axes, curves: Sequence[Curve]) -> None:
    task, _, measure = curves[0].measure.rpartition(".")
    marker = "o" if measure == "evaluation_return" else ""
    for curve in curves:
        seeds = f"{curve.seeds} seeds" if curve.seeds > 1 else "1 seed"
        label = f"{curve.label} ({seeds}, {curve.lasted:.0f} min)"
        (line,) = axes.plot(curve.steps / 1e6, curve.mean, marker=marker, markersize=4, label=label)
        axes.fill_between(curve.steps / 1e6, curve.low, curve.high, color=line.get_color(), alpha=0.2, linewidth=0)
        if curve.began:
            axes.axvline(curve.began / 1e6, color=line.get_color(), linewidth=0.8, linestyle=":")
    axes.set_xlabel("environment steps (millions)")
    axes.set_ylabel(_LABELS[measure] + (f"\n({task})" if task else ""))
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
