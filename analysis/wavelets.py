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
    """(steps, frequencies, features), by products in the frequency domain; padded, so that ends do not meet."""
    steps = len(values)
    scale = (_OMEGA + np.sqrt(2 + _OMEGA**2)) / (4 * np.pi * frequencies)
    size = fft.next_fast_len(steps + 2 * int(np.ceil(4 * scale.max() / timestep)))
    spectrum = fft.fft(values - values.mean(axis=0), n=size, axis=0)
    angular = 2 * np.pi * fft.fftfreq(size, timestep)
    found = np.empty((steps, len(frequencies), values.shape[1]))
    for i, s in enumerate(scale):
        wavelet = np.pi**-0.25 * np.exp(-0.5 * (s * angular - _OMEGA) ** 2) * np.sqrt(s)
        amplitude = np.abs(fft.ifft(spectrum * wavelet[:, None], axis=0)[:steps])
        correction = np.pi**-0.25 / np.sqrt(2 * s) * np.exp(0.25 * (_OMEGA - np.sqrt(_OMEGA**2 + 2)) ** 2)
        too_short = steps * timestep < 1 / frequencies[i]
        found[:, i] = np.nan if too_short else amplitude * correction
    return found
