"""Gymnasium environments: many rodents at once, or one."""

from __future__ import annotations

import secrets
from typing import Any

import gymnasium
import mujoco
import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rodent.aids import TrainingAids
from rodent.body import Body
from rodent.engine import CpuEngine
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP, Physics, find_physics
from rodent.pool import Arenas
from rodent.senses import Sense, Senses
from rodent.tasks import Task, episode_rng, make_task
from rodent.tasks.base import Origin
from rodent.vision import PICTURE, SIZE, Eyes, VisionSettings, vision_settings

Observation = dict[str, NDArray[Any]]
_METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_TIMESTEP)}


class RodentVectorEnv(VectorEnv[Any, NDArray[Any], NDArray[Any]]):
    """`num_envs` rats, each in a world of its own, stepped together.

    Args:
        task: a task's name, or a task with parameters of one's own.
        num_envs: how many environments.
        physics: a preset's name, or a preset of one's own.
        threads: worker threads, 0 for every core; results do not depend on it.
        autoreset_mode: Gymnasium's: when an ended episode is followed by the next one.
        aids: what training adds to the task; None, as every evaluation has it, is the task itself.
        render_mode: None or "rgb_array".
        pool: for a task whose arenas vary: 0, as every evaluation has it, gives each episode the arena that
            (task, seed, episode) says; N compiles N arenas beforehand and lets each episode pick one of them, which
            spares the compilation (tens of milliseconds) at each reset.
            `pool_seconds` is what that took.
        pool_seed: what the pool's arenas are drawn from, which are those of no episode, whatever its seed.
        privileged: add the task's privileged senses, whose names begin with `privileged/`: what no animal senses.
        flatten: give each observation as one array (envs, sum of sizes) float64, for learners that want one: the
            senses one after the other in the order of their names, as `gymnasium.spaces.flatten` has them. With vision,
            a dict of that array, as `flat`, and of the pictures.
        vision: whether the rats see, or how: `walker/egocentric_camera` (envs, 64, 64, 3) uint8 joins the observation.
            `metadata["vision"]` says how pictures are made.
        charted: keep what the task's landmarks need to know of each arena; see `landmarks`.
        rest: with autoreset "Disabled", environments whose episode has ended stay as they are, earn nothing and end no
            more until they are reset, at no cost, where a step would be refused.

    Observations are dicts of float64 (envs, size) under dm_control's names, unless `flatten`. Episode k of environment
    i is drawn from (task, seed of i, k) alone: `reset(seed=s)` gives environment i the seed s + i, `reset(seed=[...])`
    one each, and `options={"episode": [...]}` says which episodes to begin with (0 by default).

    Each step's `info` holds `task_reward` (envs,), `reward_terms`, `shaping_terms` (name -> (envs,)) and `endings`
    (cause -> (envs,) bool). A simulation that diverges ends its own episode alone, as terminated, with reward 0 and the
    cause `diverged`; `divergences` counts them.

    Raises:
        UsageError: an unknown task or preset, a count below 1; vision where nothing can draw.
    """

    metadata: dict[str, Any] = _METADATA

    def __init__(
        self,
        task: str | Task = "run",
        num_envs: int = 1,
        physics: str | Physics = "paper",
        threads: int = 0,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        aids: TrainingAids | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        camera: str = "side",
        pool: int = 0,
        pool_seed: int = 0,
        privileged: bool = False,
        flatten: bool = False,
        vision: bool | VisionSettings = False,
        charted: bool = False,
        rest: bool = False,
    ) -> None:
        if width < 1 or height < 1:
            raise UsageError(f"a picture must be at least 1x1 pixels, not {width}x{height}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"unknown render_mode {render_mode!r}: choose 'rgb_array' or None")
        self.task = make_task(task) if isinstance(task, str) else task
        self.physics = find_physics(physics) if isinstance(physics, str) else physics
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        if rest and self.autoreset_mode != AutoresetMode.DISABLED:
            raise UsageError(f"environments rest under autoreset_mode Disabled alone, not {autoreset_mode}")
        self.rest = rest
        if aids is not None and aids.led and not privileged:
            raise UsageError(
                f"the aid {aids.led} needs what privileged senses know: add --privileged or --privileged-critic"
            )
        self.aids = aids
        self.render_mode = render_mode
        self._picture = (width, height, camera)
        self._arenas = Arenas(self.task, self.physics, pool, pool_seed)
        model = self._arenas.first
        self.engine = CpuEngine(
            model,
            num_envs,
            self.physics.substeps,
            threads,
            self.task.full_forward,
            self.task.varies,
            self.task.expanded,
        )
        self.num_envs = num_envs
        self.privileged = privileged
        self.charted = charted
        self.flatten = flatten
        self._make_memory()
        self.senses = Senses(model, self._more_senses)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        settings = vision_settings(vision)
        self.eyes = Eyes(self.task, num_envs, settings, self._arenas.pool) if settings else None
        self._sight = f" with {settings}" if settings else ""
        if self.eyes:
            self.metadata["vision"] = self.eyes.description
        self.single_observation_space = self._space()
        self.single_action_space = Box(-1.0, 1.0, (model.nu,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.divergences = 0
        self._seeds = [secrets.randbits(63) for _ in range(num_envs)]
        self._episodes = np.full(num_envs, -1)  # index of each environment's current episode; -1 before its first
        self._steps = np.zeros(num_envs, dtype=np.int64)  # control steps taken in it
        self._limits = np.full(num_envs, self.task.step_limit)  # control steps at which it is truncated
        self._ended = np.zeros(num_envs, dtype=bool)
        self._last_action = torch.zeros(num_envs, model.nu, dtype=torch.float64)
        self._scenes: list[Any] = []

    @property
    def pool_seconds(self) -> float:
        """What it took to compile the pool of arenas, s."""
        return self._arenas.seconds

    @property
    def body(self) -> Body:
        """Tables of the rat's parts in this world's model."""
        return self.senses.body

    @property
    def qpos(self) -> NDArray[np.float64]:
        """Every simulation's generalised positions, (envs, nq), a copy."""
        return self.engine.state.qpos.numpy().copy()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: an int (environment i gets seed + i), a list with one each, or None to go on with the next episodes.
            options: `episode`: (envs,) ints, which episodes of the seeds to begin; `reset_mask`: (envs,) bool, which
                environments to reset (all by default).

        Returns:
            Observations of all environments, and an empty info.
        """
        options = options or {}
        if unknown := set(options) - {"episode", "reset_mask"}:
            raise UsageError(f"unknown reset options {sorted(unknown)}: only 'episode' and 'reset_mask' are known")
        mask = np.asarray(options.get("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise UsageError(
                f"reset_mask must be a bool array of shape ({self.num_envs},), not {mask.dtype} {mask.shape}"
            )
        ids = np.flatnonzero(mask)
        self._reseed(ids, seed)
        if "episode" in options:
            self._episodes[ids] = self._checked_episodes(options["episode"])[ids] - 1
        self._begin_episodes(ids)
        return self._outward(self._observe()), {}

    def step(
        self, actions: ArrayLike
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One control step (20 ms) of every environment.

        Args:
            actions: (envs, 38) in [-1, 1]; MuJoCo clips what lies outside.

        Returns:
            observations, rewards (envs,), terminated (envs,), truncated (envs,) and info, which always describes the
            step that was taken. With SAME_STEP autoreset, `info["final_obs"]` is an object array with the last
            observation of each episode that ended, `info["final_info"]` that step's info once more, where Gymnasium's
            own vector environments have it, and `_final_obs` and `_final_info` are their masks.

        Raises:
            UsageError: actions of the wrong shape or not finite, or a step of an ended environment without autoreset.
        """
        action, state = self._checked(actions), self.engine.state
        resting = self._ended & self.rest
        begin = self._environments_to_begin()
        state.ctrl.copy_(action)
        self.task.prepare(state)
        potential = self.aids.potential(self.task, state, self.body) if self.aids else None
        self.engine.step(np.flatnonzero(~resting) if resting.any() else None)
        self._steps += ~resting
        diverged = self.engine.diverged()
        diverged[begin] = False  # what an episode that is over does in the step that replaces it is nobody's
        forward = self.task.advance(state)
        if forward is not None and forward.any():
            self.engine.forward(np.flatnonzero(forward.numpy()))
        info, shaping = self._score(action, diverged, potential)
        reward = info["task_reward"] + shaping
        terminated = np.logical_or.reduce([*info["endings"].values(), diverged])
        time_limit = (self._steps >= self._limits) & ~terminated
        finished = {cause: ended.numpy() & ~terminated for cause, ended in self.task.truncated(state).items()}
        truncated = np.logical_or.reduce([*finished.values(), time_limit])
        info["endings"] |= {"diverged": diverged, **finished, "time_limit": time_limit}
        self.divergences += int(diverged.sum())
        self._last_action.copy_(action)
        if len(begin):  # NEXT_STEP: this step began these episodes, and its action was not theirs
            self._begin_episodes(begin)
        if len(begin) or resting.any():
            for values in (reward, terminated, truncated, *_arrays(info)):
                values[begin] = values[resting] = 0
        self._ended = terminated | truncated | resting
        if self.eyes:
            due = (self._steps % self.eyes.settings.every == 0) & (self._steps > 0) & ~resting
            self.eyes.look(np.flatnonzero(due), state)
        observation = self._observe()
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._ended.any():
            observation = self._begin_next(observation, info)
        return self._outward(observation), reward, terminated, truncated, info

    def landmarks(self) -> dict[str, NDArray[np.float64]]:
        """Where each rat is in terms of its task (`Task.landmarks`), (envs, 1) by name; of a `charted` environment."""
        state = self.engine.state
        return {each.name: each.read(state).numpy() for each in self.task.landmarks(self.body)}

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """One picture (height, width, 3) uint8 of each environment."""
        if self.render_mode is None:
            raise UsageError("render() needs render_mode='rgb_array' at construction")
        from rodent.scenes import Scenes

        if not self._scenes:
            self._scenes = [Scenes(self.task, *self._picture)]
        state = self.engine.state
        return tuple(self._scenes[0].draw(i, self._arena_origin(i), state) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderers."""
        if self.eyes:
            self.eyes.close()
            self.eyes = None
        while self._scenes:
            self._scenes.pop().close()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All that is needed to continue bit for bit in an environment built alike."""
        return {
            "kind": np.array(f"{self.task!r} under {self.physics.name}{self._arenas.name}{self._sight}"),
            "simulation": self.engine.snapshot(),
            "seeds": np.array([str(seed) for seed in self._seeds]),
            "episodes": self._episodes.copy(),
            "steps": self._steps.copy(),
            "limits": self._limits.copy(),
            "ended": self._ended.copy(),
            "last_action": self._last_action.numpy().copy(),
            "divergences": np.array(self.divergences),
            "arenas": np.array([self._arenas.places.get(i, 0) for i in range(self.num_envs)]),
            **({"pictures": self.eyes.pictures.copy()} if self.eyes else {}),
            **{f"memory.{name}": values.numpy().copy() for name, values in self.engine.state.memory.items()},
        }

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue from `state_dict()` of an environment with the same task, physics and number of environments."""
        snapshot, own = state["simulation"], self.state_dict()
        if state["kind"] != own["kind"] or snapshot.shape != own["simulation"].shape:
            raise UsageError(
                f"this is the state of {len(snapshot)} environments of {state['kind']}, "
                f"not of {self.num_envs} of {own['kind']}"
            )
        self._seeds = [int(seed) for seed in state["seeds"]]
        self._episodes[:] = state["episodes"]
        self._arenas.places = dict(enumerate(state["arenas"].tolist()))
        for name, values in self.engine.state.memory.items():
            values.copy_(torch.from_numpy(state[f"memory.{name}"].copy()))
        if self.task.varies:
            begun = np.flatnonzero(self._episodes >= 0).tolist()
            self.engine.use(begun, self._arenas.recall(begun, [self._rng(i) for i in begun]))
        if self.eyes:
            self._open_eyes(np.flatnonzero(self._episodes >= 0))
            self.eyes.pictures[:] = state["pictures"]
        self.engine.restore(snapshot)
        self._steps[:] = state["steps"]
        self._limits[:] = state["limits"]
        self._ended = state["ended"].copy()
        self._last_action.copy_(torch.from_numpy(state["last_action"].copy()))
        self.divergences = int(state["divergences"])

    def _reseed(self, ids: NDArray[np.intp], seed: int | list[int | None] | None) -> None:
        if seed is None:
            return
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise UsageError(f"one seed for each of {self.num_envs} environments is needed, not {len(seeds)}")
        for i in ids:
            if seeds[i] is not None:
                if not isinstance(seeds[i], int | np.integer) or seeds[i] < 0:
                    raise UsageError(f"a seed must be an integer of 0 or more, not {seeds[i]!r}")
                self._seeds[i] = int(seeds[i])
                self._episodes[i] = -1

    def _checked_episodes(self, episodes: ArrayLike) -> NDArray[np.int64]:
        given = np.asarray(episodes)
        if given.shape not in ((), (self.num_envs,)) or not np.issubdtype(given.dtype, np.integer) or (given < 0).any():
            raise UsageError(f"options['episode'] must be {self.num_envs} integers of 0 or more, or one")
        return np.broadcast_to(given, (self.num_envs,)).astype(np.int64)

    def _checked(self, actions: ArrayLike) -> Tensor:
        if (self._episodes < 0).any():
            raise UsageError("step() before reset(): call reset() first")
        try:
            action = np.asarray(actions, dtype=np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"actions must be numbers of shape {self.action_space.shape}") from None
        if action.shape != self.action_space.shape:
            raise UsageError(f"actions must have shape {self.action_space.shape}, not {action.shape}")
        if not np.isfinite(action).all():
            bad = int(np.flatnonzero(~np.isfinite(action).all(axis=1))[0])
            raise UsageError(f"actions must be finite; the one of environment {bad} is not")
        return torch.from_numpy(action)

    def _environments_to_begin(self) -> NDArray[np.intp]:
        """Environments whose ended episode is followed by a new one in this step (NEXT_STEP autoreset alone)."""
        if self.rest or not self._ended.any():
            return np.zeros(0, dtype=np.intp)
        if self.autoreset_mode == AutoresetMode.DISABLED:
            ids = np.flatnonzero(self._ended).tolist()
            raise UsageError(f"environments {ids} have ended: reset them with options={{'reset_mask': ...}} first")
        return np.flatnonzero(self._ended) if self.autoreset_mode == AutoresetMode.NEXT_STEP else np.zeros(0, np.intp)

    def _score(
        self, action: Tensor, diverged: NDArray[np.bool_], potential: Tensor | None
    ) -> tuple[dict[str, Any], NDArray[np.float64]]:
        """The task's reward terms and endings, and the sum of the shaping; a diverged simulation earns nothing."""
        state, body, alive = self.engine.state, self.body, torch.from_numpy(~diverged)
        rewards = self.task.rewards(state, body)
        endings = self.task.terminated(state, body)
        shaping: dict[str, Tensor] = {}
        if self.aids is not None:
            shaping = self.aids.shaping(self.task, state, body, action, self._last_action, potential)
            endings |= self.aids.terminated(state, body)
        reward_terms = {name: (term * alive).numpy() for name, term in rewards.items()}
        shaping_terms = {name: (term * alive).numpy() for name, term in shaping.items()}
        info: dict[str, Any] = {
            "task_reward": np.sum(list(reward_terms.values()), axis=0),
            "reward_terms": reward_terms,
            "endings": {cause: (ended & alive).numpy() for cause, ended in endings.items()},
        }
        if self.aids is not None:
            info["shaping_terms"] = shaping_terms
        return info, np.sum(list(shaping_terms.values()), axis=0) if shaping_terms else np.zeros(self.num_envs)

    def _begin_next(self, observation: Observation, info: dict[str, Any]) -> Observation:
        """Keep the last observation of ended episodes in `info` and begin the next ones."""
        ids = np.flatnonzero(self._ended)
        final = np.full(self.num_envs, None, dtype=object)
        for i in ids:
            final[i] = self._outward({name: values[i].copy() for name, values in observation.items()})
        info |= {"final_info": dict(info), "_final_info": self._ended.copy()}
        info |= {"final_obs": final, "_final_obs": self._ended.copy()}
        self._begin_episodes(ids)
        rows = self.engine.state.rows(ids)
        for name, values in self.senses.observe(rows).items():
            observation[name][ids] = values.numpy()
        if self.eyes:
            observation[PICTURE][ids] = self.eyes.pictures[ids]
        return observation

    def _begin_episodes(self, ids: NDArray[np.intp]) -> None:
        if not len(ids):
            return
        self._episodes[ids] += 1
        self._steps[ids] = 0
        self._ended[ids] = False
        self._last_action[torch.from_numpy(ids)] = 0
        rngs = [self._rng(i) for i in ids]
        if self.task.varies:
            self.engine.use(ids, self._arenas.choose(ids.tolist(), rngs))
        self.engine.reset(ids)
        for i, rng in zip(ids, rngs, strict=True):
            model = self.engine.model_of(i)
            start = self.task.start(model, self.body, rng)
            for name, value in self._remembered(model, rng).items():
                self.engine.state.memory[name][i] = torch.from_numpy(value)
            if self.aids is not None:
                start = self.aids.start(start, self.body, rng)
                self._limits[i] = self._training_limit(int(self._episodes[i]), rng)
            self.engine.state.qpos[i] = torch.from_numpy(start.qpos)
            self.engine.state.qvel[i] = torch.from_numpy(start.qvel)
        self.engine.forward_at_rest(ids)
        if self.eyes:
            self._open_eyes(ids)
            self.eyes.look(ids, self.engine.state)
        self.engine.diverged()  # a reset clears MuJoCo's counters or leaves them: either way, start from here

    def _open_eyes(self, ids: NDArray[np.intp]) -> None:
        """Tell the eyes of some environments which episode it is."""
        assert self.eyes is not None
        for i in ids:
            looks = self._rng(i).spawn(1)[0]  # of its own, so that vision changes nothing else
            self.eyes.begin(i, self.engine.model_of(i), self._arenas.places.get(int(i), 0), looks)

    def _rng(self, env: int) -> np.random.Generator:
        """What the present episode of an environment is drawn from."""
        return episode_rng(self.task, self._seeds[env], int(self._episodes[env]))

    def _remembered(self, model: mujoco.MjModel, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        chart = self.task.chart(model) if self.privileged or self.charted else {}
        return self.task.begin(model, rng) | chart

    def _more_senses(self, body: Body) -> tuple[Sense, ...]:
        return self.task.cues(body) + (self.task.privileged(body) if self.privileged else ())

    def _arena_origin(self, env: int) -> Origin:
        """What the arena of an environment is drawn from."""
        return self._arenas.origin(env, self._seeds[env], int(self._episodes[env]))

    def _make_memory(self) -> None:
        """Room for what the task remembers of each environment's episode."""
        for name, value in self._remembered(self.engine.model, np.random.default_rng(0)).items():
            self.engine.state.memory[name] = torch.from_numpy(np.stack([value] * self.num_envs))

    def _training_limit(self, episode: int, rng: np.random.Generator) -> int:
        assert self.aids is not None
        seconds = self.aids.episode_seconds
        limit = (
            self.task.step_limit if seconds is None else round(min(seconds, self.task.time_limit) / CONTROL_TIMESTEP)
        )
        if self.aids.spread_starts and episode == 0:
            limit = int(rng.integers(1, limit + 1))
        return limit

    def _observe(self) -> Observation:
        observation: Observation = {
            name: values.numpy() for name, values in self.senses.observe(self.engine.state).items()
        }
        if self.eyes:
            observation[PICTURE] = self.eyes.pictures.copy()
        return dict(sorted(observation.items()))

    def _outward(self, observation: Observation) -> Any:
        """The observation as the caller wants it; see `flatten`."""
        if not self.flatten:
            return observation
        flat = np.concatenate([observation[name] for name in self.senses.sizes], axis=-1)
        return {"flat": flat, PICTURE: observation[PICTURE]} if self.eyes else flat

    def _space(self) -> gymnasium.Space[Any]:
        """Of one environment's observations."""

        def senses(size: int) -> gymnasium.Space[Any]:
            return Box(-np.inf, np.inf, (size,), np.float64)

        sizes = {"flat": sum(self.senses.sizes.values())} if self.flatten else self.senses.sizes
        spaces = {name: senses(size) for name, size in sizes.items()}
        if self.eyes:
            spaces[PICTURE] = Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        return spaces["flat"] if self.flatten and not self.eyes else Dict(spaces)


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        modes = ", ".join(repr(known.value) for known in AutoresetMode)
        raise UsageError(f"unknown autoreset_mode {mode!r}: choose one of {modes}") from None


class RodentEnv(gymnasium.Env[Any, NDArray[Any]]):
    """One rat: `RodentVectorEnv` with a single environment and no leading axis; see there for the arguments."""

    metadata: dict[str, Any] = _METADATA

    def __init__(
        self,
        task: str | Task = "run",
        physics: str | Physics = "paper",
        aids: TrainingAids | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        camera: str = "side",
        pool: int = 0,
        pool_seed: int = 0,
        privileged: bool = False,
        flatten: bool = False,
        vision: bool | VisionSettings = False,
    ) -> None:
        self.vector = RodentVectorEnv(
            task,
            1,
            physics,
            1,
            AutoresetMode.DISABLED,
            aids,
            render_mode,
            width,
            height,
            camera,
            pool,
            pool_seed,
            privileged,
            flatten,
            vision,
        )
        self.metadata = {name: value for name, value in self.vector.metadata.items() if name != "autoreset_mode"}
        self.render_mode = render_mode
        self.task = self.vector.task
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode, or with a seed that seed's first; `options={"episode": k}` begins its k-th."""
        super().reset(seed=None if seed is None else int(seed))
        observation, info = self.vector.reset(seed=None if seed is None else [seed], options=options)
        return _first(observation), info

    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One control step, under an action (38,); see `RodentVectorEnv.step`."""
        if np.shape(action) != self.action_space.shape:
            raise UsageError(f"an action must have shape {self.action_space.shape}, not {np.shape(action)}")
        observation, reward, terminated, truncated, info = self.vector.step(np.asarray(action)[None])
        return _first(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), _first(info)

    def render(self) -> NDArray[np.uint8] | None:
        """A picture (height, width, 3) uint8."""
        pictures = self.vector.render()
        return pictures[0] if pictures else None

    def close(self) -> None:
        """Free the renderer."""
        self.vector.close()


def _first(values: Any) -> Any:
    """The first environment's part of an array, or of nested dicts of them."""
    return {name: _first(value) for name, value in values.items()} if isinstance(values, dict) else values[0]


def _arrays(info: dict[str, Any]) -> list[NDArray[Any]]:
    """Every array of nested dicts."""
    leaves: list[NDArray[Any]] = []
    for value in info.values():
        leaves += _arrays(value) if isinstance(value, dict) else [value]
    return leaves
