"""A session as the stages see it: every series on the steps of its actions, and variables that any body has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg
from scipy.spatial.transform import Rotation

from analysis.inputs import Array, Labels
from analysis.nwb_channels import LANDMARK, SIGHT
from analysis.recording import Session
from policies.observation import PRIVILEGED
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP

PAWS = ("hand L", "hand R", "foot L", "foot R")
"""The order of everything that has a column a paw."""
TIMESTEP = CONTROL_TIMESTEP
_KEPT = 2**30  # bytes of layers that are kept once they were read, since each stage asks for all of them
_TIMES = 8  # of an episode that thinned steps are of, at least


class Source:
    """A recorded session, opened for analysis.

    Args:
        path: of a session that `rodent record` made, or the name of a shipped one.

    Raises:
        UsageError: see `Session`.
    """

    def __init__(self, path: Path | str) -> None:
        self.session = Session(path)
        self.path = self.session.path
        self.name = self.path.stem
        self._kept: dict[str, NDArray[np.float32]] = {}
        if not len(self.session.trials):
            raise UsageError(f"{path} holds no trials: record at least one episode")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def privileged(self) -> bool:
        """Whether the network read senses that no animal has."""
        return any(name.startswith(PRIVILEGED) for name, _ in self.session.protocol["policy"]["senses"])

    @property
    def layers(self) -> list[str]:
        return list(self.session.layers)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(trials,) steps of each."""
        lengths: NDArray[np.int64] = self.session.trials["steps"].to_numpy(np.int64)
        return lengths

    @cached_property
    def episodes(self) -> Labels:
        """(steps,) trial of each step."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths).astype(np.int64)

    @cached_property
    def tasks(self) -> NDArray[Any]:
        """(steps,) task of each step."""
        return np.repeat(self.session.trials["task"].to_numpy(), self.lengths)

    @cached_property
    def task_names(self) -> list[str]:
        """In the order in which they were recorded."""
        return list(dict.fromkeys(self.session.trials["task"]))

    def layer(self, name: str, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """(steps, units) activity, not to be written to, or of some of the steps."""
        values = self._kept.get(name)
        if values is None:
            values = self.session.layers[name].read()
            values.setflags(write=False)
            if sum(each.nbytes for each in self._kept.values()) + values.nbytes <= _KEPT:
                self._kept[name] = values
        return values if rows is None else values[rows]

    def series(self, name: str) -> Array:
        """(steps, columns) of the body, without each episode's last state.

        Raises:
            UsageError: there is no such series, or not in every trial.
        """
        pieces = dict(self.session.behaviour[name].by_trial())
        if len(pieces) < len(self.lengths):
            raise UsageError(f"{name} is recorded in {len(pieces)} of {len(self.lengths)} trials")
        cut = [pieces[trial][:steps] for trial, steps in enumerate(self.lengths)]
        joined = np.concatenate(cut).astype(np.float64)
        return joined if joined.ndim == 2 else joined[:, None]

    @cached_property
    def posture(self) -> Array:
        """(steps, 3 parts) positions of all body parts from the torso, m, turned as the root is."""
        inverse = Rotation.from_quat(self.series("qpos")[:, [4, 5, 6, 3]]).inv()
        torso = self.series("pose.torso")
        parts = [inverse.apply(self.series(name) - torso) for name in self.body_parts if name != "pose.torso"]
        return np.concatenate(parts, axis=1)

    @property
    def body_parts(self) -> list[str]:
        """The names of the pose's series."""
        return [name for name in self.session.behaviour if name.startswith("pose.")]

    @cached_property
    def kinematics(self) -> dict[str, Array]:
        """Variables of the whole body, (steps,) each, with the unit in the name."""
        torso, up = self.series("pose.torso"), self.series("sense.world_zaxis")
        ahead = self.series("pose.skull") - self.series("pose.pelvis")
        # The root's own velocity is of a point below the body, which swings as the body pitches.
        moving = self.velocity(torso)
        return {
            "speed (m/s)": np.hypot(moving[:, 0], moving[:, 1]),
            "turning (rad/s)": np.einsum("tc,tc->t", up, self.series("qvel")[:, 3:6]),
            "height (m)": torso[:, 2],
            "heading (rad)": np.arctan2(ahead[:, 1], ahead[:, 0]),
        }

    def velocity(self, places: Array) -> Array:
        """(steps, coordinates) by central differences, 1/s; each episode by itself, NaN in one of one step."""
        found = np.full(places.shape, np.nan)
        for episode in range(len(self.lengths)):
            rows = self.episodes == episode
            if rows.sum() > 1:
                found[rows] = np.gradient(places[rows], TIMESTEP, axis=0)
        return found

    def joint(self, name: str) -> Array:
        """(steps,) a hinge's angle, rad."""
        return self.series("joint_angles")[:, self.session.behaviour["joint_angles"].columns.index(name)]

    @cached_property
    def reward(self) -> Array:
        """(steps,) the task's, for each action."""
        return self.series("reward")[:, 0]

    @cached_property
    def landmarks(self) -> dict[str, Array]:
        """Where the rat is in terms of its task, as `kinematics`; NaN where the task has no such thing."""
        found = {}
        for name in self.session.behaviour:
            if name.startswith(LANDMARK):
                told = f"{name.removeprefix(LANDMARK).replace('_', ' ')} ({self.session.behaviour[name].unit})"
                found[told] = self.partial(name)
        return found

    def partial(self, name: str) -> Array:
        """(steps,) a series of one column, NaN in trials that lack it."""
        values = np.full(len(self.episodes), np.nan)
        for trial, piece in self.session.behaviour[name].by_trial():
            values[self.episodes == trial] = piece[: self.lengths[trial]]
        return values

    @cached_property
    def senses(self) -> Array:
        """(steps, columns) of everything that the body felt: what a control that sees only the inputs may read."""
        names = [name for name in self.session.behaviour if name.startswith("sense.")]
        return np.concatenate([self.series(name) for name in names], axis=1)

    @cached_property
    def sight(self) -> Array | None:
        """(steps, columns) of what the rat saw, coarsely; None of one whose network sees nothing."""
        return self.series(SIGHT) if SIGHT in self.session.behaviour else None

    def thinned(self, most: int, rows: NDArray[np.int64] | None = None, seed: int = 0) -> NDArray[np.int64]:
        """Steps at the same times since the start of each episode, at most so many, of all episodes or of some.

        The times are shared, so that records which are dealt between episodes (`analysis.dealing`) meet each other at
        one time. Their spacing is random, half to three halves of the mean one: even spacing of 13 steps, or of twice
        as many, would meet a gait of 13 steps a stride in one phase throughout. Of more episodes than would have
        `_TIMES` steps each, some are drawn, of each task in turn.

        Args:
            most: steps.
            rows: the steps of some whole episodes, ascending; None for all.
            seed: of the times and of the episodes.

        Raises:
            UsageError: an episode is there in part.
        """
        rows = np.arange(len(self.episodes)) if rows is None else rows
        if len(rows) <= most:
            return rows
        names, rng = np.unique(self.episodes[rows]), np.random.default_rng(seed)
        if self.lengths[names].sum() != len(rows):
            raise UsageError("the steps hold some episodes in part; give those of whole episodes")
        starts = np.cumsum(self.lengths) - self.lengths
        drawn = rng.permutation(names)
        turn = pd.Series(drawn).groupby(self.tasks[starts[drawn]]).cumcount().to_numpy()
        fewer = max(most // min(_TIMES, int(self.lengths[names].max())), 1)
        names = np.sort(drawn[np.argsort(turn, kind="stable")][:fewer])
        lengths, tasks = self.lengths[names], self.tasks[starts[names]]
        times = _shared_times(lengths, most, rng)
        times[0] = min(times[0], min(lengths[tasks == task].max() for task in np.unique(tasks)) // 2)  # each has a step
        parts = [start + times[times < length] for start, length in zip(starts[names], lengths, strict=True)]
        return np.concatenate(parts).astype(np.int64)

    def of_task(self, task: str) -> NDArray[np.int64]:
        """The steps of a task."""
        return np.flatnonzero(self.tasks == task)

    def events(self, most_share: float = 0.02) -> dict[str, NDArray[np.int64]]:
        """Steps at which a reward term pays that pays seldom, such as taps and orbs, by the term's name."""
        found = {}
        for name in self.session.behaviour:
            if name.startswith("reward."):
                paid = self._paid(name)
                if 0 < len(paid) <= most_share * len(self.episodes):
                    found[name.removeprefix("reward.")] = paid
        return found

    def _paid(self, name: str) -> NDArray[np.int64]:
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        pieces = [
            offsets[trial] + np.flatnonzero(values > 0) for trial, values in self.session.behaviour[name].by_trial()
        ]
        return np.concatenate(pieces).astype(np.int64) if pieces else np.zeros(0, np.int64)

    def close(self) -> None:
        self._kept.clear()
        self.session.close()


def _shared_times(lengths: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Times of the longest of some episodes, as many as give at most so many steps in all of them, but one."""
    longest = int(lengths.max())
    gaps = rng.uniform(0.5, 1.5, longest)
    for count in range(min(longest, -(-most * longest // int(lengths.sum()))), 0, -1):
        ends = np.cumsum(gaps[:count])
        times = np.unique(((ends - ends[0] / 2) / ends[-1] * longest).astype(np.int64))
        if np.searchsorted(times, lengths).sum() <= most:
            break
    return times


def finite_units(values: NDArray[Any]) -> NDArray[Any]:
    """(steps, the units that are finite throughout), for what asks all units together; all of them where none is."""
    finite = np.asarray(np.isfinite(values).all(axis=0))
    return values[:, finite] if finite.any() else values


def principal(values: NDArray[Any], components: int) -> tuple[Array, Array, Array]:
    """Scores (steps, components), axes (components, columns) and shares of variance; as many as the rank allows.

    Columns with a number that is not finite are left out: their axes are zero. The overview counts them.
    """
    with np.errstate(invalid="ignore"):
        mean = values.mean(axis=0, dtype=np.float64)  # not finite where a number is not
        centred = np.subtract(values, mean, dtype=np.float64)
    centred[:, ~np.isfinite(mean)] = 0.0
    covariance, columns = centred.T @ centred, values.shape[1]
    variances, axes = linalg.eigh(covariance, subset_by_index=(max(columns - components, 0), columns - 1))
    total, order = max(float(np.trace(covariance)), 1e-300), np.argsort(-variances)
    order = order[variances[order] > 1e-9 * total]
    axes = axes[:, order].T
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return centred @ axes.T, axes, variances[order] / total


def equal_windows(
    values: Array, episodes: Labels, length: int, most: int, rng: np.random.Generator
) -> tuple[Array, Labels]:
    """(windows, length, columns) neighbouring windows that span no two episodes, at most so many; and their episodes.

    They begin at fixed times of the episode, not at an event, so that no rhythm is taken away with their mean.
    """
    starts: list[int] = []
    for episode in np.unique(episodes):
        rows = np.flatnonzero(episodes == episode)
        starts += [int(rows[0]) + at for at in range(0, len(rows) - length + 1, length)]
    chosen = np.sort(rng.permutation(np.array(starts, dtype=np.int64))[:most])
    windows: Sequence[Array] = [values[start : start + length] for start in chosen]
    return np.array(windows).reshape(len(windows), length, values.shape[1]), episodes[chosen]


def reduced(values: NDArray[Any], components: int) -> Array:
    """(steps, at most components) scores on the leading principal components, in units of the first one's spread."""
    scores, _, _ = principal(values, components)
    spread = float(scores.std(axis=0).max(initial=0.0))
    return scores / spread if spread > 0 else scores
