"""The feed-forward agent: an actor and a critic that share nothing but the normalised observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.agent import Agent, AgentState, Output, mlp
from rodent.errors import UsageError
from rodent.symmetry import Mirror


@dataclass(frozen=True)
class MLPSettings:
    """Settings of the `mlp` agent."""

    hidden: tuple[int, ...] = (256, 256, 128)  # units of each layer, of the actor and of the critic
    initial_std: float = 0.4  # of the actions, whose range is [-1, 1]
    symmetric: bool = False  # act alike on the left and on the right, by construction

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"mlp.hidden must name at least one layer of one unit, not {self.hidden}")
        if not self.initial_std > 0:
            raise UsageError(f"mlp.initial_std must be above 0, not {self.initial_std}")


class MLPAgent(Agent):
    """Two separate multi-layer perceptrons, for the mean action and for the value.

    A symmetric one looks at each observation and at its mirror image, reflects what it would do there back, and takes
    the mean: the mirror image of an observation gets the mirror image of the action and the same value (the "network
    method" of Abdolhosseini et al. 2019, "On learning symmetric locomotion"). See `reflect`.
    """

    name: ClassVar[str] = "mlp"
    settings_type = MLPSettings
    recurrent = False

    def __init__(self, observation_size: int, action_size: int, settings: MLPSettings) -> None:
        super().__init__(observation_size, action_size, settings.initial_std)
        sizes = (observation_size, *settings.hidden)
        self.actor = mlp(sizes, action_size, output_gain=0.01)
        self.critic = mlp(sizes, 1, output_gain=0.01)
        self.symmetric = settings.symmetric
        if self.symmetric:
            self.register_buffer("sense_index", torch.arange(observation_size))
            self.register_buffer("sense_sign", torch.ones(observation_size))
            self.register_buffer("action_index", torch.arange(action_size))
            self.register_buffer("action_sign", torch.ones(action_size))

    sense_index: Tensor
    sense_sign: Tensor
    action_index: Tensor
    action_sign: Tensor

    def reflect(self, senses: Mirror, actions: Mirror) -> None:
        """Tell a symmetric agent what its senses and actions become in a mirror; saved with its weights."""
        self.sense_index.copy_(torch.from_numpy(senses.index))
        self.sense_sign.copy_(torch.from_numpy(senses.sign))
        self.action_index.copy_(torch.from_numpy(actions.index))
        self.action_sign.copy_(torch.from_numpy(actions.sign))

    def initial(self, batch: int) -> AgentState:
        return {}

    def step(self, observation: Tensor, state: AgentState) -> tuple[Output, AgentState]:
        return self._forward(observation), state

    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor) -> Output:
        return self._forward(observations)

    def critic_parameters(self) -> list[nn.Parameter]:
        return list(self.critic.parameters())

    def value(self, observations: Tensor) -> Tensor:
        if self.symmetric:
            seen, reflected = self._seen_and_reflected(observations)
            return ((self.critic(seen) + self.critic(reflected)) / 2).squeeze(-1)
        value: Tensor = self.critic(self.normaliser(observations))
        return value.squeeze(-1)

    def _forward(self, observation: Tensor) -> Output:
        if self.symmetric:
            return self._forward_symmetric(observation)
        senses = self.normaliser(observation)
        mean = self.actor(senses)
        return Output(mean, self.log_std.expand_as(mean), self.critic(senses).squeeze(-1))

    def _forward_symmetric(self, observation: Tensor) -> Output:
        seen, reflected = self._seen_and_reflected(observation)
        there = self.actor(reflected)[..., self.action_index] * self.action_sign
        mean = (self.actor(seen) + there) / 2
        log_std = (self.log_std + self.log_std[self.action_index]) / 2
        value = (self.critic(seen) + self.critic(reflected)) / 2
        return Output(mean, log_std.expand_as(mean), value.squeeze(-1))

    def _seen_and_reflected(self, observation: Tensor) -> Tensor:
        """Normalised observations (2, ..., D): as they are, and in a mirror."""
        seen: Tensor = self.normaliser(torch.stack((observation, observation[..., self.sense_index] * self.sense_sign)))
        return seen
