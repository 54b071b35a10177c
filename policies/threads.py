"""How many threads torch computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside.

    One is best for acting, whose products are small. On a busy machine more than one is ruinous: each product waits for
    the slowest thread (an update that took 0.6 s with one thread took 12 s with two on two cores that others used).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
