"""Joins recorded episodes into one session: NWB on HDF5, one clock."""

from __future__ import annotations

import json
import os
import platform
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from hdmf.common import DynamicTable, VectorData, VectorIndex
from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.image import ImageSeries
from pynwb.misc import Units

import rodent
from analysis.nwb_channels import KEYPOINTS, POSE, Series, plain
from analysis.nwb_file import NewFile
from analysis.nwb_parts import JOINED, Facts, Part
from analysis.nwb_spikes import RESOLUTION, synthetic_spikes
from rodent.body import TOUCH_SENSORS
from rodent.physics import CONTROL_TIMESTEP

GAP = 50
"""Control steps (1 s) from an episode's last state to the next one's first."""
FOOTFALLS = "footfalls"
UNIT_INFO = "unit_info"
CHANNELS = "channels"
_RATE = round(1 / CONTROL_TIMESTEP)
_CHUNK = 1 << 18  # bytes, about; what reading one row costs
_PACKAGES = ("mujoco", "mujoco-warp", "dm-control", "torch", "numpy", "h5py", "pynwb", "ndx-pose")

CLOCK = (
    "One clock, in s; control steps last 0.02 s. At an episode's time stamp t_k stand the state of the simulation, the "
    "senses read from it, the activity that they led to, the hidden state after that, the value and the action a_k. "
    "Reward, actuator force and prediction error at t_k are what a_k led to, 20 ms later. qpos, qvel, act and memory "
    "have one row more an episode, the state after its last action; all other series end with the last action. A trial "
    "lasts from its first time stamp to that of its last state; the next one begins 1 s later, and nothing is recorded "
    "in between: restrict to trials."
)


@dataclass(frozen=True)
class About:
    """What a session tells of itself."""

    name: str
    """Of the policy."""
    card: str
    """The policy's, as Markdown."""
    protocol: Mapping[str, Any]
    """How the episodes came to be, as JSON."""
    remarks: Sequence[str]
    """What a reader must know, one sentence each."""


@dataclass(frozen=True)
class _Trial:
    """An episode on the session's clock."""

    part: Part
    first: int
    """Its first time stamp, in control steps."""

    @property
    def start(self) -> float:
        return self.first / _RATE

    @property
    def stop(self) -> float:
        return (self.first + self.part.facts.steps) / _RATE

    def times(self, of_states: bool) -> NDArray[np.float64]:
        """The time stamps of a series' rows, s."""
        times: NDArray[np.float64] = np.arange(self.first, self.first + self.part.facts.steps + of_states) / _RATE
        return times


def join(
    parts: Sequence[Part],
    about: About,
    output: Path,
    films: Sequence[Path] = (),
    skeleton_edges: NDArray[np.uint8] | None = None,
    spike_rate: float | None = None,
) -> None:
    """Write a session, which appears under its name when it is whole; until then it lies beside the parts.

    Arrays go from part to session an episode at a time, but for spikes, which are held in memory.

    Args:
        parts: the episodes, in the order in which they follow each other.
        about: the rest.
        output: .nwb.
        films: one an episode, or none.
        skeleton_edges: see `nwb_channels.skeleton`.
        spike_rate: add synthetic spikes with this mean rate, Hz.

    Raises:
        OSError: it could not be written; there is no session then.
    """
    trials = _on_one_clock(parts)
    nwb = _describe(about)
    series = list(dict.fromkeys(each for part in parts for each in part.series))
    pending: list[tuple[Series, list[_Trial], H5DataIO]] = []
    clocks: dict[Any, Any] = {}
    behaviour = nwb.create_processing_module("behavior", f"What the body does and feels. {CLOCK}")
    pose: list[PoseEstimationSeries] = []
    for each in series:
        mine = [trial for trial in trials if each in trial.part.series]
        rows = sum(trial.part.facts.steps + each.of_states for trial in mine)
        data = _room(rows, each)
        pending.append((each, mine, data))
        made = _time_series(each, data, _clock(each, mine, clocks))
        clocks.setdefault((each.of_states, tuple(trial.first for trial in mine)), made)
        if each.is_layer:
            nwb.add_acquisition(made)
        elif each.name.startswith(POSE):
            pose.append(made)
        else:
            behaviour.add(made)
    nwb.add_acquisition(_unit_info([each for each in series if each.is_layer]))
    behaviour.add(_channels([each for each in series if each.columns and not each.is_layer]))
    _add_pose(nwb, behaviour, pose, skeleton_edges)
    _add_trials(nwb, trials)
    _add_footfalls(nwb, trials)
    for trial, film in zip(trials, films, strict=bool(films)):
        nwb.add_acquisition(_film(trial, film, output))
    if spike_rate is not None:
        nwb.units = _units(trials, [each for each in series if each.is_layer], spike_rate)
    _write(nwb, pending, parts[0].path.with_name(JOINED), output)


