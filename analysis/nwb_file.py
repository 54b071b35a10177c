"""An HDF5 file in the making, whose disk may become full."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import h5py


class NewFile:
    """An HDF5 file that is being written under a temporary name, and appears under its own when it is whole.

    The HDF5 library does not survive a write that fails: what it could not write it tries again as the process ends,
    which crashes it. So writes that fail are kept from it, and `check` and `finish` tell of them.

    Attributes:
        content: to write into.

    Args:
        temporary: where it is written.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._disk = _Disk(temporary, "w+")
        self.content = h5py.File(self._disk, "w")

    def check(self) -> None:
        """Raise the OSError of the first write that failed, if one did."""
        if self._disk.failure is not None:
            raise self._disk.failure

    def finish(self, path: Path) -> None:
        """Close the file, whose content may be closed already, and let it appear under its name.

        Raises:
            OSError: a write failed, now or before; there is no file then.
        """
        try:
            self.content.close()
            self.check()
            os.fsync(self._disk.fileno())
            self._temporary.replace(path)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file and delete it, unless it has got its name."""
        self.content.close()
        self._disk.close()
        self._temporary.unlink(missing_ok=True)


class _Disk(io.FileIO):
    """A file that takes everything, and remembers what it could not write."""

    failure: OSError | None = None

    def __repr__(self) -> str:
        """Its path, which h5py takes for the name of the file, and pynwb compares."""
        return str(self.name)

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.failure is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.failure is None:
                super().truncate(size)
        except OSError as error:
            self.failure = error
        return self.tell() if size is None else size
