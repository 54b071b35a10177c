"""What every agent is: observations in, a Gaussian over actions and a value out, hidden state passed by hand."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from policies.observation import Normaliser, ObservationSpec
from policies.probe import NOTHING, Probe, Snapshot
from rodent.symmetry import Mirror

AgentState = dict[str, Tensor]
"""Hidden state by name, each (batch, ...). Empty for an agent without memory."""

_LOG_SQRT_TAU = 0.5 * math.log(2 * math.pi)


class Output(NamedTuple):
    """What an agent says about observations of shape (..., D)."""

    mean: Tensor
    """(..., C), mean of the diagonal Gaussian over actions."""
    log_std: Tensor
    """(..., C), logarithm of its standard deviation."""
    value: Tensor
    """(...), the critic's estimate, or (..., K) of an agent of K tasks; NaN where the critic reads more than it was
    given. See `Agent.of_task`."""
    drive: Tensor | None = None
    """(..., A), what the actuators are told where the action is zero, of an agent whose actions add to it; else None.
    See `Agent.controls`."""
    hidden: Tensor | None = None
    """(..., n), what the policy's layers say, which auxiliary losses may read; see `Agent.hidden_size`."""

    def sample(self, generator: torch.Generator) -> Tensor:
        """An action of each distribution, (..., C), not clipped."""
        return self.displaced(torch.randn(self.mean.shape, generator=generator, device=self.mean.device))

    def displaced(self, noise: Tensor) -> Tensor:
        """The action (..., C) that standard normal noise (..., C) makes of each distribution, not clipped."""
        return self.mean + self.log_std.exp() * noise

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-density of actions (..., C), summed over the action's dimensions: (...)."""
        z = (action - self.mean) * (-self.log_std).exp()
        return (-0.5 * z.square() - self.log_std - _LOG_SQRT_TAU).sum(-1)

    def entropy(self) -> Tensor:
        """Differential entropy, (...)."""
        return (self.log_std + 0.5 + _LOG_SQRT_TAU).sum(-1)


def gaussian_kl(old_mean: Tensor, old_log_std: Tensor, new_mean: Tensor, new_log_std: Tensor) -> Tensor:
    """KL(old || new) of diagonal Gaussians, (..., A) each, summed over the last axis: (...)."""
    variance_ratio = (2 * (old_log_std - new_log_std)).exp()
    shift = (old_mean - new_mean) * (-new_log_std).exp()
    return (new_log_std - old_log_std + 0.5 * (variance_ratio + shift.square() - 1)).sum(-1)


def reset_state(state: AgentState, where: Tensor) -> AgentState:
    """The state with zeros for the environments in `where`, (batch,) bool: a new episode begins there."""
    return {name: value.masked_fill(_like(where, value), 0.0) for name, value in state.items()}


def _like(mask: Tensor, value: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (value.ndim - 1))