def _on_one_clock(parts: Sequence[Part]) -> list[_Trial]:
    trials, first = [], 0
    for part in parts:
        trials.append(_Trial(part, first))
        first += part.facts.steps + GAP
    return trials


def _describe(about: About) -> NWBFile:
    """The session without its data."""
    now = datetime.now().astimezone()
    nwb = NWBFile(
        session_description=" ".join(["Simulated: a virtual rodent's network and body.", *about.remarks]),
        identifier=str(uuid.uuid4()),
        session_start_time=now,
        session_id=plain(about.name),
        experimenter=["Rodent, Virtual"],
        institution="none (simulated)",
        lab="virtual-rodent",
        experiment_description="A neural network moves dm_control's rat in MuJoCo and is recorded like a brain.",
        keywords=["simulation", "virtual rodent", "MuJoCo", "artificial neural network"],
        notes=about.card,
        protocol=json.dumps(about.protocol),
        data_collection=CLOCK,
        was_generated_by=[
            ["virtual-rodent", rodent.__version__],
            ["python", platform.python_version()],
            *([name, version(name)] for name in _PACKAGES),
        ],
    )
    nwb.subject = Subject(
        subject_id=plain(about.name),
        species="Rattus norvegicus",
        sex="U",
        age="P0D",
        description="Simulated, no animal: dm_control's rodent model in MuJoCo, moved by a neural network. It has no "
        "age; P0D stands for that.",
    )
    return nwb


