"""Experts: policies that say, wherever another agent gets to, what they would do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gymnasium
import torch
from torch import Tensor

from policies.agent import reset_state
from policies.multitask import Tasks
from policies.observation import Observation, ObservationSpec
from policies.policy import Policy
from policies.storage import Arrays
from rodent.errors import UsageError


def name_experts(given: Sequence[str]) -> dict[str, str]:
    """Which policy is the expert of which task.

    Args:
        given: `TASK=POLICY`, or `POLICY` for the tasks that it was itself trained on.

    Raises:
        UsageError: there is no such policy, it does not say its task, or a task has two experts.
    """
    experts: dict[str, str] = {}
    for each in given:
        task, equals, policy = each.partition("=")
        tasks = [task] if equals else Policy.load(each).tasks
        for name in tasks:
            if name in experts:
                raise UsageError(f"task {name} has two experts, {experts[name]} and {policy or each}: give one")
            experts[name] = policy or each
    return experts


def load_experts(given: Sequence[str], tasks: Sequence[str]) -> dict[str, Policy]:
    """The experts of some of `tasks`, by task; see `name_experts`.

    Raises:
        UsageError: an expert cannot be loaded, or is of none of the tasks.
    """
    named = name_experts(given)
    if strangers := [task for task in named if task not in tasks]:
        raise UsageError(
            f"{named[strangers[0]]} is an expert of {strangers[0]}, and the tasks are {', '.join(tasks)}: "
            f"add the task, or give TASK={named[strangers[0]]} with one of these"
        )
    return {task: Policy.load(policy) for task, policy in named.items()}


class Experts:
    """The experts of some environments' tasks. Each follows the agent with a hidden state of its own.

    Args:
        policies: by task; a task may be without.
        tasks: of the environments.
        actions: how many an action has, A.

    `advice` is the mean and the logarithm of the standard deviation, (envs, A) each, of what the experts would do in
    the observation last told; zeros where there is none.
    """

    def __init__(self, policies: Mapping[str, Policy], tasks: Tasks, actions: int) -> None:
        envs = len(tasks.ids)
        self.advice = (torch.zeros(envs, actions), torch.zeros(envs, actions))
        self._members = [
            (task, policies[task], torch.from_numpy(rows))
            for task, rows in zip(tasks.names, tasks.rows, strict=True)
            if task in policies
        ]
        self._state = {task: policy.initial(len(rows)) for task, policy, rows in self._members}

    @torch.inference_mode()
    def advise(self, observation: Observation, starts: Tensor) -> None:
        """Renew `advice`.

        Args:
            observation: senses by name, (envs, d) each, and pictures.
            starts: (envs,) bool: an episode begins there.
        """
        means, log_stds = (advice.clone() for advice in self.advice)
        for task, policy, rows in self._members:
            mine = {name: observation[name][rows.numpy()] for name in policy.senses.names}
            state = reset_state(self._state[task], starts[rows])
            seen = policy.senses.look(mine)
            output, self._state[task] = policy.agent.step(policy.senses.flatten(mine), state, seen)
            means[rows], log_stds[rows] = policy.agent.over_controls(output)
        self.advice = means, log_stds

    def state_dict(self) -> Arrays:
        """All that is needed to go on bit for bit."""
        hidden = {f"{task}/{name}": x.numpy() for task, state in self._state.items() for name, x in state.items()}
        return hidden | {"means": self.advice[0].numpy(), "log_stds": self.advice[1].numpy()}

    def load_state_dict(self, state: Arrays) -> None:
        """The inverse of `state_dict`."""
        for task, held in self._state.items():
            self._state[task] = {name: torch.from_numpy(state[f"{task}/{name}"].copy()) for name in held}
        self.advice = torch.from_numpy(state["means"].copy()), torch.from_numpy(state["log_stds"].copy())


def check_experts(
    policies: Mapping[str, Policy], spaces: Mapping[str, gymnasium.Space], actions: tuple[str, ...]
) -> None:
    """See that each expert finds what it reads in its own task, and acts by the same actuators.

    Args:
        policies: by task.
        spaces: what each task's environments offer, by task.
        actions: names of the actuators.

    Raises:
        UsageError: it does not.
    """
    for task, policy in policies.items():
        try:
            policy.senses.check(ObservationSpec.of(spaces[task]), more=True)
        except UsageError as error:
            raise UsageError(f"the expert of {task} can't act there: {error}") from None
        if policy.action_names != actions:
            raise UsageError(
                f"the expert of {task} drives other actuators: {', '.join(policy.action_names[:3])} ... "
                f"where there are {', '.join(actions[:3])} ..."
            )
