"""Surrogates of greatest entropy with a tensor's means and its covariances over each axis (Elsayed & Cunningham 2017).

Whatever a population shows because its responses are smooth over time, correlated over units and alike over
conditions, these surrogates show, too. What they do not show is structure of the population itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from analysis.inputs import Array
from rodent.errors import UsageError

_TINY = 1e-9  # of the greatest eigenvalue: directions with less variance have none
_ITERATIONS = 500
_TOLERANCE = 1e-6  # of each eigenvalue


@dataclass(frozen=True)
class MaximumEntropy:
    """A normal distribution over tensors (conditions, steps, units).

    Attributes:
        mean: (conditions, steps, units), the sum of the means of each condition, of each step and of each unit.
        bases: of each axis, (length, directions) orthonormal eigenvectors of its covariance.
        spread: (directions of each axis) standard deviations of the tensor in these directions, which are independent.
    """

    mean: Array
    bases: tuple[Array, ...]
    spread: Array

    @classmethod
    def of(cls, states: ArrayLike) -> MaximumEntropy:
        """With the means and the covariances over conditions, steps and units of the given ones.

        The entropy is greatest where the variance of each product of eigenvectors is the inverse of a sum of one
        Lagrange multiplier for each of them; those follow from the eigenvalues by a convex problem.

        Args:
            states: (conditions, steps, units).

        Raises:
            UsageError: where the shape is another, or the states are not finite, or nothing but their means.
        """
        array = np.asarray(states, dtype=np.float64)
        if array.ndim != 3 or not np.isfinite(array).all():
            raise UsageError(f"states of shape {array.shape}; give (conditions, steps, units), all of them finite")
        mean = _first_order(array)
        rest = array - mean
        total = np.square(rest).sum()
        if total <= 1e-20 * max(np.square(array).sum(), np.finfo(float).tiny):
            raise UsageError("states are nothing but their means; give some that vary otherwise")
        values, bases = zip(*(_eigen(_unfolded(rest, axis)) for axis in range(3)), strict=True)
        return cls(mean, bases, np.sqrt(total * _variances(values)))

    def draw(self, rng: np.random.Generator) -> Array:
        """(conditions, steps, units) of one surrogate."""
        draw = rng.standard_normal(self.spread.shape) * self.spread
        for axis in (2, 0, 1):
            draw = np.moveaxis(np.tensordot(self.bases[axis], draw, (1, axis)), 0, axis)
        return self.mean + draw

    def turned(self) -> tuple[MaximumEntropy, Array]:
        """The same distribution over the directions of the conditions, and the part of the mean outside of these.

        Of many conditions few directions vary. Whatever is summed over conditions and quadratic in the states is the
        same of a surrogate as of the turned one, drawn from the same numbers, and of the part outside, added up.

        Returns:
            A distribution over (directions, steps, units), and (conditions, steps, units) of what never varies.
        """
        basis = self.bases[0]
        mean = np.tensordot(basis, self.mean, (0, 0))
        turned = replace(self, mean=mean, bases=(np.eye(basis.shape[1]), *self.bases[1:]))
        return turned, self.mean - np.tensordot(basis, mean, 1)


def covariance(rest: Array, axis: int) -> Array:
    """(length, length) sums of products over the two other axes of a tensor without its means."""
    unfolded = _unfolded(rest, axis)
    return unfolded @ unfolded.T


def _unfolded(rest: Array, axis: int) -> Array:
    return np.moveaxis(rest, axis, 0).reshape(rest.shape[axis], -1)


def _first_order(array: Array) -> Array:
    grand = array.mean()
    margins = [array.mean(axis=tuple({0, 1, 2} - {axis}), keepdims=True) - grand for axis in range(3)]
    return grand + reduce(np.add, margins)


def _eigen(unfolded: Array) -> tuple[Array, Array]:
    """Shares of the eigenvalues of (length, others) times its transpose, and the eigenvectors (length, directions)."""
    vectors, roots, _ = np.linalg.svd(unfolded, full_matrices=False)  # of many conditions their covariance is huge
    values = np.square(roots)
    known = values > _TINY * values.max()
    return values[known] / values[known].sum(), vectors[:, known]


def _variances(values: Sequence[Array]) -> Array:
    """(directions of each axis), adding up to the eigenvalues of each axis over the two others.

    Newton's method with halved steps on the dual, sum(eigenvalue * multiplier) - sum(log(sum of three multipliers)),
    which is convex and self-concordant.
    """
    sizes = [len(v) for v in values]
    wanted, ends = np.concatenate(values), np.cumsum(sizes)[:-1]
    multipliers = np.prod(sizes) / np.repeat(sizes, sizes) / wanted / 3
    for _ in range(_ITERATIONS):
        variances = 1 / _sums(np.split(multipliers, ends))
        found = np.concatenate([variances.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)])
        if np.abs(found / wanted - 1).max() < _TOLERANCE:
            return variances
        step = _newton(variances, wanted - found)
        multipliers = _line_search(multipliers, step, wanted, ends)
    raise UsageError("no distribution with these covariances was found; give more conditions, or fewer units")


def _sums(multipliers: Sequence[Array]) -> Array:
    one, two, three = multipliers
    return one[:, None, None] + two[:, None] + three


def _newton(variances: Array, gradient: Array) -> Array:
    squares = variances**2
    pairs = {axis: squares.sum(axis=axis) for axis in range(3)}
    blocks = [
        [np.diag(pairs[1].sum(axis=1)), pairs[2], pairs[1]],
        [pairs[2].T, np.diag(pairs[0].sum(axis=1)), pairs[0]],
        [pairs[1].T, pairs[0].T, np.diag(pairs[0].sum(axis=0))],
    ]
    hessian = np.block(blocks)
    scale = 1 / np.sqrt(np.diag(hessian))
    # Constants that add up to 0 may be added to the multipliers; without them the system is not singular.
    constants = np.repeat([[1, -1, 0], [0, 1, -1]], squares.shape, axis=1) / scale
    constants = np.linalg.qr(constants.T)[0]
    system = scale[:, None] * hessian * scale + constants @ constants.T
    return -scale * np.linalg.solve(system, scale * gradient)


def _line_search(at: Array, step: Array, wanted: Array, ends: Array) -> Array:
    def dual(multipliers: Array) -> float:
        sums = _sums(np.split(multipliers, ends))
        return float(wanted @ multipliers - np.log(sums).sum()) if sums.min() > 0 else np.inf

    before, length = dual(at), 1.0
    while dual(at + length * step) > before and length > 1e-12:
        length /= 2
    return at + length * step
