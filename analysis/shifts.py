"""Surrogates that roll one record against another within each episode, at all lags at once.

Of two records that are as one would be if each episode were a circle, rolled ones are alike probable. All lags of
episodes of one length are a group then, and the recorded one is one among equals. Of episodes of unlike length they are
none, since short ones go round while long ones have not: p is no more than a guide there (0.10 of unrelated records are
below 0.05). Nor are episodes circles: joining an end to a start breaks slow changes, so records that change as slowly
as episodes last beat this too often (docs/decisions/0015-the-null-is-other-episodes.md). It stands beside
`analysis.dealing`, never in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from analysis.inputs import Labels

CONTROL = "time shift"


@dataclass(frozen=True)
class Shifts:
    """An index of bins, to be rolled against any values of the same steps.

    Attributes:
        rows: of the episodes of each length, (episodes, length) their steps.
        spectra: of the same, for each part (frequencies, bins, episodes) of the bins' indicators, conjugate; empty
            where none of these episodes is of the part.
        members: of the same, for each part which of these episodes are of it.
    """

    rows: tuple[Labels, ...]
    spectra: tuple[tuple[NDArray[np.complex64], ...], ...]
    members: tuple[tuple[NDArray[np.bool_], ...], ...]

    @classmethod
    def of(cls, index: Labels, bins: int, episodes: Labels, parts: Labels) -> Shifts:
        """From the bin of each step.

        Args:
            index: (steps,) 0, 1, ...; -1 of no bin.
            bins: their number.
            episodes: (steps,) 0, 1, ..., none of them missing.
            parts: (episodes,) 0, 1, ...: into which of several sums each episode goes.
        """
        lengths = np.bincount(episodes)
        each = np.split(np.argsort(episodes, kind="stable"), np.cumsum(lengths)[:-1])
        rows, spectra, members = [], [], []
        for length in np.unique(lengths):
            alike = np.flatnonzero(lengths == length)
            rows.append(np.stack([each[episode] for episode in alike]))
            hot = (index[rows[-1]][..., None] == np.arange(bins)).astype(np.float32)
            spectrum = np.conj(fft.rfft(hot, axis=1)).transpose(1, 2, 0)
            members.append(tuple(parts[alike] == part for part in range(int(parts.max()) + 1)))
            spectra.append(tuple(np.ascontiguousarray(spectrum[..., of]) for of in members[-1]))
        return cls(tuple(rows), tuple(spectra), tuple(members))

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(lags, parts, bins, columns) of values (steps, columns) in the bins that are rolled by 0, 1, ... steps.

        There are as many lags as the longest episode has steps; a shorter one goes round. By the theorem of circular
        correlation, so that all of them cost little more than one.
        """
        longest = max(rows.shape[1] for rows in self.rows)
        shape = (longest, len(self.members[0]), self.spectra[0][0].shape[1], values.shape[1])
        found: NDArray[Any] = np.zeros(shape, dtype=np.float32)
        for rows, spectra, members in zip(self.rows, self.spectra, self.members, strict=True):
            length = rows.shape[1]
            spectrum = fft.rfft(values[rows], axis=1).transpose(1, 0, 2)
            for part, (bins, of) in enumerate(zip(spectra, members, strict=True)):
                if of.any():
                    rolled = fft.irfft(bins @ spectrum[:, of], n=length, axis=0)
                    found[:, part] += rolled if length == longest else rolled[np.arange(longest) % length]
        return found
