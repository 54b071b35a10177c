"""Threads for work that takes one core each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits


def one_core_each(threads: int) -> ThreadPoolExecutor:
    """An executor in whose threads OpenMP, by which k-means runs, keeps to one core: it counts for each thread alone.

    Two that take all cores at once wait for each other, several times as long as they work.
    """
    return ThreadPoolExecutor(threads, initializer=threadpool_limits, initargs=(1, "openmp"))
