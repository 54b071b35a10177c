"""What every learner is: a rollout in, a better agent out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from policies.agent import Agent
from policies.distributed import ALONE, Ranks
from policies.rollout import Rollout


class Learner(ABC):
    """Changes an agent's weights. `rate` is its learning rate, which it may adapt unless `rate_is_fixed`.

    Args:
        agent: the agent to train, changed in place.
        settings: an instance of `settings_type`.
        ranks: learn together, each from its own rollout. What a learner averages or ranks it does over all of them.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]

    agent: Agent
    optimizer: torch.optim.Optimizer
    ranks: Ranks

    @abstractmethod
    def __init__(self, agent: Agent, settings: Any, ranks: Ranks = ALONE) -> None: ...

    @abstractmethod
    def update(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        """Learn from a rollout; randomness comes from `generator` alone. Returns figures for the log, by name.

        Raises:
            UsageError: the numbers are no longer finite.
        """

    @abstractmethod
    def fix_rate(self, rate: float | None) -> None:
        """Hold the learning rate at a value, or (None) let the learner's own rule go on from where the rate is."""

    @property
    def rate(self) -> float:
        """The learning rate in force, of the policy where the critic has one of its own."""
        return float(self.optimizer.param_groups[0]["lr"])

    @rate.setter
    def rate(self, value: float) -> None:
        self.optimizer.param_groups[0]["lr"] = value

    def value_facts(self) -> dict[str, float]:
        """What the critic's values mean, for the policy's card: `discount` and `reward_scale`, where they are fixed."""
        return {}

    def _summarise(self, figures: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        """Means over minibatches of figures of which each rank has its part."""
        means = {name: torch.stack([figure[name] for figure in figures]).mean() for name in figures[0]}
        return dict(zip(means, self.ranks.sum(torch.stack([*means.values()])).tolist(), strict=True))

    def parameters(self) -> dict[str, nn.Parameter]:
        """What the optimiser changes, by name: the agent's."""
        return dict(self.agent.named_parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """The optimiser's moments by parameter, and the rate, as tensors."""
        state = {"rate": torch.tensor(self.rate, dtype=torch.float64)}
        for name, parameter in self.parameters().items():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                state[f"{moment}.{name}"] = value
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self.rate = float(state["rate"])
        parameters = self.parameters()
        for key, value in state.items():
            moment, _, name = key.partition(".")
            if name:
                self.optimizer.state[parameters[name]][moment] = value.clone()
