"""Lets a policy act through episodes of a task and writes what its network and body do."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.nwb_channels import Channels, prediction_error_series
from analysis.nwb_layers import Layers
from analysis.nwb_parts import Facts, Parts, PartWriters
from policies.agent import AgentState, Output, reset_state
from policies.observation import ObservationSpec
from policies.plain import to_plain
from policies.policy import Policy
from policies.threads import torch_threads
from rodent.env import Observation, RodentVectorEnv
from rodent.tasks import Task

MOST_AT_ONCE = 16  # episodes; more cost memory and gain nothing


@dataclass(frozen=True)
class Conditions:
    """All that an episode depends on, beside its policy, task and index."""

    seed: int
    physics: str
    deterministic: bool
    """Take mean actions; else sample."""
    steps: int | None
    """Cut episodes after so many control steps."""


def play_and_record(
    policy: Policy,
    task: Task,
    episodes: int,
    conditions: Conditions,
    parts: Parts,
    threads: int,
    progress: Callable[[float], None],
) -> None:
    """Play the first episodes of a task that are not among the parts yet, and write each as a part.

    Raises:
        UsageError: the policy reads senses that the task does not offer.
    """
    missing = [index for index in range(episodes) if parts.find(task.name, index) is None]
    if not missing:
        return
    rounds = math.ceil(episodes / MOST_AT_ONCE)
    envs = math.ceil(episodes / rounds)  # of all episodes, so that one that is played later is played alike
    env = RodentVectorEnv(
        task,
        envs,
        conditions.physics,
        threads,
        "Disabled",
        privileged=policy.senses.privileged or policy.senses.critic_size > 0,
        vision=policy.sight,
        charted=True,
    )
    offered = ObservationSpec.of(env.single_observation_space, privileged_critic=policy.senses.critic_size > 0)
    policy.senses.check(offered)
    with ExitStack() as stack:
        rollout = _Rollout(policy, env, conditions, parts, missing, policy.senses.critic_hears(offered))
        stack.callback(rollout.close)
        with torch_threads(1):  # such small products: more threads only wait for each other
            for done in rollout:
                progress(done)
    env.close()


class _Rollout:
    """The episodes that are played at once. Iterating takes control steps; each gives the share that is done."""

    def __init__(
        self,
        policy: Policy,
        env: RodentVectorEnv,
        conditions: Conditions,
        parts: Parts,
        missing: list[int],
        hears: bool,
    ) -> None:
        self._policy, self._env, self._layers, self._hears = policy, env, Layers(policy.agent), hears
        self._conditions, self._parts = conditions, parts
        self._limit = min(env.task.step_limit, conditions.steps or env.task.step_limit)
        self._waiting, self._count = list(missing), len(missing)
        self._estimates = policy.estimates(env.task.name) if hears else None
        described = self._layers.describe()
        self._recorded = {layer.name for layer in described}
        self._channels = Channels(env, policy.senses.names, described, self._estimates)
        self._predicts = self._estimates is not None and self._estimates.discount is not None
        late = [prediction_error_series(self._estimates)] if self._estimates and self._predicts else []
        self._writers = PartWriters(self._channels.series, late, env.num_envs)
        self._episodes = np.zeros(env.num_envs, dtype=np.int64)
        self._steps = np.zeros(env.num_envs, dtype=np.int64)
        self._totals = np.zeros(env.num_envs)
        self._noise: dict[int, torch.Generator] = {}
        self._state: AgentState = policy.initial(env.num_envs)
        self._observation: Observation = {}

    def __iter__(self) -> Iterator[float]:
        self._begin(np.ones(self._env.num_envs, dtype=bool))
        while len(self._writers.running):
            self._step()
            running = self._writers.running
            finished = self._count - len(self._waiting) - len(running)
            yield (finished + self._steps[running].sum() / self._limit) / self._count

    def close(self) -> None:
        """Discard what is not finished."""
        self._writers.close()

    def _step(self) -> None:
        output, state, activity = self._think()
        action = self._choose(output)
        self._writers.put({name: values.numpy() for name, values in activity.items()})
        if self._estimates:
            self._writers.put({"value": self._estimates.read(output.value).numpy()})
        self._writers.put(self._channels.state() | self._channels.before(self._observation))
        self._observation, _, terminated, truncated, info = self._env.step(action)
        self._writers.put(self._channels.after(action, info))
        self._writers.advance()
        self._state = state
        self._steps += 1
        self._totals += info["task_reward"]
        over = terminated | truncated
        if (over | (self._steps >= self._limit)).any():
            self._end(over | (self._steps >= self._limit), terminated, info["endings"])

    def _think(self) -> tuple[Output, AgentState, dict[str, Tensor]]:
        senses = self._policy.senses
        flat = senses.flatten(self._observation, critic=self._hears)
        output, state, activity = self._layers.step(flat, self._state, senses.look(self._observation))
        # Layers of a critic that alone reads privileged senses are no part of the animal.
        return output, state, {name: values for name, values in activity.items() if name in self._recorded}

    def _choose(self, output: Output) -> NDArray[np.float32]:
        action = output.mean
        if not self._conditions.deterministic:
            noise = torch.zeros_like(output.mean)
            for env in self._writers.running:
                noise[env] = torch.randn(noise.shape[1], generator=self._noise[env])
            action = output.mean + output.log_std.exp() * noise
        return self._policy.agent.controls(output, action).numpy()

    def _end(self, over: NDArray[np.bool_], terminated: NDArray[np.bool_], endings: Mapping[str, Any]) -> None:
        """Close episodes that are over, and begin others in their place."""
        self._writers.put(self._channels.state())
        last_values = self._last_values() * ~terminated if self._predicts else None
        for env in np.intersect1d(np.flatnonzero(over), self._writers.running).tolist():
            causes = [cause for cause, mask in endings.items() if mask[env]]
            facts = Facts(
                task=self._env.task.name,
                parameters=to_plain(asdict(self._env.task)),
                seed=self._conditions.seed,
                episode=int(self._episodes[env]),
                steps=int(self._steps[env]),
                outcome=causes[0] if causes else "cut",
                total=float(self._totals[env]),
            )
            late = {}
            if last_values is not None:
                late["prediction_error"] = self._prediction_error(env, last_values[env])
            self._writers.finish(env, facts, late)
        self._begin(over)

    def _begin(self, where: NDArray[np.bool_]) -> None:
        """Begin waiting episodes; an environment for which there is none goes on without being recorded."""
        for env in np.flatnonzero(where).tolist():
            if self._waiting:
                self._episodes[env] = self._waiting.pop(0)
                self._noise[env] = _noise(self._env.task, self._conditions.seed, int(self._episodes[env]))
                self._writers.begin(env, self._parts.path(self._env.task.name, int(self._episodes[env])))
        options = {"episode": self._episodes, "reset_mask": where}
        self._observation, _ = self._env.reset(seed=[self._conditions.seed] * self._env.num_envs, options=options)
        self._steps[where] = 0
        self._totals[where] = 0
        self._state = reset_state(self._state, torch.from_numpy(where))

    def _last_values(self) -> NDArray[np.float32]:
        """What the critic says of the observations that are there now."""
        assert self._estimates
        return self._estimates.read(self._think()[0].value).numpy()

    def _prediction_error(self, env: int, last_value: float) -> NDArray[np.float64]:
        """Of each step of an episode that is over, (steps,)."""
        assert self._estimates
        values = self._writers.so_far(env, "value").astype(np.float64)
        rewards = self._writers.so_far(env, "reward").astype(np.float64)
        return self._estimates.errors(rewards, values, last_value)


def _noise(task: Task, seed: int, episode: int) -> torch.Generator:
    """What an episode's actions are sampled with, whichever others are played beside it."""
    key = (zlib.crc32(task.name.encode()), episode, 1)  # the world is drawn from the first two
    (drawn,) = np.random.SeedSequence(entropy=seed, spawn_key=key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(drawn >> np.uint64(1)))
