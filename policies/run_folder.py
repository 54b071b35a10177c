"""The folder of a training run: who may write into it, and where things lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from policies.config import CONFIG_FILE
from policies.locks import lock
from policies.metrics import METRICS_FILE
from policies.storage import explain_disk_errors
from rodent.errors import UsageError

CHECKPOINTS = "checkpoints"
POLICY = "policy"
NOT_FINITE = "not_finite.safetensors"  # the batch at which the run's numbers were lost
_ASIDE = ".overwritten"  # what was here, until another run has begun in its place
_EVENTS = "events.out.tfevents.*"
_OURS = (CONFIG_FILE, METRICS_FILE, CHECKPOINTS, POLICY, NOT_FINITE)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder; it is made if need be. Dying lets go of it, too.

    Raises:
        UsageError: another process trains in it, it cannot be made, or it would be a seed's in the folder of a run,
            which would be taken for that run by some and for its seeds by others.
    """
    if _is_of_a_seed(folder) and (folder.parent / CHECKPOINTS).exists():
        raise UsageError(
            f"{folder.parent} holds a run of its own, in which {folder.name} has no place: move that away, or give "
            "another --run-dir"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = lock(folder)
    except BlockingIOError:
        raise UsageError(
            f"another process trains in {folder}: wait for it or stop it, or give another --run-dir"
        ) from None
    except OSError as error:
        raise _unusable(folder, error) from None
    with held:
        yield


@contextmanager
def claim(folder: Path, several_seeds: bool, resume: bool, overwrite: bool) -> Iterator[None]:
    """Make a run folder, or put the run that it holds aside, and back where what is done in this context fails.

    Leaving the context without an error deletes the old run.

    Args:
        folder: of the run; with several seeds, the folder of their folders.
        several_seeds: whether that is so.
        resume: a run that is there goes on.
        overwrite: a run that is there is deleted.

    Raises:
        UsageError: it holds a run that the caller neither resumes nor overwrites, or that has nothing to go on from, or
            it cannot be made.
    """
    aside = folder / _ASIDE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _parts(folder):  # a process may have been killed before another run had begun
            _put_back(folder)
        if _parts(folder) and not resume:
            if not overwrite:
                raise UsageError(
                    f"{folder} holds a run: go on with --resume, delete it with --overwrite, or give another --run-dir"
                )
            _move(folder, aside)
        _check_seeds(folder, several_seeds)
        for run in seed_folders(folder) if resume else []:
            _check_resumable(run)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        yield
    except BaseException:
        if not resume:
            _delete(_parts(folder))
            _put_back(folder)
        raise
    if aside.exists():
        shutil.rmtree(aside)


def disk_errors(folder: Path) -> AbstractContextManager[None]:
    """Around writing to a run folder; see `explain_disk_errors`."""
    return explain_disk_errors(f"write to {folder}", "go on with --resume")


def seed_folders(folder: Path) -> list[Path]:
    """The folders of the runs below a run folder: its seeds', or itself."""
    return _of_seeds(folder) or [folder]


def _of_seeds(folder: Path) -> list[Path]:
    """Sub-folders of single seeds, in the order of their numbers."""
    found = [path for path in folder.glob("seed-*") if _is_of_a_seed(path) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def _is_of_a_seed(folder: Path) -> bool:
    return folder.name.startswith("seed-") and folder.name[5:].isdecimal()


def _unusable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot use {folder} as run folder: {error.strerror}; give another --run-dir")


def _check_seeds(folder: Path, several: bool) -> None:
    if several and (folder / CHECKPOINTS).exists():
        raise UsageError(f"{folder} holds a run of one seed: give another --run-dir for several")
    if not several and _of_seeds(folder):
        raise UsageError(
            f"{folder} holds runs of several seeds: resume it with all its --seeds, or name a seed-N folder"
        )


def _check_resumable(folder: Path) -> None:
    """A policy is written with each checkpoint, and would be replaced by a run that begins anew."""
    if (folder / POLICY).exists() and not any((folder / CHECKPOINTS).glob("*")):
        raise UsageError(
            f"{folder} holds a policy and no checkpoint to go on from: begin with it by --init-from {folder} and "
            "another --run-dir, or delete it with --overwrite"
        )


def _parts(folder: Path) -> list[Path]:
    """What a run wrote. The folder may be anything that a hasty --run-dir names, and may hold other things."""
    own = [path for name in _OURS if (path := folder / name).exists()]
    return [*own, *_of_seeds(folder)]


def _move(source: Path, target: Path) -> None:
    """Move a run to a folder."""
    target.mkdir(exist_ok=True)
    for path in [*_parts(source), *source.glob(_EVENTS)]:
        path.rename(target / path.name)


def _put_back(folder: Path) -> None:
    """Put back the run that was put aside, if one was."""
    if (aside := folder / _ASIDE).exists():
        _move(aside, folder)
        shutil.rmtree(aside)


def _delete(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
