"""What was experienced since the last update, in buffers of (time, env, ...) that are allocated once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from policies.agent import Agent, AgentState, Output
from policies.distributed import Share


@dataclass
class Rollout:
    """`time` steps of `envs` environments, and what the agent thought of them."""

    observations: Tensor
    """(time, envs, D + P) float32, as sensed, before each action."""
    actions: Tensor
    """(time, envs, A), as sampled: not clipped to the range that the environment admits."""
    log_probs: Tensor
    """(time, envs), of the actions, under the policy that took them."""
    means: Tensor
    """(time, envs, A), of the policy that took them."""
    log_stds: Tensor
    """(time, envs, A), likewise."""
    values: Tensor
    """(time, envs), the critic's, of the observations."""
    next_values: Tensor
    """(time, envs), of the observations that followed; of the last one of an episode where it was truncated."""
    rewards: Tensor
    """(time, envs), of the actions, shaping included."""
    starts: Tensor
    """(time, envs) bool: the step is the first of an episode."""
    terminated: Tensor
    """(time, envs) bool: the step ended the episode for good."""
    truncated: Tensor
    """(time, envs) bool: the step cut the episode off."""
    initial_state: AgentState
    """Hidden state before the first step, (envs, ...) each; stale where `starts[0]`."""
    pictures: Tensor | None
    """(time, envs, rows, columns, colours) uint8, beside the observations, of an agent that sees."""
    share: Share
    """Which of the run's environments these are."""

    @classmethod
    def empty(cls, time: int, envs: int, agent: Agent, share: Share | None = None) -> Rollout:
        """Room for `time` steps of `envs` environments, which are a share of the run's (None: all of them)."""

        def numbers(*shape: int) -> Tensor:
            return torch.zeros(time, envs, *shape)

        def flags() -> Tensor:
            return torch.zeros(time, envs, dtype=torch.bool)

        actions, picture = agent.action_size, agent.picture_shape
        return cls(
            observations=numbers(agent.observation_size + agent.critic_size),
            actions=numbers(actions),
            log_probs=numbers(),
            means=numbers(actions),
            log_stds=numbers(actions),
            values=numbers(),
            next_values=numbers(),
            rewards=numbers(),
            starts=flags(),
            terminated=flags(),
            truncated=flags(),
            initial_state={name: value.clone() for name, value in agent.initial(envs).items()},
            pictures=None if picture is None else torch.zeros(time, envs, *picture, dtype=torch.uint8),
            share=share or Share(0, envs, envs),
        )

    def record_action(
        self, t: int, observation: Tensor, picture: Tensor | None, starts: Tensor, output: Output, action: Tensor
    ) -> None:
        """Write what stood before step `t` and what the agent did."""
        self.observations[t] = observation
        if self.pictures is not None and picture is not None:
            self.pictures[t] = picture
        self.starts[t] = starts
        self.actions[t] = action
        self.log_probs[t] = output.log_prob(action)
        self.means[t] = output.mean
        self.log_stds[t] = output.log_std
        self.values[t] = output.value

    @property
    def ended(self) -> Tensor:
        """(time, envs) bool: the step was the last of an episode."""
        return self.terminated | self.truncated

    def count_minibatches(self, steps: int, whole_sequences: bool) -> int:
        """How many minibatches of about `steps` environment steps there are: 1 at least, and no more than sequences."""
        most = self.share.total if whole_sequences else self._all_steps
        return min(most, max(1, round(self._all_steps / steps)))

    def minibatches(
        self, advantages: Tensor, returns: Tensor, count: int, whole_sequences: bool, generator: torch.Generator
    ) -> Iterator[Minibatch]:
        """Shuffle the run's rollout, all ranks', into `count` parts of about equal size: this rank's members of each.

        Args:
            advantages: (time, envs).
            returns: (time, envs).
            count: number of minibatches.
            whole_sequences: shuffle environments and keep each one's steps in order, with its hidden state, as
                recurrent agents need; else shuffle single steps.
            generator: decides the shuffling.
        """
        order = torch.randperm(self.share.total if whole_sequences else self._all_steps, generator=generator)
        for members in order.tensor_split(count):
            columns, index = self.share.own(members)

            def take(x: Tensor, index: Tensor = index) -> Tensor:
                return x[:, index] if whole_sequences else x.flatten(0, 1)[index].unsqueeze(0)

            yield Minibatch(
                observations=take(self.observations),
                actions=take(self.actions),
                log_probs=take(self.log_probs),
                means=take(self.means),
                log_stds=take(self.log_stds),
                advantages=take(advantages),
                returns=take(returns),
                starts=take(self.starts),
                initial_state={name: value[index] for name, value in self.initial_state.items()},
                pictures=None if self.pictures is None else take(self.pictures),
                columns=columns,
                width=len(members),
            )

    @property
    def _all_steps(self) -> int:
        """Environment steps, all ranks'."""
        return len(self.rewards) * self.share.total


@dataclass
class Minibatch:
    """A part of a rollout, (time, batch, ...) each; single steps have time 1. See `Rollout` for what is what.

    The other members may be other ranks', all of them even. The loss of a minibatch is the sum of all ranks' parts.
    """

    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    means: Tensor
    log_stds: Tensor
    advantages: Tensor
    """What the learner made of rewards and values."""
    returns: Tensor
    """What the critic should have said."""
    starts: Tensor
    initial_state: AgentState
    """(batch, ...) each; empty for agents without memory, the only ones whose steps may be torn apart."""
    pictures: Tensor | None
    columns: Tensor
    """(batch,), where these stand among the members."""
    width: int
    """How many members there are, of all ranks."""

    def mean(self, values: Tensor) -> Tensor:
        """The part of this rank in the mean of values (time, batch) over all members."""
        return values.sum() / (len(values) * self.width)

    def spread(self, values: Tensor) -> Tensor:
        """Values (time, batch) among those of all members, (time, width), with zeros for other ranks'."""
        if len(self.columns) == self.width:
            return values
        return values.new_zeros(len(values), self.width).index_copy(1, self.columns, values)
