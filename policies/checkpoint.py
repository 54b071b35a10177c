"""Checkpoints of a run: written whole or not at all, verified when read, the newest few kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policies.storage import Arrays, DamagedFileError, below, read_tensors, remove_leftovers, write_tensors
from rodent.errors import UsageError

_FORMAT = 1


class CheckpointError(UsageError):
    """A checkpoint could not be written, or none can be read."""


class Checkpoints:
    """The folder of a run's checkpoints, one verified safetensors file each.

    Args:
        folder: made if need be.
        keep: how many to keep.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def files(self) -> list[Path]:
        """All checkpoints, the oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def write(self, steps: int, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Write one and drop the oldest beyond `keep`.

        Args:
            steps: environment steps so far.
            arrays: numbers and texts (numpy strings).
            facts: whatever JSON can hold.

        Raises:
            CheckpointError: the disk is full, say; what was there stays.
        """
        texts = {name: array.tolist() for name, array in arrays.items() if array.dtype.kind == "U"}
        numbers = {name: array for name, array in arrays.items() if name not in texts}
        path = self.folder / f"step-{steps:012d}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.folder)
            write_tensors(path, numbers, {"format": _FORMAT, "texts": texts, "facts": facts})
            for old in self.files()[: -self.keep]:
                old.unlink()
        except OSError as error:
            good = f"the last good one is {files[-1].name}" if (files := self.files()) else "there is none yet"
            raise CheckpointError(
                f"cannot write the checkpoint {path}: {error.strerror or error}; {good}; "
                "make room and go on with --resume"
            ) from None

    def read(self, path: Path) -> tuple[Arrays, dict[str, Any]]:
        """The arrays and facts of one of the files.

        Raises:
            DamagedFileError: it is damaged, or of another format.
        """
        arrays, content = read_tensors(path)
        if content.get("format") != _FORMAT:
            raise DamagedFileError(f"{path} has format {content.get('format')!r}, not {_FORMAT}")
        return arrays | {name: np.array(text) for name, text in content["texts"].items()}, content["facts"]

    def read_newest(self) -> tuple[Arrays, dict[str, Any]] | None:
        """The arrays and facts of the newest good checkpoint; None if there is no checkpoint at all.

        A damaged one is said so on standard error and set aside under the suffix `.damaged`.

        Raises:
            CheckpointError: there are some, and all are damaged.
        """
        files = self.files()
        damages: list[str] = []
        for path in reversed(files):
            try:
                arrays, facts = self.read(path)
            except DamagedFileError as error:
                damages.append(str(error))
                path.rename(path.with_suffix(".safetensors.damaged"))
                continue
            for damage in damages:
                print(f"rodent: {damage}; falling back to the checkpoint before it", file=sys.stderr)
            return arrays, facts
        if files or any(self.folder.glob("*.damaged")):
            raise CheckpointError(f"all checkpoints in {self.folder} are damaged: start anew with --overwrite")
        return None


def joined(groups: Mapping[str, Arrays]) -> Arrays:
    """Groups of arrays as those of one file, `group/name` each; `below` is the inverse, group by group."""
    return {f"{name}/{key}": array for name, arrays in groups.items() for key, array in arrays.items()}


def of_rank(name: str, rank: int) -> str:
    """What the group of a rank is called, of which each rank has its own; the first one's name is the plain one."""
    return f"{name}.{rank}" if rank else name


def for_rank(arrays: Arrays, name: str, rank: int) -> Arrays:
    """A file's arrays as one rank needs them: what is common, and its own group under the plain name."""
    common = {key: array for key, array in arrays.items() if not key.startswith((f"{name}/", f"{name}."))}
    return common | joined({name: below(f"{of_rank(name, rank)}/", arrays)})
