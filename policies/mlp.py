"""Feed-forward agents, and the plainest: an actor and a critic that share nothing but the normalised observation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.agent import Agent, AgentState, Output, mlp, run_layers
from policies.probe import NOTHING, Probe
from rodent.errors import UsageError
from rodent.symmetry import Mirror

WHERE = ("", "mirror.")  # what the names of activations begin with: as it is, and in a mirror


@dataclass(frozen=True)
class MLPSettings:
    """Settings of the `mlp` agent."""

    hidden: tuple[int, ...] = (256, 256, 128)  # units of each layer, of the actor and of the critic
    initial_std: float = 0.4  # of the actions, whose range is [-1, 1]
    symmetric: bool = False  # act alike on the left and on the right, by construction

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"mlp.hidden must name at least one layer of one unit, not {self.hidden}")
        if not 0 < self.initial_std < math.inf:
            raise UsageError(f"mlp.initial_std must be above 0 and finite, not {self.initial_std}")


class FeedForwardAgent(Agent):
    """An agent without memory, whose critic shares no weight with its policy, and which may look twice.

    One that does looks at each observation and at its mirror image.
    """

    recurrent = False
    MIRROR = ("sense_index", "sense_sign", "action_index", "action_sign")
    looks_twice = False
    sense_index: Tensor
    sense_sign: Tensor
    action_index: Tensor
    action_sign: Tensor

    def look_twice(self) -> None:
        """From now on look at mirror images, too. Until `reflect` is called, they are what they mirror."""
        self.looks_twice = True
        self.register_buffer("sense_index", torch.arange(self.observation_size + self.critic_size))
        self.register_buffer("sense_sign", torch.ones(self.observation_size + self.critic_size))
        self.register_buffer("action_index", torch.arange(self.action_size))
        self.register_buffer("action_sign", torch.ones(self.action_size))

    def reflect(self, senses: Mirror, actions: Mirror) -> None:
        self.sense_index.copy_(torch.from_numpy(senses.index))
        self.sense_sign.copy_(torch.from_numpy(senses.sign))
        self.action_index.copy_(torch.from_numpy(actions.index))
        self.action_sign.copy_(torch.from_numpy(actions.sign))

    def initial(self, batch: int) -> AgentState:
        return {}

    def step(
        self, observation: Tensor, state: AgentState, picture: Tensor | None = None, probe: Probe = NOTHING
    ) -> tuple[Output, AgentState]:
        return self.say(observation, probe), state

    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor, pictures: Tensor | None = None) -> Output:
        return self.say(observations)

    @abstractmethod
    def say(self, observation: Tensor, probe: Probe = NOTHING) -> Output:
        """The output over observations (..., D) or (..., D + P)."""

    def critic_parameters(self) -> list[nn.Parameter]:
        return list(self.critic.parameters())

    def views(self, observation: Tensor) -> list[Tensor]:
        """The normalised observation (..., D or D + P) as it is and, of an agent that looks twice, in a mirror."""
        if not self.looks_twice:
            return [self.normaliser(observation)]
        size = observation.shape[-1]
        reflected = observation[..., self.sense_index[:size]] * self.sense_sign[:size]
        return [self.normaliser(observation), self.normaliser(reflected)]

    def senses(self, views: list[Tensor], probe: Probe) -> list[Tensor]:
        """What the policy reads of each view, which a probe sees."""
        size = self.observation_size
        return [probe(f"{w}senses", view[..., :size].contiguous()) for w, view in zip(WHERE, views, strict=False)]

    def run_on(self, network: str, seen: list[Tensor], probe: Probe) -> list[Tensor]:
        """What the `actor` or the `critic` makes of each view."""
        layers = getattr(self, network)
        return [run_layers(layers, each, f"{w}{network}", probe) for w, each in zip(WHERE, seen, strict=False)]

    def mean_value(self, seen: list[Tensor], probe: Probe = NOTHING) -> Tensor:
        """What the critic says of all views, as `Output.value`."""
        return self._as_value(mean_of(self.run_on("critic", seen, probe)))


def mean_of(views: list[Tensor]) -> Tensor:
    """The mean of what was made of each view."""
    return sum(views[1:], views[0]) / len(views)


class MLPAgent(FeedForwardAgent):
    """Two separate multi-layer perceptrons, for the mean action and for the value.

    A symmetric one looks at each observation and at its mirror image, reflects what it would do there back, and takes
    the mean: the mirror image of an observation gets the mirror image of the action and the same value (the "network
    method" of Abdolhosseini et al. 2019, "On learning symmetric locomotion"). See `reflect`. A probe sees `senses`,
    `actor.0` and up, `mean` and `critic.0` and up, and of a symmetric agent the same of its mirrored view besides
    (`mirror.senses`, ...).
    """

    name: ClassVar[str] = "mlp"
    settings_type = MLPSettings
    READS: Mapping[str, str] = {"actor.0.weight": "policy", "critic.0.weight": "all"}

    def __init__(
        self, observation_size: int, action_size: int, settings: MLPSettings, critic_size: int = 0, tasks: int = 1
    ) -> None:
        super().__init__(observation_size, action_size, settings.initial_std, critic_size, tasks)
        self.actor = mlp((observation_size, *settings.hidden), action_size, output_gain=0.01)
        self.critic = mlp((observation_size + critic_size, *settings.hidden), tasks, output_gain=0.01)
        self.symmetric = settings.symmetric
        if self.symmetric:
            self.look_twice()

    def value(self, observations: Tensor) -> Tensor:
        return self.mean_value(self.views(observations))

    def say(self, observation: Tensor, probe: Probe = NOTHING) -> Output:
        views = self.views(observation)
        means = self.run_on("actor", self.senses(views, probe), probe)
        if self.symmetric:
            means[1] = means[1][..., self.action_index] * self.action_sign
        mean = probe("mean", mean_of(means))
        log_std = (self.log_std + self.log_std[self.action_index]) / 2 if self.symmetric else self.log_std
        told = self._critic_is_told(observation)
        value = self.mean_value(views, probe) if told else self._unknown_value(mean)
        return Output(mean, log_std.expand_as(mean), value)
