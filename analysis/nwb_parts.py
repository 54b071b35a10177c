"""Episodes as files of their own, each written piece by piece and there only when it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from analysis.nwb_channels import Series, Values
from analysis.nwb_file import NewFile
from policies.locks import lock
from policies.storage import write_atomically
from rodent.errors import UsageError

PIECE = 128
"""Control steps that are held in memory of each episode that is played."""
JOINED = "joined.nwb"
"""The session among its parts, until it is whole."""


@dataclass(frozen=True)
class Facts:
    """What is known of an episode once it is over."""

    task: str
    parameters: dict[str, Any]
    """Of the task."""
    seed: int
    episode: int
    """Which episode of the seed: the world follows from (task, seed, episode)."""
    steps: int
    outcome: str
    """The cause of its end, "cut" where the recording's own limit was."""
    total: float
    """The return: the sum of the task's rewards."""


@dataclass(frozen=True)
class Part:
    """A whole episode in a file."""

    path: Path
    facts: Facts
    series: tuple[Series, ...]

    def read(self, name: str) -> NDArray[Any]:
        """A series."""
        with h5py.File(self.path) as file:
            values: NDArray[Any] = file[name][:]
        return values


class Parts:
    """The folder in which a recording's episodes gather until they are joined.

    Args:
        output: the recording.
        recipe: all that the episodes depend on, beside their task and index.

    Raises:
        UsageError: the folder cannot be made, another process records into it, or it holds episodes of another recipe.
    """

    def __init__(self, output: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = output.with_name(f".{output.name}.parts")
        text = json.dumps(recipe, sort_keys=True)
        known = self.folder / "recipe.json"
        try:
            self.folder.mkdir(exist_ok=True)
            self._held = lock(self.folder)
            for leftover in (*self.folder.glob("*.tmp"), self.folder / JOINED):  # of a recording that was killed
                leftover.unlink(missing_ok=True)
            if known.exists() and known.read_text() != text:
                self.close()
                raise UsageError(
                    f"{self.folder} holds episodes of an interrupted recording by another policy, seed, task, "
                    "physics or renderer: finish that one, remove the folder, or give another -o"
                )
            write_atomically(known, text)
        except BlockingIOError:
            raise UsageError(f"another process records {output}: wait for it or stop it, or give another -o") from None
        except OSError as error:
            raise UsageError(f"cannot record to {output}: {error.strerror}") from None

    def close(self) -> None:
        """Let other processes record into the folder."""
        self._held.close()

    def path(self, task: str, episode: int) -> Path:
        """Where an episode lies, or will."""
        return self.folder / f"{task}-{episode:06d}.h5"

    def find(self, task: str, episode: int) -> Part | None:
        """An episode that is whole."""
        path = self.path(task, episode)
        if not path.exists():
            return None
        with h5py.File(path) as file:
            facts = Facts(**json.loads(file.attrs["facts"]))
            series = tuple(
                Series(**{**described, "columns": tuple(described["columns"])})
                for described in json.loads(file.attrs["series"])
            )
        return Part(path, facts, series)

    def remove(self, parts: Sequence[Part]) -> None:
        """Delete what was joined, and the folder if nothing else is in it."""
        for part in parts:
            part.path.unlink(missing_ok=True)
        if not any(self.folder.glob("*.h5")):
            for own in (self.folder / "recipe.json", Path(self._held.name)):
                own.unlink(missing_ok=True)
            with suppress(OSError):  # something of someone else's
                self.folder.rmdir()


class PartWriters:
    """Episodes that are being played at once, one an environment, `PIECE` steps of each in memory.

    Args:
        series: what is recorded step by step.
        late: what is known only when an episode is over.
        envs: how many environments.
    """

    def __init__(self, series: Sequence[Series], late: Sequence[Series], envs: int) -> None:
        self._series = tuple(series)
        self._late = tuple(late)
        self._described = json.dumps([asdict(each) for each in (*series, *late)])
        self._rows = {each.name: np.empty((envs, PIECE, *each.row), each.dtype) for each in series}
        self._at = np.zeros(envs, dtype=np.int64)
        self._files: dict[int, tuple[NewFile, Path]] = {}

    def begin(self, env: int, path: Path) -> None:
        """Let an environment's next rows be an episode's."""
        file = NewFile(path.with_suffix(".tmp"))
        self._files[env] = (file, path)
        self._at[env] = 0
        for each in self._series:
            file.content.create_dataset(
                each.name, (0, *each.row), each.dtype, maxshape=(None, *each.row), chunks=(PIECE, *each.row)
            )

    @property
    def running(self) -> NDArray[np.intp]:
        """Environments that have an episode."""
        return np.array(sorted(self._files), dtype=np.intp)

    def put(self, values: Values) -> None:
        """Write values (envs, ...) of some series into the present row of each episode."""
        ids = self.running
        for name, given in values.items():
            self._rows[name][ids, self._at[ids]] = given[ids].reshape(len(ids), *self._rows[name].shape[2:])

    def advance(self) -> None:
        """Go on to the next row.

        Raises:
            OSError: what there was to write could not be written.
        """
        self._at += 1
        for env in self.running:
            if self._at[env] == PIECE:
                for each in self._series:
                    self._append(env, each.name, self._rows[each.name][env])
                self._at[env] = 0
                self._files[env][0].check()

    def finish(self, env: int, facts: Facts, late: Values) -> None:
        """Close an episode whose present row holds the last state alone, and let it appear under its name.

        Args:
            env: whose.
            facts: about it.
            late: the series that are known only now, (steps, ...).

        Raises:
            OSError: it could not be written.
        """
        file, path = self._files[env]
        last = int(self._at[env])
        for each in self._series:
            self._append(env, each.name, self._rows[each.name][env, : last + each.of_states])
        for each in self._late:
            file.content.create_dataset(each.name, data=late[each.name].astype(each.dtype))
        file.content.attrs["facts"] = json.dumps(asdict(facts))
        file.content.attrs["series"] = self._described
        del self._files[env]
        file.finish(path)

    def so_far(self, env: int, name: str) -> NDArray[Any]:
        """All rows of an episode's series but for the present one."""
        file, _ = self._files[env]
        return np.concatenate([file.content[name][:], self._rows[name][env, : self._at[env]]])

    def close(self) -> None:
        """Discard episodes that are not finished."""
        for file, _ in self._files.values():
            file.abandon()
        self._files.clear()

    def _append(self, env: int, name: str, rows: NDArray[Any]) -> None:
        dataset = self._files[env][0].content[name]
        before = len(dataset)
        dataset.resize(before + len(rows), axis=0)
        dataset[before:] = rows
