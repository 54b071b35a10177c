"""Folders that one process at a time writes into."""

from __future__ import annotations

import fcntl
from io import TextIOWrapper
from pathlib import Path

_LOCK = ".lock"  # held by the process that writes; it says nothing when nobody holds it


def lock(folder: Path) -> TextIOWrapper:
    """Keep other processes out of a folder until what is returned is closed; dying lets go of it, too.

    On a file system without locks nobody is kept out.

    Raises:
        BlockingIOError: another process is in there.
        OSError: the folder cannot be written to.
    """
    held = (folder / _LOCK).open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise
    except OSError:  # no locks here
        pass
    return held