class Agent(nn.Module, ABC):
    """A network that acts. It keeps no hidden state: state goes in and comes out, to be recorded, forked, perturbed.

    Its action, C numbers, is what its Gaussian is over, what is sampled, and what is learnt from; `controls` makes of
    it what the A actuators are told. To most agents they are the same.

    Every agent normalises its observations itself and has a standard deviation that does not depend on the state.
    Its critic may read more than its policy does, which serves training alone ("asymmetric actor critic", Pinto et al.
    2018): an observation is what the policy reads, (..., D), or that and what only the critic reads, (..., D + P).

    Args:
        observation_size: D, the length of a flat observation.
        action_size: A, the number of actuators.
        initial_std: standard deviation of the actions at first.
        critic_size: P.
        tasks: K, for how many tasks its critic has an estimate. The policy is one, and is not told which task it is.
        commands: C (None: A).
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]
    sees: ClassVar[bool] = False
    """Whether the agent can read pictures."""
    picture_shape: tuple[int, int, int] | None = None
    """Rows, columns and colours of the pictures that it does read; None for one that does not see."""
    recurrent: bool
    """Whether the agent has hidden state, so that learners must keep its sequences whole."""
    READS: Mapping[str, str]
    """Which weights have an input for each number of an observation, in their last columns: of what the `policy` reads,
    of `all`, or of what only the `critic` reads."""
    critic: nn.Sequential
    """What says the value, in the end; made by `mlp`."""
    MIRROR: ClassVar[tuple[str, ...]] = ()
    """What is saved with the weights but follows from what the agent reads."""
    PARTS: ClassVar[tuple[str, ...]] = ()
    """The agents that it is made of, by the names of their modules; their policies read the same senses."""
    reads_by_name: ClassVar[bool] = False
    """Whether the agent is made with the `senses` that it reads, an `ObservationSpec`."""
    ENCODERS: ClassVar[tuple[str, ...]] = ()
    """The modules that make features of the senses, of an agent that has such; see `features`."""
    feature_size: int = 0
    """How many features they make."""
    hidden_size: int = 0
    """How many numbers `Output.hidden` has; 0 where there is none."""
    symmetric: bool = False
    """Whether the agent acts alike on the left and on the right, and must be told by `reflect` which is which."""

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        initial_std: float,
        critic_size: int = 0,
        tasks: int = 1,
        commands: int | None = None,
    ) -> None:
        super().__init__()
        self.observation_size = observation_size
        self.action_size = action_size
        self.command_size = action_size if commands is None else commands
        self.critic_size = critic_size
        self.tasks = tasks
        self.normaliser = Normaliser(observation_size + critic_size)
        self.log_std = nn.Parameter(torch.full((self.command_size,), math.log(initial_std)))

    @abstractmethod
    def initial(self, batch: int) -> AgentState:
        """The hidden state at the start of `batch` episodes: zeros."""

    @abstractmethod
    def step(
        self, observation: Tensor, state: AgentState, picture: Tensor | None = None, probe: Probe = NOTHING
    ) -> tuple[Output, AgentState]:
        """One control step.

        Args:
            observation: (batch, D) or (batch, D + P) float32, as sensed (not normalised).
            state: what `initial` or the last `step` returned; see `reset_state` for environments that start anew.
            picture: (batch, rows, columns, 3) uint8, of an agent that sees; None for the others.
            probe: is handed every named activation, which it may change, before anything reads it.

        Returns:
            The output over (batch,), and the state after the step.
        """

    @abstractmethod
    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor, pictures: Tensor | None = None) -> Output:
        """Many steps at once, with gradients through time.

        Args:
            observations: (time, batch, D) or (time, batch, D + P) float32.
            state: hidden state before the first step, (batch, ...).
            starts: (time, batch) bool; where true, an episode begins with the step: the state is zeroed before it.
            pictures: (time, batch, rows, columns, 3) uint8, of an agent that sees; None for the others.

        Returns:
            The output over (time, batch).
        """

    def features(self, observations: Tensor, pictures: Tensor | None = None) -> Tensor:
        """What the encoders make of senses (n, D or more) and pictures (n, rows, columns, 3): (n, feature_size)."""
        raise TypeError(f"agent {self.name} has no encoders")

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The weights of the encoders."""
        modules = (getattr(self, name) for name in self.ENCODERS)
        return [parameter for module in modules if module is not None for parameter in module.parameters()]

    def controls(self, output: Output, action: Tensor) -> Tensor:
        """What the actuators are told (..., A), in [-1, 1], where the agent's action is `action` (..., C)."""
        return action.clamp(-1, 1)

    def over_controls(self, output: Output) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of what the actuators are told, (..., A) each, unclipped."""
        return output.mean, output.log_std

    def inputs(self, senses: ObservationSpec) -> Mapping[str, list[Hashable]]:
        """What each of the last columns of some weights reads, by the name of the weights; see `READS`.

        Args:
            senses: what the agent was made to read.
        """
        return {name: [*senses.numbers(reads)] for name, reads in self.READS.items()}

    def reflect(self, senses: Mirror, actions: Mirror) -> None:
        """Tell a symmetric agent what its senses and actions become in a mirror; saved with its weights.

        What the policy reads becomes what the policy reads.
        """
        raise TypeError(f"agent {self.name} is not symmetric")

    @torch.no_grad()
    def layers(self) -> dict[str, tuple[int, ...]]:
        """The shape of every activation that a probe sees in a step, by name, without the batch."""
        snapshot = Snapshot()
        device = self.log_std.device
        picture = torch.zeros(1, *self.picture_shape, dtype=torch.uint8, device=device) if self.picture_shape else None
        self.step(torch.zeros(1, self.observation_size, device=device), self.initial(1), picture, snapshot)
        return {name: tuple(activation.shape[1:]) for name, activation in snapshot.activations.items()}

    @property
    def value_layer(self) -> nn.Linear:
        """The last layer of the critic, whose outputs are the value of each task."""
        return cast(nn.Linear, self.critic[-1])

    def of_task(self, values: Tensor, tasks: Tensor) -> Tensor:
        """The estimates (...) of each one's own task.

        Args:
            values: as `Output.value` has them.
            tasks: which task each is of, int64, of a shape that broadcasts to (...).
        """
        if self.tasks == 1:
            return values
        return values.gather(-1, tasks.expand(values.shape[:-1]).unsqueeze(-1)).squeeze(-1)

    def critic_parameters(self) -> list[nn.Parameter]:
        """The critic's weights, where it shares none with the policy and may learn alone (see `value`); else none."""
        return []

    def trained_apart(self) -> list[list[nn.Parameter]]:
        """The weights, in groups that other losses train than the rest; the first has the policy's own.

        Learners clip the gradient of each group by its own norm, so that no loss slows what another trains:
        that of a policy grows as its noise shrinks.
        """
        critic = self.critic_parameters()
        return [self.parameters_but(critic), critic] if critic else [self.parameters_but(critic)]

    def parameters_but(self, some: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """All weights but some."""
        left_out = {id(parameter) for parameter in some}
        return [parameter for parameter in self.parameters() if id(parameter) not in left_out]

    def value(self, observations: Tensor) -> Tensor:
        """What a critic that shares no weight with the policy says of observations (..., D + P), as `Output.value`."""
        raise TypeError(f"the critic of agent {self.name} shares weights with its policy")

    def _critic_is_told(self, observation: Tensor) -> bool:
        return observation.shape[-1] == self.observation_size + self.critic_size

    def _told_to_critic(self, observation: Tensor) -> Tensor:
        """Normalised, what the critic alone reads of an observation (..., D + P): (..., P)."""
        return self.normaliser(observation[..., self.observation_size :], self.observation_size)

    def _unknown_value(self, features: Tensor) -> Tensor:
        """The value that a critic gives which is not told all that it reads, for features (..., n)."""
        return self._as_value(torch.full((*features.shape[:-1], self.tasks), math.nan, device=features.device))

    def _as_value(self, outputs: Tensor) -> Tensor:
        """The critic's outputs (..., K) as `Output.value` has them."""
        return outputs.squeeze(-1) if self.tasks == 1 else outputs


def run_layers(network: nn.Sequential, inputs: Tensor, name: str, probe: Probe) -> Tensor:
    """What a network of `mlp` makes of inputs (..., n); a probe sees each hidden layer, `name.0` and up."""
    if probe is NOTHING:
        return network(inputs)
    hidden = 0
    for layer in network:
        inputs = layer(inputs)
        if isinstance(layer, nn.ELU):
            inputs = probe(f"{name}.{hidden}", inputs)
            hidden += 1
    return inputs


def mlp(sizes: Sequence[int], output: int | None = None, output_gain: float = 1.0) -> nn.Sequential:
    """Linear layers of the given sizes (the first is the input's), each followed by ELU; then a linear output layer.

    Weights are orthogonal with gain sqrt(2), those of the output layer with `output_gain`; biases are zero (a small
    last policy layer: Andrychowicz et al. 2021, "What matters for on-policy deep actor-critic methods?").
    """
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [_orthogonal(nn.Linear(before, after), math.sqrt(2)), nn.ELU()]
    if output is not None:
        layers.append(_orthogonal(nn.Linear(sizes[-1], output), output_gain))
    return nn.Sequential(*layers)


def _orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
