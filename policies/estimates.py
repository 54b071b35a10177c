"""What a critic says of a task: which of its numbers, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Estimates:
    """How a critic is read about one task.

    What is read is the estimate of a return: the sum of `reward_scale` x reward, each step to come discounted by
    `discount`. A critic whose values PopArt normalises (Hessel et al. 2018) is read in the reward's own unit, so that
    the estimates of several tasks can be compared.
    """

    output: int | None
    """Which of the critic's outputs; None where it has one alone."""
    discount: float | None
    """None where the policy does not tell it, or not what its values mean."""
    reward_scale: float
    normalised: tuple[float, float] | None = None
    """Mean and standard deviation of the task's returns, by which the critic's output is normalised; None for none."""

    @classmethod
    def of(cls, facts: Mapping[str, Any], task: str, outputs: int) -> Estimates | None:
        """Of a task, by what a policy tells (see `Learner.value_facts`); None where it has no estimate of the task.

        Args:
            facts: the policy's.
            task: the task's name; a critic of one output is taken to speak of any.
            outputs: of the critic.
        """
        tasks = list(facts.get("tasks", []))[:outputs]
        if outputs > 1 and task not in tasks:
            return None
        place = tasks.index(task) if outputs > 1 else 0
        output = place if outputs > 1 else None
        discount = facts.get("discount")
        if "value_std" in facts:
            return cls(output, discount, 1.0, (facts["value_mean"][place], facts["value_std"][place]))
        if "reward_scale" in facts:
            return cls(output, discount, facts["reward_scale"])
        return cls(output, None, 1.0)

    def read(self, value: Tensor) -> Tensor:
        """The estimates (...) of an `Output.value`."""
        said = value if self.output is None else value[..., self.output]
        if self.normalised is None:
            return said
        mean, std = self.normalised
        return said * std + mean

    def errors(self, rewards: NDArray[np.float64], values: NDArray[np.float64], last: float) -> NDArray[np.float64]:
        """Temporal-difference errors of an episode's steps, (steps,) (Sutton 1988).

        Args:
            rewards: (steps,), the task's own.
            values: (steps,), read before each action.
            last: read after the last action; 0 of an episode that was terminated.

        Raises:
            ValueError: no discount is told.
        """
        if self.discount is None:
            raise ValueError("no discount is told")
        following = np.append(values[1:], last)
        errors: NDArray[np.float64] = self.reward_scale * rewards + self.discount * following - values
        return errors
