"""A recorded session, read lazily: nothing is loaded but what is asked for.

>>> session = Session("session.nwb")   # or "run", which is shipped           # doctest: +SKIP
>>> session.trials                                                            # doctest: +SKIP
>>> core = session.where(task="run", outcome="time_limit").layers["core.h"]   # doctest: +SKIP
>>> core.read().shape, core.pynapple(), core.xarray()                         # doctest: +SKIP
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.recorded_events import Footfalls, RecordedSpikes, Spikes
from rodent.body import PREFIX, TOUCH_SENSORS
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP

if TYPE_CHECKING:
    import pandas
    import pynapple
    import xarray

_LAYERS = "acquisition"
_BEHAVIOUR = "processing/behavior"
_POSE = "pose."
_PROTOCOL = "general/protocol"
_PAWS = tuple(name.removeprefix(PREFIX) for name in TOUCH_SENSORS)
_HALF = CONTROL_TIMESTEP / 2  # s; tells neighbouring time stamps apart
_ROUNDING = 1e-6  # steps, by which a time stamp may miss its own step


@dataclass(frozen=True)
class _Selection:
    """Which rows of the file a session shows."""

    trials: NDArray[np.intp]
    labels: NDArray[Any] | None = None
    """What the rat does in each step of each trial of the whole file, (steps,)."""
    behaviour: Any = None


class Session:
    """A session that `rodent record` made; docs/recordings.md says what it holds and how its clock is meant.

    Use it as a context manager, or `close` it.

    Args:
        path: the file, or the name of a shipped session.

    Raises:
        UsageError: it is absent, no NWB file, cut off, or holds no recorded layers.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = find_session(path)
        self._file = _open(self.path)
        try:
            self._read_tables()
        except UsageError:
            self._file.close()
            raise
        except (KeyError, OSError, ValueError) as error:
            self._file.close()
            raise UsageError(f"{path} is damaged: {str(error).splitlines()[0]}") from None

    def _read_tables(self) -> None:
        file = self._file
        if "nwb_version" not in file.attrs:
            raise UsageError(f"{self.path} is no NWB file: give a session that `rodent record` made")
        if f"{_LAYERS}/unit_info" not in file or f"{_BEHAVIOUR}/channels" not in file:
            raise UsageError(f"{self.path} holds no recorded layers: give a session that `rodent record` made")
        units, channels, trials = file[f"{_LAYERS}/unit_info"], file[f"{_BEHAVIOUR}/channels"], file["intervals/trials"]
        self._layer_names = list(dict.fromkeys(_texts(units["layer"])))
        self._kinds = dict(zip(_texts(units["layer"]), _texts(units["kind"]), strict=True))
        self._columns: dict[str, list[str]] = {}
        for series, channel in zip(_texts(channels["series"]), _texts(channels["channel"]), strict=True):
            self._columns.setdefault(series, []).append(channel)
        wanted = [
            *(f"{_LAYERS}/{name}" for name in self._layer_names),
            *(f"{_BEHAVIOUR}/{name.replace(_POSE, 'pose/')}" for name in self._columns),
            f"{_BEHAVIOUR}/pose",
            _PROTOCOL,
        ]
        if lost := [name for name in wanted if name not in file]:
            raise UsageError(f"{self.path} is damaged: it has no {lost[0]}")
        self._table = {name: trials[name][:] for name in ("start_time", "stop_time", "seed", "episode", "return")}
        self._table |= {name: np.array(_texts(trials[name])) for name in ("task", "outcome")}
        self._selection = _Selection(np.arange(len(self._table["task"])))

    @cached_property
    def trials(self) -> pandas.DataFrame:
        """One row a trial: start_time and stop_time, s, task, seed, episode, outcome, return and steps."""
        import pandas

        names = ("start_time", "stop_time", "task", "seed", "episode", "outcome", "return")
        table = {name: self._table[name] for name in names} | {"steps": self._lengths}
        return pandas.DataFrame(table).iloc[self._selection.trials]

    @property
    def layers(self) -> Mapping[str, Recorded]:
        """What each layer of the network did, by name."""
        return _Series(self, {name: f"{_LAYERS}/{name}" for name in self._layer_names}, "layer")

    @property
    def behaviour(self) -> Mapping[str, Recorded]:
        """What the body did and felt, and what the network got for it, by name; body parts are `pose.hand_L`, ..."""
        own = {name: f"{_BEHAVIOUR}/{name}" for name in _series_in(self._file[_BEHAVIOUR])}
        pose = {f"{_POSE}{name}": f"{_BEHAVIOUR}/pose/{name}" for name in _series_in(self._file[f"{_BEHAVIOUR}/pose"])}
        return _Series(self, own | pose, "series")

    @property
    def footfalls(self) -> Mapping[str, Footfalls]:
        """When each paw felt contact, by its name; one that never did has none."""
        table = self._file.get("intervals/footfalls")
        return {paw: Footfalls(self, paw, table) for paw in _PAWS}

    @property
    def spikes(self) -> Mapping[str, Spikes]:
        """Synthetic spikes of each layer's units, by its name; none of a session that was recorded without."""
        return RecordedSpikes(self, self._file.get("units"))

    @property
    def films(self) -> dict[int, Path]:
        """The film of each trial that was filmed, by the trial's index; the file itself may have gone."""
        found = {}
        for trial in self._selection.trials:
            name = f"film.{self._table['task'][trial]}.{self._table['episode'][trial]:06d}"
            if name in self._file[_LAYERS]:
                external = self._file[f"{_LAYERS}/{name}/external_file"].asstr()[0]
                found[int(trial)] = self.path.parent / external
        return found

    @property
    def skeleton(self) -> tuple[list[str], list[tuple[int, int]]]:
        """Names of the body parts of the pose, and which of them hang together, as pairs of indices into the names."""
        group = self._file[f"{_BEHAVIOUR}/Skeletons/rat"]
        edges = group["edges"][:] if "edges" in group else []
        return _texts(group["nodes"]), [(int(one), int(other)) for one, other in edges]

    @property
    def protocol(self) -> dict[str, Any]:
        """How the episodes came to be: `policy` (its description), `tasks` (parameters), seed, physics, ..."""
        protocol: dict[str, Any] = json.loads(self._file[_PROTOCOL].asstr()[()])
        return protocol

    @property
    def card(self) -> str:
        """The policy's card, Markdown."""
        return str(self._file["general/notes"].asstr()[()])

    @property
    def description(self) -> str:
        """What a reader must know, among it what was left out and why."""
        return str(self._file["session_description"].asstr()[()])

    def label(self, labels: ArrayLike) -> Session:
        """The same session with a name for what the rat does in each step, to restrict by.

        Args:
            labels: one for each step of each trial of the whole file, (steps,), of any type.

        Raises:
            UsageError: there are more or fewer labels than steps.
        """
        given = np.asarray(labels)
        if given.shape != (self._lengths.sum(),):
            raise UsageError(f"one label for each of {self._lengths.sum()} steps is needed, not {given.shape}")
        return self._with(replace(self._selection, labels=given, behaviour=None))

    def where(
        self,
        task: str | Sequence[str] | None = None,
        outcome: str | Sequence[str] | None = None,
        behaviour: Any = None,
    ) -> Session:
        """The same session with some of its trials, or of their steps, alone; it shares the open file.

        Args:
            task: tasks to keep.
            outcome: causes of the end to keep.
            behaviour: the label of the steps to keep; see `label`. An episode's last state has none.

        Raises:
            UsageError: no trial has it, or no step.
        """
        kept = self._selection.trials
        for name, wanted in (("task", task), ("outcome", outcome)):
            if wanted is not None:
                kept = self._matching(kept, name, [wanted] if isinstance(wanted, str) else list(wanted))
        selection = replace(self._selection, trials=kept)
        if behaviour is not None:
            labels = self._selection.labels
            if labels is None:
                raise UsageError("nothing says what the rat does: give labels first, with Session.label")
            if not (labels == behaviour).any():
                raise UsageError(
                    f"no step is labelled {behaviour!r}: there are {', '.join(map(str, np.unique(labels)))}"
                )
            selection = replace(selection, behaviour=behaviour)
        return self._with(selection)

    def shows(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(events,) whether the control step in which an event begins is among what the session shows.

        Args:
            times: (events,) s, each in a trial of the file or at its end. A behaviour's label is of the steps alone.
        """
        starts, kept = self._table["start_time"], self._selection
        trial = np.searchsorted(starts - _HALF, times, side="right") - 1
        shown: NDArray[np.bool_] = np.isin(trial, kept.trials)
        if kept.labels is not None and kept.behaviour is not None:
            step = np.floor((times - starts[trial]) / CONTROL_TIMESTEP + _ROUNDING).astype(np.int64)
            within = step < self._lengths[trial]
            place = np.cumsum(self._lengths)[trial] - self._lengths[trial] + np.where(within, step, 0)
            shown &= within & (kept.labels[place] == kept.behaviour)
        return shown

    def stretches(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where that which the session shows begins and ends, s: trials, or runs of a behaviour's steps in them."""
        starts, stops, kept = self._table["start_time"], self._table["stop_time"], self._selection
        if kept.labels is None or kept.behaviour is None:
            return starts[kept.trials], stops[kept.trials]
        ends, found = np.cumsum(self._lengths), []
        for trial in kept.trials:
            inside = kept.labels[ends[trial] - self._lengths[trial] : ends[trial]] == kept.behaviour
            edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]])))
            found.append(starts[trial] + CONTROL_TIMESTEP * edges.reshape(-1, 2))
        first, last = np.concatenate(found).T
        return first, last

    def close(self) -> None:
        """Close the file, for sessions that share it, too."""
        self._file.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        """Control steps of each trial of the file."""
        lengths: NDArray[np.int64] = np.rint(
            (self._table["stop_time"] - self._table["start_time"]) / CONTROL_TIMESTEP
        ).astype(np.int64)
        return lengths

    def _matching(self, kept: NDArray[np.intp], name: str, wanted: list[str]) -> NDArray[np.intp]:
        values = self._table[name][kept]
        if missing := [each for each in wanted if each not in values]:
            raise UsageError(f"no trial has {name} {missing[0]!r}: there are {', '.join(np.unique(values))}")
        matching: NDArray[np.intp] = kept[np.isin(values, wanted)]
        return matching

    def _with(self, selection: _Selection) -> Session:
        other = object.__new__(Session)
        other.__dict__ = {name: value for name, value in self.__dict__.items() if name != "trials"}
        other._selection = selection
        return other

    def _chosen(self, times: NDArray[np.float64]) -> list[tuple[int, NDArray[np.intp]]]:
        """Rows of a series with these time stamps that are shown, trial by trial; trials without any are left out."""
        offsets = np.concatenate([[0], np.cumsum(self._lengths)])
        chosen = []
        for trial in self._selection.trials:
            first = np.searchsorted(times, self._table["start_time"][trial] - _HALF)
            stop = np.searchsorted(times, self._table["stop_time"][trial] + _HALF)
            rows = np.arange(first, stop)
            if self._selection.behaviour is not None and len(rows):
                assert self._selection.labels is not None
                labels = self._selection.labels[offsets[trial] : offsets[trial + 1]]
                rows = rows[: len(labels)][labels == self._selection.behaviour]
            if len(rows):
                chosen.append((int(trial), rows))
        return chosen


