"""The feed-forward agent: an actor and a critic that share nothing but the normalised observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from policies.agent import Agent, AgentState, Output, mlp
from rodent.errors import UsageError


@dataclass(frozen=True)
class MLPSettings:
    """Sizes of the `mlp` agent."""

    hidden: tuple[int, ...] = (256, 256, 128)  # units of each layer, of the actor and of the critic
    initial_std: float = 0.4  # of the actions, whose range is [-1, 1]

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"mlp.hidden must name at least one layer of one unit, not {self.hidden}")
        if not self.initial_std > 0:
            raise UsageError(f"mlp.initial_std must be above 0, not {self.initial_std}")


class MLPAgent(Agent):
    """Two separate multi-layer perceptrons, for the mean action and for the value."""

    name: ClassVar[str] = "mlp"
    settings_type = MLPSettings
    recurrent = False

    def __init__(self, observation_size: int, action_size: int, settings: MLPSettings) -> None:
        super().__init__(observation_size, action_size, settings.initial_std)
        sizes = (observation_size, *settings.hidden)
        self.actor = mlp(sizes, action_size, output_gain=0.01)
        self.critic = mlp(sizes, 1)

    def initial(self, batch: int) -> AgentState:
        return {}

    def step(self, observation: Tensor, state: AgentState) -> tuple[Output, AgentState]:
        return self._forward(observation), state

    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor) -> Output:
        return self._forward(observations)

    def _forward(self, observation: Tensor) -> Output:
        senses = self.normaliser(observation)
        mean = self.actor(senses)
        return Output(mean, self.log_std.expand_as(mean), self.critic(senses).squeeze(-1))
