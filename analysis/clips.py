"""What a behaviour looks like: several of its bouts side by side, as a film or as strips of poses."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from analysis.inputs import Array, same_length
from analysis.nwb_film import recorded_states, recorded_task, remembered
from analysis.recording import Session
from rodent.errors import UsageError
from rodent.painting import Picture
from rodent.physics import CONTROL_TIMESTEP
from rodent.rendering import Renderer, probe
from rodent.tasks import episode_rng
from rodent.video import Film, draw_overlay, draw_states

FPS = 25.0
SIZE = (240, 180)  # pixels of a clip, width and height
_CAMERA = "side"
_MOMENTS, _STRIPS = 5, 3  # poses of a clip's strip, and clips of a behaviour, in a picture
_APART = 0.22  # m from pose to pose


@dataclass(frozen=True)
class Clip:
    """A stretch of a trial in which the rat does one thing."""

    trial: int
    start: int
    """Its first step, counted in the trial."""
    stop: int
    """The step before which it ends."""


def choose_clips(
    labels: ArrayLike, episodes: ArrayLike, most: int = 6, longest: int = 75, shortest: int = 10
) -> dict[int, list[Clip]]:
    """Clips of each label: the middle of long bouts, of as many different episodes as can be.

    Args:
        labels: (steps,) integers; negative ones are no behaviour.
        episodes: (steps,) 0, 1, ..., each one stretch of steps.
        most: clips of a label.
        longest: steps of a clip.
        shortest: steps of a bout that counts.

    Returns:
        A label to its clips, the labels in their order; one without a bout that counts has none.
    """
    what, of = np.asarray(labels, dtype=np.int64), np.asarray(episodes, dtype=np.int64)
    same_length(labels=what, episodes=of)
    edges = np.flatnonzero((np.diff(what) != 0) | (np.diff(of) != 0)) + 1
    starts, stops = np.concatenate([[0], edges]), np.concatenate([edges, [len(what)]])
    begins = {int(episode): int(np.argmax(of == episode)) for episode in np.unique(of)}
    chosen: dict[int, list[Clip]] = {}
    for label in np.unique(what[what >= 0]).tolist():
        mine = np.flatnonzero((what[starts] == label) & (stops - starts >= shortest))
        turns: dict[int, int] = {}
        ranked: list[tuple[int, int, int]] = []
        for bout in mine[np.argsort(-(stops - starts)[mine], kind="stable")].tolist():
            episode = int(of[starts[bout]])
            turns[episode] = turns.get(episode, 0) + 1
            ranked.append((turns[episode], len(ranked), bout))
        clips = []
        for _, _, bout in sorted(ranked)[:most]:
            spare = max(0, int(stops[bout] - starts[bout]) - longest)
            first, last = int(starts[bout]) + spare // 2, int(stops[bout]) - (spare + 1) // 2
            episode = int(of[first])
            clips.append(Clip(episode, first - begins[episode], last - begins[episode]))
        chosen[label] = clips
    return chosen


def film_clips(session: Session, clips: Sequence[Clip], path: Path) -> None:
    """Film clips side by side, in real time, from the recorded states; one that is over stands still, darkened.

    Args:
        session: whose trials they are of.
        clips: at least one.
        path: .mp4, .webm or .gif.

    Raises:
        UsageError: there is no clip, or no OpenGL to draw so many pictures with.
    """
    if not clips:
        raise UsageError("no clip to film: give at least one")
    if not probe().is_opengl:
        raise UsageError("no OpenGL works here to film clips with (`rodent doctor` says why): see them as strips")
    drawn = [_draw(session, clip) for clip in clips]
    columns = math.ceil(math.sqrt(len(drawn)))
    rows = math.ceil(len(drawn) / columns)
    made = json.dumps(probe().describe(*SIZE, shadows=True, antialias=True))
    with Film(path, FPS, made) as film:
        for frame in range(max(map(len, drawn))):
            canvas = np.zeros((rows, SIZE[1], columns, SIZE[0], 3), np.uint8)
            for place, pictures in enumerate(drawn):
                over = frame >= len(pictures)
                canvas[place // columns, :, place % columns] = pictures[-1] // 2 if over else pictures[frame]
            film.add(canvas.reshape(rows * SIZE[1], columns * SIZE[0], 3))


def plot_clips(
    pose: Array,
    edges: Sequence[tuple[int, int]],
    axis: tuple[int, int],
    episodes: ArrayLike,
    clips: Mapping[str, Sequence[Clip]],
) -> Figure:
    """Strips of poses, a row a behaviour: the skeleton from its side, at even times of each of its first clips.

    Args:
        pose: (steps, parts, 3) in the world, m.
        edges: which parts hang together.
        axis: the parts between which the body lies, the rear one first.
        episodes: (steps,) 0, 1, ..., each one stretch of steps.
        clips: a behaviour's name to its clips.
    """
    of, shown = np.asarray(episodes, dtype=np.int64), {name: each for name, each in clips.items() if each}
    figure = Figure((7.2, 0.5 + 0.7 * max(len(shown), 1)), layout="constrained")
    axes = figure.subplots(max(len(shown), 1), squeeze=False)[:, 0]
    width = _APART * _MOMENTS
    for ax, (name, mine) in zip(axes, shown.items(), strict=False):
        for place, clip in enumerate(mine[:_STRIPS]):
            rows = np.flatnonzero(of == clip.trial)[clip.start : clip.stop]
            moments = rows[np.linspace(0, len(rows) - 1, _MOMENTS).round().astype(np.int64)]
            flat = _from_the_side(pose[moments], axis)
            flat[..., 0] += place * (width + _APART / 2) + _APART * np.arange(_MOMENTS)[:, None]
            lines = flat[:, np.array(edges)].reshape(-1, 2, 2)
            ax.add_collection(LineCollection(list(lines), colors=f"C{place}", linewidths=0.8))
        ax.set_title(name, fontsize="x-small", loc="left", pad=1)
        ax.set_xlim(-_APART / 2, _STRIPS * (width + _APART / 2) - _APART / 2)
        ax.set_ylim(-0.02, 0.16)
        ax.set_aspect("equal")
    for ax in axes:
        ax.axis("off")
    return figure


def _from_the_side(pose: Array, axis: tuple[int, int]) -> Array:
    """(poses, parts, 2) along the floor in the body's direction, about its middle, and above its lowest part, m."""
    flat = pose[..., :2] - pose[..., :2].mean(axis=1, keepdims=True)
    ahead = flat[:, axis[1]] - flat[:, axis[0]]
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return np.stack([np.einsum("npc,nc->np", flat, ahead), pose[..., 2] - pose[..., 2].min(1, keepdims=True)], axis=-1)


def _draw(session: Session, clip: Clip) -> NDArray[np.uint8]:
    """The clip's frames, (frames, height, width, 3)."""
    facts = session.trials.loc[clip.trial]
    task = recorded_task(session, facts["task"])
    scene = task.scene(episode_rng(task, int(facts["seed"]), int(facts["episode"])))
    states = {name: values[clip.start : clip.stop] for name, values in recorded_states(session, clip.trial).items()}
    memory = remembered(task, states)

    def dress(step: int) -> None:
        task.dress(scene, {entry: values[step] for entry, values in memory.items()})

    def name(picture: Picture, step: int) -> Picture:
        seconds = CONTROL_TIMESTEP * (clip.start + step)
        return draw_overlay(picture, [f"{facts['task']} {facts['episode']}, {seconds:.2f} s"])

    with Renderer(scene, *SIZE, shadows=True, antialias=True) as renderer:
        frames = draw_states(renderer, states["qpos"], _CAMERA, FPS, dress)
        return np.stack([name(picture, step) for step, picture in frames])
