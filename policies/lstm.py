"""The recurrent agent: an encoder, an LSTM core, and heads that read both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.agent import Agent, AgentState, Output, mlp, run_layers
from policies.cells import LSTMCell
from policies.probe import NOTHING, Probe
from rodent.errors import UsageError


@dataclass(frozen=True)
class LSTMSettings:
    """Sizes of the `lstm` agent."""

    encoder: tuple[int, ...] = (256,)  # units of each layer before the core
    core: int = 128  # units of the LSTM
    head: tuple[int, ...] = (128,)  # units of each layer of the actor and of the critic, after the core
    initial_std: float = 0.4  # of the actions, whose range is [-1, 1]

    def __post_init__(self) -> None:
        if not self.encoder or min(*self.encoder, self.core, *self.head) < 1:
            raise UsageError(
                f"lstm needs at least one encoder layer and one unit in each, not encoder {self.encoder}, "
                f"core {self.core}, head {self.head}"
            )
        if not 0 < self.initial_std < math.inf:
            raise UsageError(f"lstm.initial_std must be above 0 and finite, not {self.initial_std}")


class LSTMAgent(Agent):
    """Encoder -> LSTM -> actor and critic; both heads also read the encoder, so that reflexes need no memory.

    Its state is `core.h` and `core.c`, each (batch, core). A probe sees these, `senses`, the layers of the encoder, of
    the actor and of the critic, and `mean`.
    """

    name: ClassVar[str] = "lstm"
    settings_type = LSTMSettings
    recurrent = True
    READS: Mapping[str, str] = {"encoder.0.weight": "policy", "critic.0.weight": "critic"}

    def __init__(
        self, observation_size: int, action_size: int, settings: LSTMSettings, critic_size: int = 0, tasks: int = 1
    ) -> None:
        super().__init__(observation_size, action_size, settings.initial_std, critic_size, tasks)
        self.encoder = mlp((observation_size, *settings.encoder))
        self.core = LSTMCell(settings.encoder[-1], settings.core)
        features = settings.encoder[-1] + settings.core
        self.actor = mlp((features, *settings.head), action_size, output_gain=0.01)
        self.critic = mlp((features + critic_size, *settings.head), tasks, output_gain=0.01)

    def initial(self, batch: int) -> AgentState:
        return self.core.initial(batch, "core")

    def step(
        self, observation: Tensor, state: AgentState, picture: Tensor | None = None, probe: Probe = NOTHING
    ) -> tuple[Output, AgentState]:
        encoded = self._encode(observation, probe)
        h, parts = self.core.step(self.core.drive(encoded), self.core.parts(state, "core"), probe, "core")
        return self._heads(encoded, h, observation, probe), self.core.state(parts, "core")

    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor, pictures: Tensor | None = None) -> Output:
        encoded = self._encode(observations, NOTHING)
        h = self.core.unroll(encoded, self.core.parts(state, "core"), starts)
        return self._heads(encoded, h, observations, NOTHING)

    def _encode(self, observation: Tensor, probe: Probe) -> Tensor:
        senses = probe("senses", self.normaliser(observation[..., : self.observation_size]))
        return run_layers(self.encoder, senses, "encoder", probe)

    def _heads(self, encoded: Tensor, h: Tensor, observation: Tensor, probe: Probe) -> Output:
        features = torch.cat([encoded, h], -1)
        mean = probe("mean", run_layers(self.actor, features, "actor", probe))
        if self._critic_is_told(observation):
            told = torch.cat([features, self._told_to_critic(observation)], -1)
            value = self._as_value(run_layers(self.critic, told, "critic", probe))
        else:
            value = self._unknown_value(mean)
        return Output(mean, self.log_std.expand_as(mean), value)
