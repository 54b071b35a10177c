"""What every learner is: a rollout in, a better agent out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from policies.agent import Agent, Output
from policies.distributed import ALONE, Ranks
from policies.finite import NotFiniteError, arrays_of
from policies.kickstart import expert_distance, expert_divergence
from policies.multitask import ONE_TASK, Tasks
from policies.rollout import Minibatch, Rollout


class Stateful(Protocol):
    """What has tensors to keep."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any) -> Any: ...


class Learner(ABC):
    """Changes an agent's weights. `rate` is its learning rate, which it may adapt unless `rate_is_fixed`.

    Args:
        agent: the agent to train, changed in place.
        settings: an instance of `settings_type`.
        tasks: of the run; the agent's critic has an estimate for each.
        ranks: learn together, each from its own rollout. What a learner averages or ranks it does over all of them.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]

    agent: Agent
    settings: Any
    tasks: Tasks
    optimizer: torch.optim.Optimizer
    ranks: Ranks
    expert_weights: Tensor | None = None
    """(tasks,), what KL(expert || agent) weighs in the loss; None where there are no experts."""

    @abstractmethod
    def __init__(self, agent: Agent, settings: Any, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE) -> None: ...

    @abstractmethod
    def update(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        """Learn from a rollout; randomness comes from `generator` alone. Returns figures for the log, by name.

        Raises:
            NotFiniteError: the numbers are no longer finite; on every rank.
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

    @abstractmethod
    def value_facts(self) -> dict[str, float | list[float]]:
        """What the critic's values mean, for the policy's card.

        `discount`, and `reward_scale`, if values are discounted sums of rewards times that, or else `value_mean` and
        `value_std` of each task; see `PopArt.facts`.
        """

    def card_facts(self) -> dict[str, str]:
        """What besides a policy's card tells of how it learnt."""
        return {}

    def towards_experts(self, batch: Minibatch, output: Output) -> tuple[Tensor | float, dict[str, Tensor]]:
        """What experts add to the loss of a minibatch, and how far they are, as KL and between the mean actions."""
        if self.expert_weights is None:
            return 0.0, {}
        weights = (self.expert_weights * self.tasks.step_weights)[batch.tasks]
        guided = self.expert_weights > 0
        mean, log_std = self.agent.over_controls(output)
        divergence, distance = expert_divergence(batch, mean, log_std), expert_distance(batch, mean)
        share = guided[self.tasks.ids].float().mean()
        known = {"expert_kl": divergence.detach(), "expert_distance": distance}
        of_guided = {name: values * guided[batch.tasks] for name, values in known.items()}
        figures = {name: batch.mean(values) / share for name, values in of_guided.items()}
        alone = tuple(f"{task}." for task, has in zip(self.tasks.names, guided.tolist(), strict=True) if not has)
        of_tasks = {name: x for name, x in self.tasks.figures(of_guided, batch).items() if not name.startswith(alone)}
        return batch.mean(weights * divergence), figures | of_tasks

    def _descend(self, loss: Tensor, batch: Minibatch) -> Tensor:
        """A step of the optimiser down a loss, of which each rank has its part.

        Returns:
            The norm of the gradient of the policy's own weights before it is clipped; see `Agent.trained_apart`.

        Raises:
            NotFiniteError: the loss or a gradient is not finite. Then there is no step.
        """
        limits = self._gradient_limits()
        numbers = take_gradients(loss, self.optimizer, self.parameters().values(), limits, self.ranks)
        self._check_finite(numbers, batch)
        self.optimizer.step()
        return numbers[1]

    def _gradient_limits(self) -> list[tuple[list[nn.Parameter], float]]:
        """Which parameters' gradients are clipped together, and to what norm: all that the optimiser changes."""
        return [(group, self.settings.max_gradient) for group in self.agent.trained_apart()]

    def _check_finite(self, numbers: Tensor, batch: Minibatch) -> None:
        """Complain of numbers that are not finite, which all ranks have made of a minibatch and know."""
        if not torch.isfinite(numbers).all():
            raise NotFiniteError(self.name, arrays_of(batch), batch.width)

    def _summarise(self, figures: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        """Means over minibatches of figures of which each rank has its part."""
        means = {name: torch.stack([figure[name] for figure in figures]).mean() for name in figures[0]}
        return dict(zip(means, self.ranks.sum(torch.stack([*means.values()])).tolist(), strict=True))

    def parameters(self) -> dict[str, nn.Parameter]:
        """What the optimiser changes, by name: the agent's."""
        return dict(self.agent.named_parameters())

    def modules(self) -> Mapping[str, Stateful]:
        """What the learner has beside the agent and keeps in checkpoints, by name."""
        return {}

    def rank_state(self) -> dict[str, Tensor]:
        """What this rank has of its own environments and keeps in checkpoints besides."""
        return {}

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        """The inverse of `rank_state`."""
        assert not state

    def state_dict(self) -> dict[str, Tensor]:
        """The optimiser's moments by parameter, the rate, and the state of `modules`, as tensors."""
        state = {"rate": torch.tensor(self.rate, dtype=torch.float64)}
        for name, parameter in self.parameters().items():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                state[f"{moment}.{name}"] = value
        for name, module in self.modules().items():
            state |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self.rate = float(state["rate"])
        parameters = self.parameters()
        for key, value in state.items():
            moment, _, name = key.partition(".")
            if name and "/" not in key:
                self.optimizer.state[parameters[name]][moment] = value.clone()
        for name, module in self.modules().items():
            prefix = f"{name}/"
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})


def take_gradients(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    limits: Sequence[tuple[list[nn.Parameter], float]],
    ranks: Ranks,
) -> Tensor:
    """Let parameters have the gradients of a loss, of which each rank has its part, clipped.

    Args:
        loss: this rank's part.
        optimizer: what takes the step afterwards.
        parameters: what it changes.
        limits: which of them are clipped together, and to what norm.
        ranks: the processes that learn together.

    Returns:
        The loss of all ranks, and the norm of each group before it is clipped, (1 + groups,).
    """
    optimizer.zero_grad()
    loss.backward()
    total = ranks.sum_gradients(parameters, loss)
    norms = [nn.utils.clip_grad_norm_(group, limit) for group, limit in limits]
    return torch.stack([total, *norms]).detach()
