"""Surrogates that pair each episode of one record with the steps of another episode of the other.

They are the null of whether two records of the same steps go together. Rolling one record within its episodes is
lenient where records are smooth: joining an episode's end to its start breaks the slow changes that make two unrelated
records correlate. Episodes start anew, so those of one task are exchangeable, and dealing them is an exact permutation
test however smooth the records are (the session permutation of Harris 2020, "Nonsense correlations in neuroscience").
What all episodes do alike at the same time since their start belongs to the null.

So the k-th step of each episode must be of one time since its start. Where steps are left out, they are left out at
the same times in all episodes (`Source.thinned`). Where a record has no meaning at some steps, it is dealt with those
steps, and they are left out after it was dealt; an episode without any other step takes no part (`with_any`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, permutations, product
from math import factorial, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from analysis.inputs import Labels, task_codes
from rodent.errors import UsageError

CONTROL = "other episodes"
_BLOCK = 16  # episodes dealt among each other: orders enough, and the work stays linear in the episodes


@dataclass(frozen=True)
class Dealing:
    """Which episodes may stand in for which.

    Attributes:
        rows: of each episode, its steps.
        blocks: episodes of one task and, among those, of like length. Each is dealt in itself. An episode that is
            too long is cut, one that is too short goes back and forth, which keeps it smooth.
    """

    rows: tuple[Labels, ...]
    blocks: tuple[Labels, ...]

    @classmethod
    def of(cls, episodes: Labels, tasks: ArrayLike | None = None) -> Dealing:
        """From labels of the steps.

        Args:
            episodes: (steps,) 0, 1, ..., none of them missing.
            tasks: (steps,) labels of any kind, one an episode; None where all episodes are exchangeable.

        Raises:
            UsageError: where the task changes within an episode.
        """
        lengths = np.bincount(episodes)
        rows = np.split(np.argsort(episodes, kind="stable"), np.cumsum(lengths)[:-1])
        of_step = task_codes(tasks, len(episodes))
        of_episode = of_step[[part[0] for part in rows]]
        if not np.array_equal(of_episode[episodes], of_step):
            raise UsageError("the task changes within an episode; give each episode one task")
        blocks: list[Labels] = []
        for task in np.unique(of_episode):
            members = np.flatnonzero(of_episode == task)
            members = members[np.argsort(lengths[members], kind="stable")]
            blocks += np.array_split(members, -(-len(members) // _BLOCK))
        return cls(tuple(rows), tuple(blocks))

    def order(self, rng: np.random.Generator) -> Labels:
        """(episodes,) which one stands in for each, all orders alike probable."""
        found = np.empty(len(self.rows), dtype=np.int64)
        for block in self.blocks:
            found[block] = rng.permutation(block)
        return found

    def orders(self, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(draws, episodes) different orders, the recorded one left out; all of them where there are fewer.

        The recorded one counts in every p already; drawing it again, or another one twice, would make a p of few
        episodes wrong (Phipson and Smyth 2010).
        """
        recorded, members = np.arange(len(self.rows)), np.concatenate(self.blocks)
        if prod(factorial(len(block)) for block in self.blocks) <= draws + 1:
            every = islice(product(*map(permutations, self.blocks)), 1, None)  # the first is the recorded one
            found = np.array([np.concatenate(parts) for parts in every], dtype=np.int64).reshape(-1, len(members))
            return found[:, np.argsort(members)]
        drawn: dict[bytes, Labels] = {}
        while len(drawn) < draws:
            order = self.order(rng)
            if not np.array_equal(order, recorded):
                drawn[order.tobytes()] = order
        return np.array(list(drawn.values()), dtype=np.int64).reshape(-1, len(recorded))

    def stand_in(self, episode: int, length: int) -> Labels:
        """(length,) the steps of an episode, cut, or back and forth, to that length."""
        rows = self.rows[episode]
        at = np.arange(length) % (2 * len(rows))
        return rows[np.minimum(at, 2 * len(rows) - 1 - at)]

    def steps(self, order: Labels) -> Labels:
        """(steps,) the step that stands in for each: `values[dealing.steps(order)]` is the surrogate."""
        found = np.empty(sum(map(len, self.rows)), dtype=np.int64)
        for rows, other in zip(self.rows, order, strict=True):
            found[rows] = self.stand_in(other, len(rows))
        return found

    def apart(self, values: NDArray, rng: np.random.Generator) -> NDArray:
        """(steps, columns) with an order of its own for each column: columns that share nothing but their episodes."""
        found, columns = np.empty_like(values), np.arange(values.shape[1])
        for block in self.blocks:
            orders = rng.permuted(np.tile(np.arange(len(block)), (len(columns), 1)), axis=1)
            for position, episode in enumerate(block):
                rows = self.rows[episode]
                stand_ins = np.array([self.stand_in(other, len(rows)) for other in block])
                found[rows] = values[stand_ins[orders[:, position]].T, columns]
        return found


def with_any(known: NDArray[np.bool_], episodes: Labels) -> NDArray[np.bool_]:
    """(steps,) whether a step is of an episode in which a record is known (steps,) at any.

    To deal among these alone is as exact as among all: such orders change nothing of which they are.
    """
    return np.isin(episodes, episodes[known])


def dealt_sums(
    values: NDArray, index: Labels, bins: int, dealing: Dealing, orders: NDArray[np.int64], parts: Labels
) -> NDArray:
    """Sums of values in the bins of a dealt index, for many orders at once.

    Every pair of episodes of a block is summed once; an order then adds up the pairs that it made.

    Args:
        values: (steps, columns).
        index: (steps,) bin of each step, 0, 1, ...; what meets -1 is in no sum.
        bins: their number.
        dealing: of the index to the values.
        orders: (draws, episodes).
        parts: (episodes,) into which of several sums each episode's values go.

    Returns:
        (draws, parts, bins, columns), in the precision of the values.
    """
    count, width = len(dealing.rows), max(map(len, dealing.blocks))
    pairs = np.zeros((count, width, bins * values.shape[1]), dtype=values.dtype)
    position = np.empty(count, dtype=np.int64)
    for block in dealing.blocks:
        position[block] = np.arange(len(block))
        for episode in block:
            rows = dealing.rows[episode]
            bin_of = np.array([index[dealing.stand_in(other, len(rows))] for other in block])
            other, step = np.nonzero(bin_of >= 0)
            place = bin_of[other, step] + bins * other
            member = _ones(place, step, (len(block) * bins, len(rows)), values.dtype)
            pairs[episode, : len(block)] = (member @ values[rows]).reshape(len(block), -1)
    size = int(parts.max()) + 1
    into = (size * np.arange(len(orders))[:, None] + parts).ravel()
    chosen = (width * np.arange(count) + position[orders]).ravel()
    pick = _ones(into, chosen, (len(orders) * size, count * width), values.dtype)
    return (pick @ pairs.reshape(count * width, -1)).reshape(len(orders), size, bins, values.shape[1])


def _ones(row: Labels, column: Labels, shape: tuple[int, int], dtype: np.dtype) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(row), dtype=dtype), (row, column)), shape=shape)
