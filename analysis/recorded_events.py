"""What a session holds as events and not as series: footfalls and synthetic spikes, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from rodent.errors import UsageError

if TYPE_CHECKING:
    import pynapple

Times = NDArray[np.float64]


class Shown(Protocol):
    """What events must know of the session that they are read from."""

    path: Path

    def shows(self, times: Times) -> NDArray[np.bool_]:
        """(events,) whether the session shows the control step in which an event begins."""

    def stretches(self) -> tuple[Times, Times]:
        """Where that which it shows begins and ends, s."""


class Footfalls:
    """When a paw felt contact, restricted as the session is: to those that begin in what it shows.

    Args:
        session: it.
        paw: as the touch sense names it.
        table: of all paws; None of a session in which none ever touched anything.
    """

    def __init__(self, session: Shown, paw: str, table: h5py.Group | None) -> None:
        self._session = session
        self._table = table
        self.paw = paw

    def read(self) -> Times:
        """(footfalls, 2) first time stamp of contact and first one without, s."""
        if self._table is None:
            return np.empty((0, 2))
        mine = self._table["paw"].asstr()[:] == self.paw
        times: Times = np.stack([self._table[name][:][mine] for name in ("start_time", "stop_time")], axis=1)
        return times[self._session.shows(times[:, 0])]

    def pynapple(self) -> pynapple.IntervalSet:
        """As pynapple's."""
        import pynapple

        return pynapple.IntervalSet(*self.read().T)


class Spikes:
    """Synthetic spikes of a layer's units, restricted as the session is. No neuron was measured.

    Args:
        session: it.
        layer: its name.
        units: the file's table.
        rows: (units,) of the layer in the table, by the unit's index in the layer.
    """

    def __init__(self, session: Shown, layer: str, units: h5py.Group, rows: NDArray[np.int64]) -> None:
        self._session = session
        self._units = units
        self._rows = rows
        self.layer = layer

    def __len__(self) -> int:
        """How many units the layer has."""
        return len(self._rows)

    def of_unit(self, unit: int) -> Times:
        """(spikes,) times of a unit, s.

        Raises:
            UsageError: the layer has no such unit.
        """
        if not 0 <= unit < len(self):
            raise UsageError(f"{self.layer} has no unit {unit}: there are 0 to {len(self) - 1}")
        row, ends = self._rows[unit], self._units["spike_times_index"]
        times: Times = self._units["spike_times"][int(ends[row - 1]) if row else 0 : int(ends[row])]
        return times[self._session.shows(times)]

    def pynapple(self) -> pynapple.TsGroup:
        """As pynapple's, a unit a key: its time support are the trials, or the stretches of the behaviour."""
        import pynapple

        support = pynapple.IntervalSet(*self._session.stretches())
        spikes = {unit: pynapple.Ts(self.of_unit(unit), time_support=support) for unit in range(len(self))}
        return pynapple.TsGroup(spikes, time_support=support)


class RecordedSpikes(Mapping[str, Spikes]):
    """Synthetic spikes by layer; of a session that was recorded without, none.

    Args:
        session: it.
        units: the file's table, None where there is none.
    """

    def __init__(self, session: Shown, units: h5py.Group | None) -> None:
        self._session = session
        self._units = units
        self._layers = np.array([] if units is None else units["layer"].asstr()[:], dtype=str)

    def __getitem__(self, layer: str) -> Spikes:
        rows = np.flatnonzero(self._layers == layer)
        if self._units is None:
            raise UsageError(f"{self._session.path} holds no spikes: record it with --spikes")
        if not len(rows):
            raise UsageError(f"no spikes of {layer!r} in {self._session.path}: there are those of {', '.join(self)}")
        return Spikes(self._session, layer, self._units, rows[np.argsort(self._units["unit_index"][:][rows])])

    def __contains__(self, layer: object) -> bool:
        return layer in set(self)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._layers.tolist()))

    def __len__(self) -> int:
        return len(set(self))
