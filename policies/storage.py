"""Files that are whole or absent, and tensors that are verified when read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from rodent.errors import UsageError

Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")


def below(prefix: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """The arrays, or tensors, whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


class DamagedFileError(UsageError):
    """A file is truncated, altered, or not of the expected kind."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that at any moment, even of a power cut, the old or the new one is there, whole.

    Raises:
        OSError: it could not be written (the disk is full, say); the old file is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def explain_disk_errors(doing: str, then: str) -> Iterator[None]:
    """Turn what goes wrong while files are written into one clear line.

    Args:
        doing: what cannot be done then, in words, as in "write to runs/first".
        then: what is to be done when there is room, as in "go on with --resume".

    Raises:
        UsageError: the system refuses: no room, no right, or the like.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {doing}: {error.strerror or error}; make room and {then}") from None


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of writes that were killed."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Arrays, facts: dict[str, Any]) -> None:
    """Write arrays and a JSON-compatible dict as one safetensors file that carries its own SHA-256, atomically.

    Raises:
        OSError: see `write_atomically`.
    """
    tensors = {name: np.ascontiguousarray(tensor).reshape(np.shape(tensor)) for name, tensor in tensors.items()}
    text = json.dumps(facts)
    header = {"facts": text, "sha256": _digest(tensors, text)}
    write_atomically(path, safetensors.numpy.save(tensors, metadata=header))


def read_tensors(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The inverse of `write_tensors`. Nothing is unpickled.

    Raises:
        DamagedFileError: the file is absent, unreadable, truncated or altered.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        facts = json.loads(header["facts"])
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is missing") from None
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged or no file of ours ({_first_line(error)})") from None
    if not isinstance(facts, dict) or header.get("sha256") != _digest(tensors, header["facts"]):
        raise DamagedFileError(f"{path} is damaged: its content does not match its checksum")
    return tensors, facts


def _digest(tensors: Arrays, text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _sync_folder(folder: Path) -> None:
    # So that the rename itself survives a power cut. Windows cannot open folders, and needs no such call.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
