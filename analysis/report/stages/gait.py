"""How the rat strides: footfalls, strides against speed, and phases between the paws."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.gait import Gait, footfalls, plot_gait, plot_phases, touch_downs
from analysis.gait import gait as measure_gait
from analysis.inference import UNKNOWN, Estimate, ends, not_estimable
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import PAWS, TIMESTEP, Source

_REFERENCE = 2  # the paw whose strides define the phase: the left hind foot
LASTING = 0.06, 1.0  # s; a stride is not shorter or longer
# m/s: a paw is planted from below the first to above the second. The touch sense feels palms and soles alone, and the
# rat bounds on its fingers and toes; heights would need to know the floor. So a paw that hovers counts as planted, and
# these are not the session's recorded `footfalls`, which are contacts.
_PLANTED, _LIFTED = 0.4, 0.6
_TIPS = ("pose.finger_L", "pose.finger_R", "pose.toe_L", "pose.toe_R")


def gait(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Strides of each task.

    Leaves `standing` (steps, 4) in the order of `PAWS`, and `phase` (steps,), 0 to 2 pi through each stride of the
    left hind foot, NaN outside of strides.
    """
    outcome, speed = Outcome(), source.kinematics["speed (m/s)"]
    standing = footfalls(-paw_speeds(source), source.episodes, -_PLANTED, -_LIFTED)
    outcome.arrays |= {"standing": standing, "phase": stride_phase(standing[:, _REFERENCE], source.episodes)}
    for task in source.task_names:
        rows = source.of_task(task)
        found = measure_gait(standing[rows], speed[rows], source.episodes[rows], TIMESTEP, seed=seed, lasting=LASTING)
        _record(found, task, outcome, seed)
        if len(found.strides.limb):
            outcome.pictures[f"strides-{task}"] = Picture(_strides(found), _STRIDES)
            phases = plot_phases(found, _REFERENCE, PAWS).figure
            assert isinstance(phases, Figure)
            outcome.pictures[f"phases-{task}"] = Picture(phases, _PHASES)
    return outcome


def paw_speeds(source: Source) -> Array:
    """(steps, 4) speed in the world of fingers and toes, m/s, in the order of `PAWS`; each episode by itself."""
    return np.stack([np.linalg.norm(source.velocity(source.series(name)), axis=1) for name in _TIPS], axis=1)


def stride_phase(standing: NDArray[np.bool_], episodes: Labels) -> Array:
    """(steps,) 0 to 2 pi from one touch-down to the next of the same episode; NaN where no stride is under way."""
    phase = np.full(len(standing), np.nan)
    for start, stop in pairwise(touch_downs(standing, episodes)):
        if episodes[start] == episodes[stop] and LASTING[0] <= (stop - start) * TIMESTEP <= LASTING[1]:
            phase[start:stop] = 2 * np.pi * np.arange(stop - start) / (stop - start)
    return phase


def _record(found: Gait, task: str, outcome: Outcome, seed: int) -> None:
    strides, rng = found.strides, np.random.default_rng(seed)
    for limb, paw in enumerate(PAWS):
        of = strides.limb == limb
        measured = {
            "stride frequency (Hz)": strides.frequency[of],
            "duty factor": strides.duty[of],
            "stride length (m)": strides.length[of],
        }
        for name, values in measured.items():
            estimate = _median(values, strides.episode[of], rng)
            outcome.findings.append(Finding(f"median {name}", estimate, task, variable=paw))
    for name, estimate in found.against_speed.items():
        outcome.findings.append(Finding("rank correlation with speed", estimate, task, variable=f"stride {name}"))
    for one, other in combinations(range(len(PAWS)), 2):
        about = f"{PAWS[other]} in the stride of {PAWS[one]}"
        coupling = found.coupling[one, other]
        outcome.findings.append(Finding("coupling (resultant length)", coupling, task, variable=about))
        if coupling.estimable:
            low, high = found.phase_interval[:, one, other]
            phase = Estimate(float(found.phase[one, other]), {}, (float(low), float(high)))
            outcome.findings.append(Finding("mean phase (strides)", phase, task, variable=about))


def _median(values: Array, episodes: Labels, rng: np.random.Generator) -> Estimate:
    if len(values) < 5:
        return not_estimable(f"{len(values)} strides; needs at least 5")
    names, interval = np.unique(episodes), UNKNOWN
    if len(names) > 1:
        of = {name: values[episodes == name] for name in names}
        drawn = [np.median(np.concatenate([of[name] for name in rng.choice(names, len(names))])) for _ in range(200)]
        interval = ends(np.array(drawn))
    return Estimate(float(np.median(values)), {}, interval)


def _strides(found: Gait) -> Figure:
    figure = Figure((9.0, 3.0), layout="constrained")
    axes = [
        plot_gait(found, ax, measure)
        for ax, measure in zip(figure.subplots(1, 3), ("frequency", "length", "duty"), strict=True)
    ]
    for line, limb in zip(axes[0].get_lines(), np.unique(found.strides.limb), strict=True):
        line.set_label(PAWS[limb])
    axes[0].legend(frameon=False, fontsize="small")
    return figure


_STRIDES = (
    "Each ring is a stride, from one touch-down of a paw to its next: its frequency, its length and the share of it on "
    "the ground (duty factor) against the speed."
)
_PHASES = (
    "When each paw stands in the stride of the left hind foot: a bar from its mean touch-down (black: 95 % interval "
    "over episodes) for its median duty factor."
)
