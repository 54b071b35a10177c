"""What a student learns from: its last rollouts, side by side (the data set that DAgger aggregates)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from policies.rollout import STATE, Minibatch, Rollout, tensors_of
from policies.storage import below

_RETURNS = "returns"  # beside what a rollout holds


class Aggregate:
    """The last rollouts of this rank's environments, as one rollout of as many more environments.

    Each is kept as it was experienced: hidden states are those of the network that acted. A rollout of another length
    than the ones before, as in another phase, begins the memory anew.

    Args:
        size: how many rollouts are kept, 1 or more. With 1 nothing is: the newest is all there is to learn from.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.held: dict[str, Tensor] = {}
        """(time, rollouts x envs, ...) of each field of `Rollout` that holds numbers, `returns` (the critic's targets,
        at their own scale), hidden state (rollouts x envs, ...) as `initial_state/NAME`, and `count`, of all rollouts
        that ever were."""

    def add(self, rollout: Rollout, returns: Tensor) -> tuple[Rollout, Tensor]:
        """Remember a rollout and its returns (time, envs) in place of the oldest; returns all that is remembered."""
        if self.size == 1:
            return rollout, returns
        newest = tensors_of(rollout) | {_RETURNS: returns}
        if not self.held or len(self.held["rewards"]) != len(rollout.rewards):
            self.held = {name: _room(name, value, self.size) for name, value in newest.items()}
            self.held["count"] = torch.zeros((), dtype=torch.long)
        envs, count = rollout.share.size, int(self.held["count"])
        first = count % self.size * envs
        for name, value in newest.items():
            self.held[name].narrow(_axis(name), first, envs).copy_(value)
        self.held["count"] += 1
        filled = min(count + 1, self.size) * envs
        seen = {name: self.held[name].narrow(_axis(name), 0, filled) for name in newest}
        targets = seen.pop(_RETURNS)
        others: dict[str, Any] = {name: value for name, value in seen.items() if not name.startswith(STATE)}
        return replace(rollout, initial_state=below(STATE, seen), **others), targets


def minibatches(
    rollout: Rollout, returns: Tensor, count: int, size: int, recurrent: bool, generator: torch.Generator
) -> Iterator[Minibatch]:
    """`count` minibatches of about `size` steps: passes over a rollout, each in another order, the last cut short.

    Args:
        rollout: what is learnt from.
        returns: (time, envs), what its critic should have said.
        count: how many minibatches.
        size: environment steps of each, about.
        recurrent: whether sequences stay whole.
        generator: decides the order.
    """
    # Nobody reads advantages in what imitates: the returns stand where they would.
    of_a_pass = rollout.count_minibatches(size, recurrent)
    passes = (rollout.minibatches(returns, returns, of_a_pass, recurrent, generator) for _ in itertools.count())
    yield from itertools.islice(itertools.chain.from_iterable(passes), count)


def _axis(name: str) -> int:
    """The axis along which what is called so has environments."""
    return 0 if name.startswith(STATE) or name == "tasks" else 1


def _room(name: str, value: Tensor, size: int) -> Tensor:
    """Zeros of the shape of a value, with room for `size` of it side by side."""
    shape = list(value.shape)
    shape[_axis(name)] *= size
    return value.new_zeros(shape)