class Recorded:
    """One series of a session, restricted as the session is. Arrays are read when they are asked for."""

    def __init__(self, session: Session, name: str, group: h5py.Group) -> None:
        self._session = session
        self._group = group
        self.name = name
        self.unit = str(group["data"].attrs["unit"])
        self.description = str(group.attrs["description"])
        self.kind = session._kinds.get(name, "")
        """Of a layer: activation, hidden state, cell state or mean action."""

    @property
    def columns(self) -> list[str]:
        """A name for each column; none where a row is one number."""
        shape = self._group["data"].shape
        if len(shape) == 1:
            return []
        return self._session._columns.get(self.name, [str(i) for i in range(shape[1])])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what `read` gives."""
        return (sum(len(rows) for _, rows in self._chosen), *self._group["data"].shape[1:])

    def read(self) -> NDArray[Any]:
        """The values, (rows, columns) or (rows,), one trial after the other."""
        pieces = [values for _, values in self.by_trial()]
        empty = np.empty((0, *self._group["data"].shape[1:]), self._group["data"].dtype)
        return np.concatenate(pieces) if pieces else empty

    def by_trial(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Each trial's index in the file's trials and its values; one trial in memory at a time."""
        for trial, rows in self._chosen:
            yield trial, self._at(rows)

    def of_trial(self, trial: int) -> NDArray[Any]:
        """One trial's values.

        Raises:
            UsageError: the series has none of it, or the session does not show it.
        """
        rows = dict(self._chosen).get(trial)
        if rows is None:
            raise UsageError(f"{self.name} has no values of trial {trial}")
        return self._at(rows)

    def times(self) -> NDArray[np.float64]:
        """Time stamps, s, (rows,)."""
        return self._times[self._rows]

    def trial(self) -> NDArray[np.intp]:
        """The index of each row's trial in the file's trials, (rows,)."""
        return np.repeat([trial for trial, _ in self._chosen], [len(rows) for _, rows in self._chosen]).astype(np.intp)

    def pynapple(self) -> pynapple.TsdFrame | pynapple.Tsd:
        """As pynapple's: its time support are the trials, or the stretches of the behaviour."""
        import pynapple

        starts, stops = self._support()
        support = pynapple.IntervalSet(starts, stops)
        if not self.columns:
            return pynapple.Tsd(self.times(), self.read(), time_support=support)
        return pynapple.TsdFrame(self.times(), self.read(), time_support=support, columns=self.columns)

    def xarray(self) -> xarray.DataArray:
        """As xarray's, over `time` and, of several columns, `channel`, with `trial` and `task` of each row."""
        import xarray

        trial = self.trial()
        coordinates: dict[str, Any] = {
            "time": self.times(),
            "trial": ("time", trial),
            "task": ("time", self._session._table["task"][trial]),
        }
        dimensions = ["time", "channel"] if self.columns else ["time"]
        if self.columns:
            coordinates["channel"] = self.columns
        attributes = {"units": self.unit, "description": self.description}
        return xarray.DataArray(self.read(), coordinates, dimensions, self.name, attributes)

    @cached_property
    def _times(self) -> NDArray[np.float64]:
        """Of every row of the file."""
        if "timestamps" in self._group:
            times: NDArray[np.float64] = self._group["timestamps"][:]
            return times
        start = self._group["starting_time"]
        return start[()] + np.arange(len(self._group["data"])) / start.attrs["rate"]

    @cached_property
    def _chosen(self) -> list[tuple[int, NDArray[np.intp]]]:
        return self._session._chosen(self._times)

    def _at(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        values: NDArray[Any] = self._group["data"][rows[0] : rows[-1] + 1][rows - rows[0]]
        return values

    @property
    def _rows(self) -> NDArray[np.intp]:
        return np.concatenate([rows for _, rows in self._chosen]) if self._chosen else np.zeros(0, np.intp)

    def _support(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the stretches of shown rows begin and end, s."""
        table, rows = self._session._table, self._rows
        if self._session._selection.behaviour is None:
            trials = [trial for trial, _ in self._chosen]
            return table["start_time"][trials], table["stop_time"][trials]
        breaks = np.flatnonzero((np.diff(rows) > 1) | (np.diff(self.trial()) > 0)) + 1
        firsts, lasts = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(rows)]]) - 1
        return self._times[rows[firsts]], self._times[rows[lasts]] + _HALF


class _Series(Mapping[str, Recorded]):
    """Series by name."""

    def __init__(self, session: Session, paths: Mapping[str, str], what: str) -> None:
        self._session = session
        self._paths = paths
        self._what = what

    def __getitem__(self, name: str) -> Recorded:
        if name not in self._paths:
            raise UsageError(f"no {self._what} {name!r} in {self._session.path}: there are {', '.join(self._paths)}")
        return Recorded(self._session, name, self._session._file[self._paths[name]])

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def find_session(session: Path | str) -> Path:
    """The file of a session: as it was given, or that of a shipped session of that name."""
    given = Path(session)
    return given if given.is_file() else shipped_sessions().get(str(session), given)


def shipped_sessions() -> dict[str, Path]:
    """Files of the sessions that come with this software, by name: from the wheel or from the source tree."""
    here = Path(__file__).parent
    found: dict[str, Path] = {}
    for home in (here / "shipped", here.parent / "assets" / "recordings"):
        for file in sorted(home.glob("*.nwb")):
            found.setdefault(file.stem, file)
    return found


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = str(error)
    if "truncated" in reason:
        raise UsageError(f"{path} is cut off: copy it again, or record it again")
    if "signature" in reason:
        raise UsageError(f"{path} is no NWB file: give a session that `rodent record` made")
    if not path.is_file():
        shipped = ", ".join(shipped_sessions()) or "none is installed"
        raise UsageError(
            f"no session at {path}: give one that `rodent record` made, or the name of a shipped one ({shipped})"
        )
    raise UsageError(f"cannot open {path}: {reason}")


def _series_in(group: h5py.Group) -> list[str]:
    return [name for name, each in group.items() if isinstance(each, h5py.Group) and "data" in each]


def _texts(column: h5py.Dataset) -> list[str]:
    texts: list[str] = column.asstr()[:].tolist()
    return texts
