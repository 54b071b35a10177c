"""The folder of a training run: who may write into it, and where things lie."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from policies.config import CONFIG_FILE
from policies.metrics import METRICS_FILE
from rodent.errors import UsageError

CHECKPOINTS = "checkpoints"
POLICY = "policy"
NOT_FINITE = "not_finite.safetensors"  # the batch at which the run's numbers were lost
_LOCK = ".lock"  # held by the process that trains; it says nothing when nobody holds it
_OURS = (CONFIG_FILE, METRICS_FILE, CHECKPOINTS, POLICY, NOT_FINITE)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder; it is made if need be. Dying lets go of it, too.

    Raises:
        UsageError: another process trains in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise _unusable(folder, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another process trains in {folder}: wait for it or stop it, or give another --run-dir"
            ) from None
        except OSError:  # a file system without locks: then nobody is kept out
            pass
        yield


def claim(folder: Path, several_seeds: bool, resume: bool, overwrite: bool) -> None:
    """Make a run folder, or empty it of an old run.

    Args:
        folder: of the run; with several seeds, the folder of their folders.
        several_seeds: whether that is so.
        resume: a run that is there goes on.
        overwrite: a run that is there is deleted.

    Raises:
        UsageError: it holds a run that the caller neither resumes nor overwrites, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _holds_run(folder) and not resume:
            if not overwrite:
                raise UsageError(
                    f"{folder} holds a run: go on with --resume, delete it with --overwrite, or give another --run-dir"
                )
            _delete_run(folder)
        if several_seeds and (folder / CHECKPOINTS).exists():
            raise UsageError(f"{folder} holds a run of one seed: give another --run-dir for several")
        if not several_seeds and any(folder.glob("seed-*")):
            raise UsageError(
                f"{folder} holds runs of several seeds: resume it with all its --seeds, or name a seed-N folder"
            )
    except OSError as error:
        raise _unusable(folder, error) from None


def seed_folders(folder: Path) -> list[Path]:
    """The folders of the runs below a run folder: its seeds', or itself."""
    return sorted(folder.glob("seed-*")) or [folder]


def _unusable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot use {folder} as run folder: {error.strerror}; give another --run-dir")


def _holds_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in _OURS) or any(folder.glob("seed-*"))


def _delete_run(folder: Path) -> None:
    # Only what a run writes: the folder may be anything that a hasty --run-dir names.
    for path in [*(folder / name for name in _OURS), *folder.glob("seed-*"), *folder.glob("events.out.tfevents.*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
