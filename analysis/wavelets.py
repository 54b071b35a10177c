"""Morlet amplitudes of behaviour at the timescales of the virtual rodent paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy import fft

from analysis.drawing import axes_or_new
from analysis.inputs import Array, codes, matrix
from rodent.errors import UsageError

BANDS = {"fast": (5.0, 25.0), "intermediate": (1.0, 25.0), "slow": (0.3, 5.0)}  # Hz (Merel et al. 2020)
_OMEGA = 5.0  # cycles of the wavelet times 2 pi


@dataclass(frozen=True)
class Wavelets:
    """Amplitude at each frequency.

    Attributes:
        amplitudes: (steps, frequencies, features); NaN in episodes shorter than a period of the frequency.
        frequencies: (frequencies,) Hz, ascending.
        timestep: s.
    """

    amplitudes: Array
    frequencies: Array
    timestep: float


def morlet(
    values: ArrayLike, episodes: ArrayLike, timestep: float, band: tuple[float, float], scales: int = 25
) -> Wavelets:
    """Morlet amplitudes as Berman et al. (2014) scale them, so that a sine has the same peak at any frequency.

    It has it at any time, too: a wavelet that is longer than what is left of the episode is cut off and scaled up
    (docs/decisions/0020-wavelets-end-with-their-episode.md). It tells frequencies less sharply, and of noise more.

    Args:
        values: (steps, features); each episode's mean is removed.
        episodes: (steps,) labels; no wavelet spans two of them.
        timestep: s.
        band: lowest and highest frequency in Hz, the latter at most half the sampling rate.
        scales: frequencies, evenly spaced in logarithm.
    """
    features = matrix(values, "values")
    groups = codes(episodes, len(features), "episodes")
    low, high = band
    if not 0 < low < high <= 0.5 / timestep + 1e-9:
        raise UsageError(f"a band of {low} to {high} Hz; give 0 < low < high <= {0.5 / timestep:g} Hz")
    frequencies = np.geomspace(low, high, scales)
    amplitudes = np.full((len(features), scales, features.shape[1]), np.nan)
    for episode in range(groups.max() + 1):
        rows = groups == episode
        amplitudes[rows] = _amplitudes(features[rows], frequencies, timestep)
    return Wavelets(amplitudes, frequencies, timestep)


def plot_wavelets(result: Wavelets, feature: int = 0, ax: Axes | None = None) -> Axes:
    """Amplitude of one feature over time and frequency."""
    ax = axes_or_new(ax)
    time = result.timestep * np.arange(len(result.amplitudes))
    ax.pcolormesh(time, result.frequencies, result.amplitudes[:, :, feature].T, shading="nearest")
    ax.set_yscale("log")
    ax.set_xlabel("time (s)")
    ax.set_ylabel("frequency (Hz)")
    return ax


def _amplitudes(values: Array, frequencies: Array, timestep: float) -> Array:
    """(steps, frequencies, features), by products in the frequency domain; padded, so that ends do not meet.

    What the ends of the episode leave of a wavelet is shifted to have no mean, and divided by the share of its envelope
    that is left.
    """
    steps = len(values)
    scale = (_OMEGA + np.sqrt(2 + _OMEGA**2)) / (4 * np.pi * frequencies)
    size = fft.next_fast_len(steps + 2 * int(np.ceil(4 * scale.max() / timestep)))
    there = np.ones((steps, 1))
    spectrum = fft.fft(np.concatenate([values - values.mean(axis=0), there], axis=1), n=size, axis=0)
    angular = 2 * np.pi * fft.fftfreq(size, timestep)
    found = np.full((steps, len(frequencies), values.shape[1]), np.nan)
    for i, s in enumerate(scale):
        if steps * timestep < 1 / frequencies[i]:
            continue
        wavelet, envelope = (
            fft.ifft(spectrum * np.exp(-0.5 * (s * angular - centre) ** 2)[:, None], axis=0)[:steps]
            for centre in (_OMEGA, 0.0)
        )
        share, local = envelope[:, -1:].real, envelope[:, :-1].real
        amplitude = np.abs(wavelet[:, :-1] - wavelet[:, -1:] * local / share) / share
        found[:, i] = amplitude * np.exp(0.25 * (_OMEGA - np.sqrt(_OMEGA**2 + 2)) ** 2) / np.sqrt(2 * np.pi)
    return found
