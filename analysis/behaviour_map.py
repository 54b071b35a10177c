"""A map of behaviour that is drawn once, over one recording or several, and that others are placed in afterwards.

t-SNE of the Morlet amplitudes of posture, averaged over half a second, with the watershed regions of its density
(Berman et al. 2014; docs/decisions/0016-the-map-is-of-pooled-amplitudes.md). What is kept of it are arrays alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openTSNE import TSNEEmbedding
from scipy.ndimage import uniform_filter1d
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from analysis.behavioural_features import Basis, behavioural_features
from analysis.embedding import Regions, embed, embedded, locate, map_into, regions
from analysis.inputs import Array, Labels
from rodent.errors import UsageError

BAND = "intermediate"  # its slowest period is one second, so that no episode is too short
BANDWIDTH = 0.06  # of the density, as a share of the map's extent
FEWEST = 200  # steps that a map needs
_EMBEDDED = 4000  # steps that make the map; all others are mapped into it
_COMPONENTS = 15
_POOLED = 25  # steps, half a second: about two strides
# On several threads products of matrices round otherwise, and t-SNE lets that grow until regions differ.
_on_one_thread = threadpool_limits.wrap(limits=1)
_FORMAT = 2  # of the arrays; another one wherever the features or what is kept of them change


@dataclass(frozen=True)
class BehaviourMap:
    """What it takes to place other recordings in a map.

    Attributes:
        basis: of the features.
        spreads: (2,) by which amplitudes of angles and of positions are divided.
        joints, positions: names of the joints, and of the body parts whose positions count.
        points: (points, 2 * components) amplitudes that were embedded.
        places: (points, 2) where they lie.
        episodes: (points,) the episode of each.
        grid: (cells, cells) region of each cell.
        edges: (2, cells + 1) of the cells.
        perplexity, seed: of the embedding.
    """

    basis: Basis
    spreads: Array
    joints: tuple[str, ...]
    positions: tuple[str, ...]
    points: Array
    places: Array
    episodes: Labels
    grid: Labels
    edges: Array
    perplexity: float
    seed: int

    def check(self, joints: Sequence[str], positions: Sequence[str], timestep: float, name: str) -> None:
        """Raise a `UsageError` where a recording of this name has other joints, body parts or another timestep."""
        for what, own, given in (("joints", self.joints, joints), ("body parts", self.positions, positions)):
            if tuple(given) != own:
                unlike = sorted(set(own) ^ set(given))
                which = f"{unlike[0]} is in one alone" if unlike else "they are in another order"
                raise UsageError(f"the map of behaviour is of other {what} than {name}: {which}; draw a map of its own")
        if not np.isclose(timestep, self.basis.timestep):
            raise UsageError(
                f"the map of behaviour is of steps of {self.basis.timestep:g} s; {name} has {timestep:g} s"
            )

    def amplitudes(self, angles: ArrayLike, positions: ArrayLike, episodes: Labels) -> Array:
        """(steps, 2 * components) of other steps, as those that were embedded; NaN in episodes that are too short."""
        return pooled(_spectra(self.basis.features(angles, positions, episodes), self.spreads), episodes)

    @_on_one_thread
    def place(self, amplitudes: Array) -> Array:
        """(steps, 2) where other steps come to lie; NaN where their amplitudes (steps, 2 * components) are."""
        found, known = np.full((len(amplitudes), 2), np.nan), np.isfinite(amplitudes).all(axis=1)
        if known.any():
            found[known] = map_into(self._embedding, amplitudes[known])
        return found

    def locate(self, places: Array) -> Labels:
        """(steps,) region of places (steps, 2); -1 outside of the map."""
        return locate(places, self.grid, (self.edges[0], self.edges[1]))

    @cached_property
    def reach(self) -> float:
        """95 % of the points lie within this distance of a point of another episode; NaN where there is no other."""
        apart = [
            _nearest(self.points[self.episodes != episode], self.points[self.episodes == episode])
            for episode in np.unique(self.episodes)
            if (self.episodes != episode).any()
        ]
        return float(np.quantile(np.concatenate(apart), 0.95)) if apart else float("nan")

    def near(self, amplitudes: Array) -> NDArray[np.bool_]:
        """(steps,) whether a step is as near to one of the map's as 95 % of these are to one of another episode."""
        known = np.isfinite(amplitudes).all(axis=1)
        found = np.zeros(len(amplitudes), dtype=bool)
        found[known] = _nearest(self.points, amplitudes[known]) <= self.reach
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays that need no pickle."""
        own = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        basis = {f"{_PART}{name}": values for name, values in self.basis.components.items()}
        settings = np.array([self.basis.timestep, self.perplexity, self.seed])
        kept = {**own, **basis, "settings": settings, "band": np.array(self.basis.band), "format": np.array(_FORMAT)}
        return {f"{_PREFIX}{name}": values for name, values in kept.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> BehaviourMap:
        """What `arrays` gave. Raises a KeyError or ValueError for anything else."""
        kept = {name.removeprefix(_PREFIX): values for name, values in arrays.items() if name.startswith(_PREFIX)}
        if int(kept["format"]) != _FORMAT:
            raise ValueError(f"it has format {int(kept['format'])}, and this version reads format {_FORMAT}")
        parts = {name.removeprefix(_PART): values for name, values in kept.items() if name.startswith(_PART)}
        timestep, perplexity, seed = kept["settings"].tolist()
        joints, positions = (tuple(str(each) for each in kept[name]) for name in ("joints", "positions"))
        points, places, episodes, grid, edges = (kept[name] for name in _ARRAYS[3:])
        basis = Basis(str(kept["band"]), timestep, parts)
        return cls(
            basis, kept["spreads"], joints, positions, points, places, episodes, grid, edges, perplexity, int(seed)
        )

    @cached_property
    def _embedding(self) -> TSNEEmbedding:
        return embedded(self.points, self.places, self.perplexity, self.seed)


_PREFIX, _PART = "map.", "basis."
_ARRAYS = ("spreads", "joints", "positions", "points", "places", "episodes", "grid", "edges")


@dataclass(frozen=True)
class Drawn:
    """A map that was just drawn.

    Attributes:
        map: to place others in; None where there is a reason.
        rows: (points,) the steps that were embedded.
        amplitudes: (steps, 2 * components) of all steps.
        regions: of the points, with HDBSCAN's clusters beside them; None where there is a reason.
        reason: why there is no map; empty where there is.
    """

    map: BehaviourMap | None
    rows: NDArray[np.int64]
    amplitudes: Array
    regions: Regions | None
    reason: str = ""


@_on_one_thread
def draw_map(
    angles: Array,
    positions: Array,
    episodes: Labels,
    timestep: float,
    joints: Sequence[str],
    parts: Sequence[str],
    seed: int = 0,
) -> Drawn:
    """Draw a map of behaviour.

    Args:
        angles: (steps, joints), rad.
        positions: (steps, coordinates) of body parts in the body's frame, m.
        episodes: (steps,) labels 0, 1, ...
        timestep: s.
        joints: names of the joints.
        parts: names of the body parts.
        seed: of the embedding.
    """
    features = behavioural_features(angles, positions, episodes, timestep, BAND, _COMPONENTS)
    known = np.flatnonzero(np.isfinite(features.values).all(axis=1))
    if features.basis is None or len(known) < FEWEST:
        reason = features.reason or f"{len(known)} steps in episodes of a second or more; a map needs {FEWEST}"
        return Drawn(None, known[:0], features.values, None, reason)
    spreads = np.array([np.sqrt(np.nanvar(part, axis=0).sum()) for part in _amplitudes(features.values)])
    amplitudes = pooled(_spectra(features.values, spreads), episodes)
    rows = known[:: max(1, -(-len(known) // _EMBEDDED))]
    perplexity = min(30.0, (len(rows) - 1) / 3.1)
    places = np.array(embed(amplitudes[rows], perplexity, seed))
    found = regions(places, episodes[rows], BANDWIDTH, smallest=max(10, len(rows) // 100), seed=seed)
    drawn = BehaviourMap(
        features.basis, spreads, tuple(joints), tuple(parts), amplitudes[rows], places, episodes[rows], found.grid,
        np.stack(found.edges), perplexity, seed,
    )  # fmt: skip
    return Drawn(drawn, rows, amplitudes, found)


def load_map(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a report's map, and what is kept beside them. Nothing is unpickled.

    Args:
        path: a report's folder, or the file `results/SESSION/behaviour_map.npz` in it.

    Raises:
        UsageError: there is none, or it is damaged, or of a format that this version does not know.
    """
    files = [path] if path.is_file() else sorted(path.glob("results/*/behaviour_map.npz"))
    if not files:
        raise UsageError(f"no map of behaviour in {path}: give the folder of a report with the stage behaviour")
    try:
        with np.load(files[0], allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if "reason" in arrays:
            raise ValueError(f"none could be drawn, {arrays['reason']}")
        BehaviourMap.of_arrays(arrays)
    except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UsageError(f"{files[0]} holds no map of behaviour that can be used: {why}") from None
    return arrays


def pooled(values: Array, episodes: Labels) -> Array:
    """Means over half a second around each step (steps, features), of its episode alone.

    Amplitudes at the highest frequencies rise and fall within a stride. A map of them cuts strides into phases, which
    are too short for behaviours; what is long enough is then found at the ends of episodes alone.
    """
    found = np.empty_like(values)
    for episode in np.unique(episodes):
        rows = episodes == episode
        found[rows] = uniform_filter1d(values[rows], _POOLED, axis=0, mode="nearest")
    return found


def _spectra(features: Array, spreads: Array) -> Array:
    """The Morlet amplitudes among the features, those of angles and of positions with the same variance.

    Postures themselves are left out, since they would cut every stride into its phases (Berman et al. 2014).
    """
    return np.concatenate([part / spread for part, spread in zip(_amplitudes(features), spreads, strict=True)], axis=1)


def _amplitudes(features: Array) -> tuple[Array, Array]:
    return features[:, _COMPONENTS : 2 * _COMPONENTS], features[:, 3 * _COMPONENTS :]


def _nearest(points: Array, others: Array) -> Array:
    """(others,) distance of each to the nearest point."""
    if not len(others):
        return np.empty(0)
    distances: Array = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(others)[0][:, 0]
    return distances
