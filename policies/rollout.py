"""What was experienced since the last update, in buffers of (time, env, ...) that are allocated once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from policies.agent import Agent, AgentState, Output
from policies.distributed import Share

STATE = "initial_state/"  # what stands before the names of hidden state where a rollout's numbers lie side by side


@dataclass
class Rollout:
    """`time` steps of `envs` environments, and what the agent thought of them."""

    observations: Tensor
    """(time, envs, D + P) float32, as sensed, before each action."""
    actions: Tensor
    """(time, envs, C), as sampled: not clipped to the range that the agent admits. See `Agent`."""
    log_probs: Tensor
    """(time, envs), of the actions, under the policy that took them."""
    means: Tensor
    """(time, envs, C), of the policy that took them."""
    log_stds: Tensor
    """(time, envs, C), likewise."""
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
    tasks: Tensor
    """(envs,) int64, which of the run's tasks each environment has. No agent is told."""
    expert_means: Tensor | None
    """(time, envs, A), of the controls that the task's expert would have chosen; None where there are no experts."""
    expert_log_stds: Tensor | None
    """(time, envs, A), likewise."""

    @classmethod
    def empty(
        cls,
        time: int,
        envs: int,
        agent: Agent,
        share: Share | None = None,
        tasks: Tensor | None = None,
        with_experts: bool = False,
    ) -> Rollout:
        """Room for `time` steps of `envs` environments, which are a share of the run's (None: all of them).

        They are all of one task unless `tasks` (envs,) says otherwise.
        """

        def numbers(*shape: int) -> Tensor:
            return torch.zeros(time, envs, *shape)

        def flags() -> Tensor:
            return torch.zeros(time, envs, dtype=torch.bool)

        actions, controls, picture = agent.command_size, agent.action_size, agent.picture_shape
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
            tasks=torch.zeros(envs, dtype=torch.long) if tasks is None else tasks,
            expert_means=numbers(controls) if with_experts else None,
            expert_log_stds=numbers(controls) if with_experts else None,
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

    def record_experts(self, t: int, means: Tensor, log_stds: Tensor) -> None:
        """Write what the experts would have done at step `t`, (envs, A) each."""
        assert self.expert_means is not None and self.expert_log_stds is not None
        self.expert_means[t] = means
        self.expert_log_stds[t] = log_stds

    @property
    def ended(self) -> Tensor:
        """(time, envs) bool: the step was the last of an episode."""
        return self.terminated | self.truncated

    def count_minibatches(self, steps: int, whole_sequences: bool) -> int:
        """How many minibatches of about `steps` environment steps there are: 1 at least, and no more than sequences."""
        most = self._all_sequences if whole_sequences else self._all_steps
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
        order = torch.randperm(self._all_sequences if whole_sequences else self._all_steps, generator=generator)
        for members in order.tensor_split(count):
            columns, index = self.share.own(members)

            def take(x: Tensor, index: Tensor = index) -> Tensor:
                return x[:, index] if whole_sequences else x.flatten(0, 1)[index].unsqueeze(0)

            def take_if(x: Tensor | None, take: Callable[[Tensor], Tensor] = take) -> Tensor | None:
                return None if x is None else take(x)

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
                pictures=take_if(self.pictures),
                columns=columns,
                width=len(members),
                tasks=take(self.tasks.expand(len(self.rewards), -1)),
                expert_means=take_if(self.expert_means),
                expert_log_stds=take_if(self.expert_log_stds),
            )

    @property
    def _all_sequences(self) -> int:
        """Environments, all ranks'; each as often as there are rollouts side by side (see `Aggregate`)."""
        return self.rewards.shape[1] // self.share.size * self.share.total

    @property
    def _all_steps(self) -> int:
        """Environment steps, all ranks'."""
        return len(self.rewards) * self._all_sequences


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
    tasks: Tensor
    """(time, batch), of each step."""
    expert_means: Tensor | None
    expert_log_stds: Tensor | None

    def mean(self, values: Tensor) -> Tensor:
        """The part of this rank in the mean of values (time, batch) over all members."""
        return values.sum() / (len(values) * self.width)

    def spread(self, values: Tensor) -> Tensor:
        """Values (time, batch) among those of all members, (time, width), with zeros for other ranks'."""
        if len(self.columns) == self.width:
            return values
        return values.new_zeros(len(values), self.width).index_copy(1, self.columns, values)


def tensors_of(held: Rollout | Minibatch) -> dict[str, Tensor]:
    """All numbers that it holds, by the names of its fields; hidden state as `initial_state/NAME`."""
    values = {field.name: getattr(held, field.name) for field in fields(held)}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    return tensors | {f"{STATE}{name}": value for name, value in held.initial_state.items()}