def _room(rows: int, series: Series) -> H5DataIO:
    """An empty dataset, compressed, in chunks along time."""
    width = int(np.prod(series.row, dtype=int)) * np.dtype(series.dtype).itemsize
    chunk = max(1, min(rows, _CHUNK // width))
    return H5DataIO(
        shape=(rows, *series.row),
        dtype=np.dtype(series.dtype),
        chunks=(chunk, *series.row),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )


def _clock(series: Series, trials: Sequence[_Trial], clocks: Mapping[Any, Any]) -> dict[str, Any]:
    """The time stamps of a series: of another one that has the same, or a rate where nothing interrupts them."""
    if len(trials) == 1:
        return {"starting_time": trials[0].start, "rate": float(_RATE)}
    known = clocks.get((series.of_states, tuple(trial.first for trial in trials)))
    if known is not None:
        return {"timestamps": known}
    times = np.concatenate([trial.times(series.of_states) for trial in trials])
    return {"timestamps": H5DataIO(times, compression="gzip", compression_opts=1, shuffle=True)}


def _time_series(series: Series, data: H5DataIO, clock: Mapping[str, Any]) -> Any:
    if not series.name.startswith(POSE):
        return TimeSeries(name=series.name, data=data, unit=series.unit, description=series.description, **clock)
    return PoseEstimationSeries(
        name=series.name.removeprefix(POSE),
        data=data,
        unit=series.unit,
        description=series.description,
        reference_frame="The world's origin; z points up.",
        **clock,
    )


def _unit_info(layers: Sequence[Series]) -> DynamicTable:
    """Which layer each unit is of, which column of it, and what kind of activity is recorded."""
    columns = {
        "layer": ("The unit's layer, which is the name of its time series.", [(each.name,) for each in layers]),
        "index": ("The unit's column in it.", [range(len(each.columns)) for each in layers]),
        "kind": ("What is recorded: activation, hidden state, ...", [(each.kind,) for each in layers]),
    }
    sizes = [len(each.columns) for each in layers]
    return _table(UNIT_INFO, "Every recorded unit of the network.", columns, sizes)


def _channels(series: Sequence[Series]) -> DynamicTable:
    columns = {
        "series": ("The time series.", [(each.name,) for each in series]),
        "index": ("The column in it.", [range(len(each.columns)) for each in series]),
        "channel": ("What the column is called.", [each.columns for each in series]),
        "unit": ("Its unit.", [(each.unit,) for each in series]),
    }
    return _table(CHANNELS, "What each column of a time series is.", columns, [len(each.columns) for each in series])


def _table(name: str, description: str, columns: Mapping[str, Any], sizes: Sequence[int]) -> DynamicTable:
    """A table of columns that are given block by block; a block of one value stands for as many as its size."""
    data = []
    for column, (told, blocks) in columns.items():
        values = [
            v
            for block, size in zip(blocks, sizes, strict=True)
            for v in (block if len(block) == size else [*block] * size)
        ]
        data.append(VectorData(name=column, description=told, data=values))
    return DynamicTable(name=name, description=description, columns=data)


def _add_pose(nwb: NWBFile, behaviour: Any, pose: Sequence[Any], edges: NDArray[np.uint8] | None) -> None:
    skeleton = Skeleton(name="rat", nodes=list(KEYPOINTS), edges=edges)
    behaviour.add(
        PoseEstimation(
            name="pose",
            pose_estimation_series=list(pose),
            description="Where parts of the body are, read from the simulation: exact, nothing is estimated.",
            source_software="MuJoCo",
            source_software_version=version("mujoco"),
            skeleton=skeleton,
        )
    )
    behaviour.add(Skeletons(skeletons=[skeleton]))


def _add_trials(nwb: NWBFile, trials: Sequence[_Trial]) -> None:
    told = {
        "task": "The task's name.",
        "seed": "Of the world and of the actions' noise.",
        "episode": "Which episode of the seed: the world follows from (task, seed, episode).",
        "outcome": "The cause of the end; `cut` where the recording's own limit was.",
        "return": "The sum of the task's rewards.",
    }
    for name, description in told.items():
        nwb.add_trial_column(name, description)
    facts = [trial.part.facts for trial in trials]
    for trial in trials:
        nwb.add_trial(start_time=trial.start, stop_time=trial.stop, **_row(trial.part.facts, facts))


def _row(mine: Facts, facts: Sequence[Facts]) -> dict[str, Any]:
    return {
        "task": mine.task,
        "seed": _small(mine.seed, [each.seed for each in facts]),
        "episode": _small(mine.episode, [each.episode for each in facts]),
        "outcome": mine.outcome,
        "return": mine.total,
    }


def _small(value: int, all_values: Iterable[int]) -> np.unsignedinteger[Any]:
    """In the smallest type that holds all values."""
    number: np.unsignedinteger[Any] = np.min_scalar_type(max(all_values)).type(value)
    return number


def _add_footfalls(nwb: NWBFile, trials: Sequence[_Trial]) -> None:
    """When each paw's touch sensor feels something: from the first state in which it does to the first in which not."""
    rows: list[tuple[float, float, str]] = []
    paws = [plain(name) for name in TOUCH_SENSORS]
    for trial in trials:
        touched = trial.part.read("sense.sensors_touch") > 0
        times = trial.times(of_states=True)
        found = [(times[a], times[b], paws[i]) for i in range(len(paws)) for a, b in runs(touched[:, i])]
        rows += sorted(found)
    if not rows:
        return
    starts, stops, names = zip(*rows, strict=True)
    columns = [
        VectorData(name="start_time", description="First time stamp of contact, s.", data=np.array(starts)),
        VectorData(name="stop_time", description="First time stamp without, s.", data=np.array(stops)),
        VectorData(name="paw", description="Whose touch sensor feels it.", data=list(names)),
    ]
    told = "Contacts of palms and soles above 1 mN with anything, the rat itself included, at the resolution of 20 ms."
    nwb.add_time_intervals(TimeIntervals(name=FOOTFALLS, description=told, columns=columns))


def runs(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where stretches of true begin and end: (stretches, 2), the second index is the first that is false again."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return edges.reshape(-1, 2)


def _film(trial: _Trial, film: Path, output: Path) -> ImageSeries:
    facts = trial.part.facts
    return ImageSeries(
        name=f"film.{facts.task}.{facts.episode:06d}",
        description="Drawn from the recorded states: frame k shows the trial's k-th state.",
        format="external",
        external_file=[os.path.relpath(film, output.parent)],
        unit="n.a.",
        starting_time=trial.start,
        rate=float(_RATE),
        num_samples=facts.steps + 1,
    )


def _units(trials: Sequence[_Trial], layers: Sequence[Series], rate: float) -> Units:
    """Synthetic spikes of every unit of every layer; see `synthetic_spikes`."""
    times, ends = [], []
    names: list[str] = []
    indices: list[int] = []
    before = 0
    for position, layer in enumerate(layers):
        mine = [trial for trial in trials if layer in trial.part.series]

        def activity(mine: Sequence[_Trial] = mine, name: str = layer.name) -> Iterable[tuple[float, Any]]:
            return ((trial.start, trial.part.read(name)) for trial in mine)

        seed = np.random.SeedSequence(trials[0].part.facts.seed, spawn_key=(position,))
        spikes = synthetic_spikes(activity, rate, np.random.default_rng(seed))
        times.append(spikes.times)
        ends.append(before + spikes.ends)
        before += len(spikes.times)
        names += [layer.name] * len(spikes.ends)
        indices += range(len(spikes.ends))
    spike_times = VectorData(
        name="spike_times",
        description="s",
        data=H5DataIO(np.concatenate(times), compression="gzip", compression_opts=1),
    )
    return Units(
        name="units",
        description="SYNTHETIC spikes, measured from nothing: inhomogeneous Poisson processes with the rate gain x "
        f"max(activity, 0), one gain a layer, such that its units fire at {rate:g} Hz on average.",
        resolution=RESOLUTION,
        columns=[
            spike_times,
            VectorIndex(name="spike_times_index", target=spike_times, data=np.concatenate(ends)),
            VectorData(name="layer", description="The unit's layer.", data=names),
            VectorData(name="unit_index", description="The unit's column in it.", data=indices),
        ],
    )


def _write(
    nwb: NWBFile, pending: Sequence[tuple[Series, Sequence[_Trial], H5DataIO]], temporary: Path, output: Path
) -> None:
    new = NewFile(temporary)
    try:
        with NWBHDF5IO(temporary, "w", file=new.content) as io:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # room for data is not data yet
                io.write(nwb)
            for _ in _fill(pending):
                new.check()
        new.finish(output)
    finally:
        new.abandon()


def _fill(pending: Sequence[tuple[Series, Sequence[_Trial], H5DataIO]]) -> Iterator[None]:
    """Copy the series, an episode at a time."""
    filled = [0] * len(pending)
    for part in dict.fromkeys(trial.part.path for _, trials, _ in pending for trial in trials):
        with h5py.File(part) as file:
            for i, (series, trials, data) in enumerate(pending):
                if any(trial.part.path == part for trial in trials):
                    values = file[series.name][:]
                    data.dataset[filled[i] : filled[i] + len(values)] = values
                    filled[i] += len(values)
        yield
