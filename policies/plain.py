"""Dataclasses as plain data, the kind that JSON and YAML hold, and back again, strictly."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rodent.errors import UsageError


def to_plain(value: Any) -> Any:
    """What `dataclasses.asdict` gives, with tuples as lists and paths as text."""
    if isinstance(value, dict):
        return {name: to_plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def build(kind: Any, data: Any, path: str) -> Any:
    """Make an instance of a type annotation out of plain data.

    Args:
        kind: a dataclass, tuple of one type, mapping from names, Optional or other union, Literal, Path, or plain type.
            Of a tuple of texts, a text alone will do; of a union, the first type that fits.
        data: what JSON or YAML gave.
        path: where the data stands, for the error.

    Raises:
        UsageError: an unknown field, or a value of another type.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, data, path)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else _build_one_of([i for i in inner if i is not type(None)], data, path)
    if origin is dict and isinstance(data, dict):
        return {
            str(name): item if inner[1] is Any else build(inner[1], item, f"{path}.{name}")
            for name, item in data.items()
        }
    if origin is tuple and isinstance(data, list):
        return tuple(build(inner[0], item, f"{path}.{i}") for i, item in enumerate(data))
    if origin is tuple and inner[0] is str and isinstance(data, str):
        return (data,)
    if origin is typing.Literal and data in inner:
        return data
    if kind is Path and isinstance(data, str):
        return Path(data)
    if kind is float and isinstance(data, int | str) and not isinstance(data, bool):
        try:
            return float(data)  # YAML reads 3e-4 as text
        except ValueError:
            pass
    if isinstance(kind, type) and type(data) is kind:
        return data
    wanted = (
        f"one of {', '.join(map(str, inner))}" if origin is typing.Literal else getattr(kind, "__name__", str(kind))
    )
    raise UsageError(f"{path} must be {wanted}, not {data!r}")


def _build_one_of(kinds: list[Any], data: Any, path: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return build(kind, data, path)
        except UsageError:
            continue
    return build(kinds[-1], data, path)


def _build_dataclass(kind: Any, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise UsageError(f"{path or 'the configuration'} must be a mapping of fields to values, not {data!r}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for name in data:
        if name not in names:
            near = get_close_matches(str(name), names, 1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise UsageError(f"unknown field {f'{path}.{name}'.lstrip('.')}: {advice}")
    return kind(**{name: build(hints[name], value, f"{path}.{name}".lstrip(".")) for name, value in data.items()})
