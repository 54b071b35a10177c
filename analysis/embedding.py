"""A map of behaviour: t-SNE of its features, density, watershed regions, and HDBSCAN beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from openTSNE import TSNE, TSNEEmbedding
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from analysis.drawing import axes_or_new
from analysis.inference import Estimate, ends, not_estimable, resampled_rows
from analysis.inputs import Array, Labels, codes, first_reason, matrix
from rodent.errors import UsageError

_CELLS = 200  # of the density, in each direction
_MARGIN = 0.15  # of the range, around the map
_ROLLED = "rolled labels"


@dataclass(frozen=True)
class Regions:
    """Regions of a map.

    Attributes:
        labels: (steps,) watershed region of each step, from 0.
        clusters: (steps,) HDBSCAN's, -1 for noise.
        density: (cells, cells), the first axis along the first coordinate.
        grid: (cells, cells) region of each cell, from 0.
        edges: two of (cells + 1,).
        agreement: adjusted Rand index of regions and clusters, against labels rolled in time. Both cut one map into
            pieces, which agree more than any labels that are unrelated to the places: to beat the null says no more.
    """

    labels: Labels
    clusters: Labels
    density: Array
    grid: Labels
    edges: tuple[Array, Array]
    agreement: Estimate

    def locate(self, points: ArrayLike) -> Labels:
        """(steps,) regions of other points (steps, 2); -1 outside of the map or where they are NaN."""
        return locate(points, self.grid, self.edges)


def embed(features: ArrayLike, perplexity: float = 30.0, seed: int = 0) -> TSNEEmbedding:
    """t-SNE of (steps, features), as an array (steps, 2) that new sessions can be mapped into.

    Args:
        features: (steps, two features or more); subsample long recordings and map the rest with `map_into`.
        perplexity: effective number of neighbours; under a third of the steps.
        seed: of the optimiser.

    Raises:
        UsageError: where features are not finite or constant or there is but one, or steps too few for the perplexity.
    """
    values = matrix(features, "features")
    if reason := first_reason(values) or ("" if values.shape[1] > 1 else "one feature, for a map of two dimensions"):
        raise UsageError(f"features cannot be embedded: {reason}; give finite features that vary")
    if len(values) <= 3 * perplexity:
        raise UsageError(f"{len(values)} steps for a perplexity of {perplexity:g}; give more than three times as many")
    return _optimiser(perplexity, seed).fit(values)


def embedded(features: ArrayLike, points: ArrayLike, perplexity: float, seed: int) -> TSNEEmbedding:
    """The embedding that `embed` gave once, from what it was of and where it put it: new sessions map into it alike.

    Args:
        features: (steps, features) that were embedded.
        points: (steps, 2) where they came to lie.
        perplexity: that they were embedded with.
        seed: likewise.
    """
    again = _optimiser(perplexity, seed).prepare_initial(matrix(features, "features"))
    again[:] = matrix(points, "points")
    return again


def map_into(embedding: TSNEEmbedding, features: ArrayLike) -> Array:
    """(steps, 2) places of new (steps, features) in an old map, which stays as it is."""
    values = matrix(features, "features")
    if not np.isfinite(values).all():
        raise UsageError("features are NaN or infinite; leave out the steps that were not measured")
    before = np.array(embedding)
    placed = np.array(embedding.transform(values))
    shift = (before - np.asarray(embedding)).mean(axis=0)  # openTSNE centres the old map together with the new points
    embedding += shift
    return placed + shift


def regions(
    points: ArrayLike, episodes: ArrayLike, bandwidth: float = 0.04, smallest: int = 30, draws: int = 50, seed: int = 0
) -> Regions:
    """Watershed of the density of a map.

    Args:
        points: (steps, 2).
        episodes: (steps,) labels, for null and interval of the agreement.
        bandwidth: of the Gaussian, as a share of the map's greater extent.
        smallest: steps in a cluster of HDBSCAN, at least 2.
        draws: of null and interval.
        seed: of both.
    """
    places = matrix(points, "points")
    if places.shape[1] != 2:
        raise UsageError(f"points have {places.shape[1]} coordinates; give two")
    groups = codes(episodes, len(places), "episodes")
    if reason := first_reason(places, 2 * smallest):
        nothing = np.full(len(places), -1)
        grid = np.full((_CELLS, _CELLS), -1)
        edge = np.full(_CELLS + 1, np.nan)
        return Regions(nothing, nothing, np.full(grid.shape, np.nan), grid, (edge, edge), not_estimable(reason))
    extent, edges = _cells(places)
    spread = density(places, edges, bandwidth * extent)
    # Peaks that rise from less than a hundredth of the highest are stray points.
    peaks = peak_local_max(spread, min_distance=3, threshold_rel=0.01)
    markers = np.zeros(spread.shape, dtype=np.int64)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    grid = watershed(-spread, markers) - 1
    labels = locate(places, grid, edges)
    clusters = HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(places)
    return Regions(labels, clusters, spread, grid, edges, _agreement(labels, clusters, groups, draws, seed))


def locate(points: ArrayLike, grid: Labels, edges: tuple[Array, Array]) -> Labels:
    """(steps,) regions (cells, cells) of points (steps, 2); -1 outside of the map or where they are NaN."""
    places = matrix(points, "points")
    cell = [np.searchsorted(edge, column, side="right") - 1 for edge, column in zip(edges, places.T, strict=True)]
    inside = np.isfinite(places).all(axis=1)
    for index in cell:
        inside &= (index >= 0) & (index < _CELLS)
    found = np.full(len(places), -1)
    found[inside] = grid[cell[0][inside], cell[1][inside]]
    return found


def density(points: ArrayLike, edges: tuple[Array, Array], bandwidth: float) -> Array:
    """(cells, cells) share of the points (steps, 2) in each cell, smoothed by a Gaussian of this width."""
    places = matrix(points, "points")
    counts, _ = np.histogramdd(places, bins=edges)
    return ndimage.gaussian_filter(counts / len(places), bandwidth / (edges[0][1] - edges[0][0]))


def in_one_cluster(
    labels: ArrayLike, clusters: ArrayLike, episodes: ArrayLike, draws: int = 50, seed: int = 0
) -> dict[int, Estimate]:
    """Of each region, the share of its steps that are in its most frequent cluster: 1 where HDBSCAN draws it, too.

    Args:
        labels: (steps,) region of each step; negative in none.
        clusters: (steps,) HDBSCAN's, negative for noise, which is no cluster.
        episodes: (steps,) labels.
        draws: of the null, which rolls the regions in time, and of episodes for the interval.
        seed: of both.
    """
    of, other = np.asarray(labels), np.asarray(clusters)
    groups, rng = codes(episodes, len(of), "episodes"), np.random.default_rng(seed)
    if len(of) < 2:
        return dict.fromkeys(of[of >= 0].tolist(), not_estimable("one step: nothing to roll in time"))
    rolled = [_rolled(of, rng) for _ in range(draws)]
    rows = [resampled_rows(groups, rng) for _ in range(draws)] if groups.max() > 0 else []
    found = {}
    for region in np.unique(of[of >= 0]).tolist():
        null = np.array([_most_frequent(other[each == region]) for each in rolled])
        drawn = np.array([_most_frequent(other[row][of[row] == region]) for row in rows] or [np.nan])
        found[region] = Estimate(_most_frequent(other[of == region]), {_ROLLED: null}, ends(drawn))
    return found


def plot_regions(result: Regions, ax: Axes | None = None) -> Axes:
    """The density with the borders of its regions."""
    return draw_density(result.density, result.grid, result.edges, ax)


def draw_density(values: Array, grid: Labels, edges: tuple[Array, Array], ax: Axes | None = None) -> Axes:
    """A density (cells, cells) with the borders of regions (cells, cells)."""
    ax = axes_or_new(ax)
    # As vectors, each of some ten thousand cells would be a path of its own.
    image = ax.pcolormesh(*edges, values.T, rasterized=True)
    x, y = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    for region in range(grid.max() + 1):
        ax.contour(x, y, (grid == region).T, levels=[0.5], colors="white", linewidths=0.5)
    ax.set_xlabel("t-SNE 1")
    ax.set_ylabel("t-SNE 2")
    ax.figure.colorbar(image, ax=ax, label="density of steps")
    return ax


def _optimiser(perplexity: float, seed: int) -> TSNE:
    return TSNE(perplexity=perplexity, random_state=seed, n_jobs=1)


def _cells(places: Array) -> tuple[float, tuple[Array, Array]]:
    """The greater extent of a map, and the edges of its cells."""
    low, high = places.min(axis=0), places.max(axis=0)
    extent = float((high - low).max())
    first, second = (
        np.linspace(c - (0.5 + _MARGIN) * extent, c + (0.5 + _MARGIN) * extent, _CELLS + 1) for c in (low + high) / 2
    )
    return extent, (first, second)


def _agreement(labels: Labels, clusters: Labels, groups: Labels, draws: int, seed: int) -> Estimate:
    if groups.max() < 1:
        return not_estimable("one episode: nothing to resample")
    rng = np.random.default_rng(seed)
    null = np.array([adjusted_rand_score(_rolled(labels, rng), clusters) for _ in range(draws)])
    rows = [resampled_rows(groups, rng) for _ in range(draws)]
    interval = ends(np.array([adjusted_rand_score(labels[r], clusters[r]) for r in rows]))
    return Estimate(float(adjusted_rand_score(labels, clusters)), {_ROLLED: null}, interval)


def _most_frequent(clusters: Labels) -> float:
    """Share of the most frequent of them that is not negative; NaN of none."""
    if not len(clusters):
        return float("nan")
    return float(np.bincount(clusters[clusters >= 0], minlength=1).max() / len(clusters))


def _rolled(labels: Labels, rng: np.random.Generator) -> Labels:
    return np.roll(labels, rng.integers(1, len(labels)))
