"""What every analysis asks of its arrays, and why a unit or a recording cannot be estimated."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rodent.errors import UsageError

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def matrix(values: ArrayLike, name: str) -> Array:
    """(steps, columns) of floats; a vector becomes one column."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise UsageError(f"{name} has shape {array.shape}; give (steps, columns), neither of them 0")
    return array


def codes(labels: ArrayLike, steps: int, name: str) -> Labels:
    """(steps,) labels of any kind as 0, 1, ... in the order of their sorted values."""
    array = np.asarray(labels)
    if array.shape != (steps,):
        raise UsageError(f"{name} has shape {array.shape}; give one label a step, ({steps},)")
    return renumbered(array)


def renumbered(labels: NDArray) -> Labels:
    """Labels as 0, 1, ... in the order of their sorted values, as those of some of the steps are anew."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def task_codes(tasks: ArrayLike | None, steps: int) -> Labels:
    """(steps,) labels of tasks as `codes`; all 0 without any, which stands for one task."""
    return np.zeros(steps, dtype=np.int64) if tasks is None else codes(tasks, steps, "tasks")


def same_length(**arrays: NDArray) -> int:
    """The number of steps that all arrays share."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"arrays differ in length, {lengths}; give one row a step in each")
    return next(iter(lengths.values()))


def column_reasons(values: Array, among: NDArray[np.bool_] | None = None) -> tuple[str, ...]:
    """Why a column of (steps, columns) cannot be estimated, or not among some of the steps; empty where it can."""
    if among is not None and not among.all():
        pairs = zip(column_reasons(values), column_reasons(values[among]), strict=True)
        return tuple(reason or own for reason, own in pairs)
    finite = np.asarray(np.isfinite(values).all(axis=0))
    low, high = values.min(axis=0), values.max(axis=0)
    with np.errstate(invalid="ignore"):
        flat = np.asarray(high - low <= 1e-12 * np.maximum(np.abs(low), np.abs(high)))  # one step is constant, too
    return tuple(
        "NaN or infinite" if not known else "constant" if same else "" for known, same in zip(finite, flat, strict=True)
    )


def rank(values: Array) -> int:
    """Of (steps, columns), from the columns' products: what is below 1e-7 or so of the greatest direction is none."""
    return int(np.linalg.matrix_rank(values.T @ values, hermitian=True))


def first_reason(values: Array, at_least: int = 2) -> str:
    """Why an analysis of all columns together cannot be done; empty where it can."""
    if not np.isfinite(values).all():
        return "NaN or infinite values"
    if len(values) < at_least:
        return f"{len(values)} samples; needs at least {at_least}"
    if not (values != values[0]).any():
        return "constant"
    return ""
