"""What is done where a run's numbers are no longer finite: nothing is learnt or saved, and the batch is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from policies.rollout import Minibatch, tensors_of
from policies.storage import Arrays, write_tensors
from rodent.errors import UsageError


class NotFiniteError(UsageError):
    """A loss or a gradient is not finite. No step was made from it.

    Args:
        learner: its name.
        arrays: what the loss was made of, this rank's part.
        width: how many sequences or steps that is, of all ranks.
    """

    def __init__(self, learner: str, arrays: Arrays, width: int) -> None:
        super().__init__(
            "the policy's numbers are no longer finite: go on from the last checkpoint with --resume, or from its "
            f"policy with --init-from and a lower {learner}.rate"
        )
        self.arrays = arrays
        self.width = width


def arrays_of(batch: Minibatch) -> Arrays:
    """See `tensors_of`."""
    return {name: value.numpy() for name, value in tensors_of(batch).items()}


def keep_batch(path: Path, parts: list[Arrays], facts: Mapping[str, Any]) -> str:
    """Write the batch at which numbers were lost. Returns what there is to say of it, an end to a line.

    Args:
        path: of the file, which `policies.storage.read_tensors` reads.
        parts: each rank's own, by `arrays_of`; in the file their names begin with the rank, as in `0/observations`.
        facts: whatever JSON can hold.
    """
    arrays = {f"{rank}/{name}": array for rank, part in enumerate(parts) for name, array in part.items()}
    try:
        write_tensors(path, arrays, dict(facts))
    except OSError as error:  # what went wrong before matters more
        return f"the batch that made them could not be written to {path}: {error.strerror or error}"
    return f"the batch that made them is {path}"


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Refuse to save what nobody could go on from.

    Raises:
        UsageError: a number is not finite.
    """
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise UsageError(
                f"the policy's numbers are no longer finite ({name}), and are not saved: "
                "go on from the last checkpoint with --resume"
            )
