"""Lets an agent act in the environments and writes down what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from policies.agent import Agent, AgentState, Output, reset_state
from policies.distributed import ALONE, Ranks
from policies.environment import TrainingEnv
from policies.experts import Experts
from policies.multitask import ONE_TASK, Tasks, own_names
from policies.observation import Observation, ObservationSpec
from policies.rollout import Rollout
from policies.storage import Arrays, below

GROUPS = {"reward_terms": "reward", "shaping_terms": "shaping"}  # of `info`, and what the log calls them


class Collector:
    """An agent among its environments, and what lies between two rollouts: observation, hidden state, episodes.

    Args:
        env: `num_envs` environments; they are reset here.
        agent: acts, by sampling.
        senses: what it reads.
        seeds: of the environments.
        generator: source of the actions' noise.
        tasks: of these environments; None where they all have one.
        experts: say what they would do wherever the agent gets to.
        ranks: have as many environments each, which the figures are of, too.

    Attributes:
        noise_persistence: rho, 0 unless it is set; each action has rho times the last one's noise on top of its own, so
            that what is tried lasts for longer than a control step, and all the noise has the standard deviation of its
            own over sqrt(1 - rho^2) (correlated exploration: Wawrzynski 2015; Hollenstein et al. 2024). Learners see
            the action without what was carried over, which to them is a part of the world, so that their policy
            gradient is exact.
    """

    def __init__(
        self,
        env: TrainingEnv,
        agent: Agent,
        senses: ObservationSpec,
        seeds: Sequence[int],
        generator: torch.Generator,
        tasks: Tasks | None = None,
        experts: Experts | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.env = env
        self.agent = agent
        self.senses = senses
        self.generator = generator
        self.tasks = tasks or replace(ONE_TASK, ids=torch.zeros(env.num_envs, dtype=torch.long))
        self.experts = experts
        self.ranks = ranks
        self.noise_persistence = 0.0
        # Noise of earlier steps, on top of the next action.
        self._carried = torch.zeros(env.num_envs, agent.command_size)
        self._share = ranks.share(ranks.count * env.num_envs)
        self.state: AgentState = agent.initial(env.num_envs)
        self.starts = torch.ones(env.num_envs, dtype=torch.bool)
        self._sense(env.reset(seed=[*seeds])[0])
        self._returns = np.zeros(env.num_envs)  # of the episodes under way, the task's own reward alone
        self._lengths = np.zeros(env.num_envs, dtype=np.int64)  # control steps

    @torch.inference_mode()
    def collect(self, rollout: Rollout) -> dict[str, float]:
        """Fill a rollout, going on from where the last one ended.

        Returns:
            Figures for the log: `reward` a step (the task's own), `reward.NAME` and `shaping.NAME` a step,
            `ended.CAUSE` counts; and `episode_return`, `episode_length` (means) of the episodes that ended, if any. Of
            several tasks each has figures of its own, `TASK.reward` and so on; `reward` is that of all together.
        """
        time, names = len(rollout.rewards), self.tasks.names
        tallies = [_Tally(name, rows, time) for name, rows in zip(names, self.tasks.rows, strict=True)]
        for name, value in rollout.initial_state.items():
            value.copy_(self.state[name])
        for t in range(time):
            self._step(rollout, t, tallies)
        rollout.next_values[:-1] = torch.where(rollout.ended[:-1], rollout.next_values[:-1], rollout.values[1:])
        last = self._act()[0].value
        rollout.next_values[-1] = torch.where(rollout.ended[-1], rollout.next_values[-1], last)
        tallies, *others = self.ranks.gather(tallies)
        for theirs in others:
            for tally, other in zip(tallies, theirs, strict=True):
                tally.include(other)
        reward = sum(tally.sums["reward"] for tally in tallies) / sum(tally.count for tally in tallies)
        return {"reward": float(reward)} | self.tasks.label([tally.figures() for tally in tallies])

    def _act(self) -> tuple[Output, AgentState]:
        """What the agent says now, of the value that of each environment's own task, and its next state."""
        output, state = self.agent.step(self.observation, reset_state(self.state, self.starts), self.picture)
        return output._replace(value=self.agent.of_task(output.value, self.tasks.ids)), state

    def _step(self, rollout: Rollout, t: int, tallies: list[_Tally]) -> None:
        output, self.state = self._act()
        action = output.displaced(self._share.noise(self.agent.command_size, self.generator))
        rollout.record_action(t, self.observation, self.picture, self.starts, output, action)
        if self.experts is not None:
            rollout.record_experts(t, *self.experts.advice)
        executed = action + self._carried
        self._carried = self.noise_persistence * (executed - output.mean)
        observation, reward, terminated, truncated, info = self.env.step(self.agent.controls(output, executed).numpy())
        rollout.rewards[t] = torch.from_numpy(reward)
        rollout.terminated[t] = torch.from_numpy(terminated)
        rollout.truncated[t] = torch.from_numpy(truncated)
        if truncated.any():
            rollout.next_values[t] = self._final_values(info, truncated)
        ended = terminated | truncated
        self._returns += info["task_reward"]
        self._lengths += 1
        for tally in tallies:
            tally.add(info, ended, self._returns, self._lengths)
        self._returns[ended] = 0
        self._lengths[ended] = 0
        self.starts = torch.from_numpy(ended)
        self._carried[self.starts] = 0
        self._sense(observation)

    def _sense(self, observation: Observation) -> None:
        self.observation = self.senses.flatten(observation, critic=True)
        self.picture = self.senses.look(observation)
        if self.experts is not None:
            self.experts.advise(observation, self.starts)

    def _final_values(self, info: dict[str, Any], truncated: NDArray[np.bool_]) -> Tensor:
        """The critic's values of the observations in which episodes were cut off; zero elsewhere. (envs,)."""
        where = torch.from_numpy(truncated)
        last = info["final_obs"][truncated]
        final, picture = self.senses.flatten_each(last, critic=True), self.senses.look_each(last)
        state = {name: value[where] for name, value in self.state.items()}
        values = torch.zeros(len(truncated))
        values[where] = self.agent.of_task(self.agent.step(final, state, picture)[0].value, self.tasks.ids[where])
        return values

    def state_dict(self) -> Arrays:
        """All that is needed to go on bit for bit, the environments' state included."""
        own = {
            "observation": self.observation.numpy(),
            "starts": self.starts.numpy(),
            "carried": self._carried.numpy(),
            "returns": self._returns,
            "lengths": self._lengths,
        }
        if self.picture is not None:
            own["picture"] = self.picture.numpy()
        hidden = {f"hidden.{name}": value.numpy() for name, value in self.state.items()}
        if self.experts is not None:
            own |= {f"experts.{name}": value for name, value in self.experts.state_dict().items()}
        return own | hidden | {f"env.{name}": value for name, value in self.env.state_dict().items()}

    def load_state_dict(self, state: Arrays) -> None:
        """The inverse of `state_dict`."""
        self.env.load_state_dict(below("env.", state))
        self.state = {name: torch.from_numpy(value.copy()) for name, value in below("hidden.", state).items()}
        self.observation = torch.from_numpy(state["observation"].copy())
        self.picture = torch.from_numpy(state["picture"].copy()) if "picture" in state else None
        self.starts = torch.from_numpy(state["starts"].copy())
        self._carried = torch.from_numpy(state["carried"].copy())
        if self.experts is not None:
            self.experts.load_state_dict(below("experts.", state))
        self._returns = state["returns"].copy()
        self._lengths = state["lengths"].copy()


class _Tally:
    """Sums over a rollout of the environments of a task, which become means a step."""

    def __init__(self, task: str, rows: NDArray[np.intp], time: int) -> None:
        self.task = task
        self.rows = rows
        self.count = time * len(rows)
        self.sums: dict[str, float] = defaultdict(float)
        self.endings: dict[str, float] = defaultdict(float)
        self.returns: list[float] = []
        self.lengths: list[int] = []

    def add(
        self,
        info: dict[str, Any],
        ended: NDArray[np.bool_],
        returns: NDArray[np.float64],
        lengths: NDArray[np.int64],
    ) -> None:
        self.sums["reward"] += info["task_reward"][self.rows].sum()
        for group, label in GROUPS.items():
            for name, values in own_names(self.task, info.get(group, {})).items():
                self.sums[f"{label}.{name}"] += values[self.rows].sum()
        for cause, mask in own_names(self.task, info["endings"]).items():
            self.endings[f"ended.{cause}"] += mask[self.rows].sum()
        over = self.rows[ended[self.rows]]
        self.returns += returns[over].tolist()
        self.lengths += lengths[over].tolist()

    def include(self, other: _Tally) -> None:
        self.count += other.count
        for own, theirs in ((self.sums, other.sums), (self.endings, other.endings)):
            for name, total in theirs.items():
                own[name] += total
        self.returns += other.returns
        self.lengths += other.lengths

    def figures(self) -> dict[str, float]:
        count = max(self.count, 1)  # a rank may own none of the task's environments
        figures = {name: float(total) / count for name, total in self.sums.items()}
        figures |= {name: float(total) for name, total in self.endings.items()}
        if self.returns:
            figures["episode_return"] = float(np.mean(self.returns))
            figures["episode_length"] = float(np.mean(self.lengths))
        return figures
