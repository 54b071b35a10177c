"""Pictures that stay for several control steps."""

from __future__ import annotations

import torch
from torch import Tensor


def latest_pictures(pictures: Tensor) -> Tensor:
    """The step, at each step or before it, at which its picture was new, (time, batch) int64.

    Args:
        pictures: (time, batch, ...); what came before the first step counts as its own.
    """
    fresh = torch.ones(pictures.shape[:2], dtype=torch.bool, device=pictures.device)
    fresh[1:] = (pictures[1:] != pictures[:-1]).flatten(2).any(-1)
    times = torch.arange(len(fresh), device=fresh.device).unsqueeze(1)
    return torch.where(fresh, times, 0).cummax(0).values
