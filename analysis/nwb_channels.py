"""What is recorded: every series with its unit, its columns, and how it is read from the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from analysis.nwb_layers import Layer
from policies.estimates import Estimates
from rodent.body import PREFIX
from rodent.env import RodentVectorEnv
from rodent.vision import PICTURE

Values = dict[str, NDArray[Any]]

POSE = "pose."  # how the names of keypoints begin among the series
MEMORY = "memory."  # and of what a task remembers that pictures show
LANDMARK = "landmark."  # and of where the rat is in terms of its task
SIGHT = "sight"
PATCHES = 8  # along each side of a picture
KEYPOINTS = (
    "skull", "jaw", "vertebra_atlant", "vertebra_cervical_3", "torso", "vertebra_1", "vertebra_3", "vertebra_6",
    "pelvis", "vertebra_C1", "vertebra_C10", "vertebra_C20", "vertebra_C30",
    "scapula_L", "upper_arm_L", "lower_arm_L", "hand_L", "finger_L",
    "scapula_R", "upper_arm_R", "lower_arm_R", "hand_R", "finger_R",
    "upper_leg_L", "lower_leg_L", "foot_L", "toe_L", "upper_leg_R", "lower_leg_R", "foot_R", "toe_R",
)  # fmt: skip
_BEFORE = "At each time stamp, before the action that is taken there."
_AFTER = "At the time stamp of the action that led to it, though it is there 20 ms later."
_STATE = "Float64, to the bit; each episode has one row more than actions, the state that the last one led to."


@dataclass(frozen=True)
class Series:
    """One recorded quantity."""

    name: str
    unit: str
    description: str
    columns: tuple[str, ...] = ()
    """A name for each number of a row; none where a row is one number."""
    of_states: bool = False
    """Whether it also has a row for the state after the last action."""
    is_layer: bool = False
    kind: str = ""
    """Of a layer: see `Layer.kind`."""
    exact: bool = False

    @property
    def dtype(self) -> str:
        """float32, but for what redraws pictures exactly."""
        return "f8" if self.exact else "f4"

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of a row."""
        return (len(self.columns),) if self.columns else ()


class Channels:
    """Reads the series that one task's environments and an agent's layers give.

    Args:
        env: the environments.
        felt: the senses that are recorded, by name: those that the policy reads.
        layers: of the agent.
        estimates: how the critic is read; None where it says nothing.
    """

    def __init__(
        self, env: RodentVectorEnv, felt: Sequence[str], layers: Sequence[Layer], estimates: Estimates | None
    ) -> None:
        model = env.engine.model
        self._env = env
        self._hinges = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE)
        self._angles, self._speeds = model.jnt_qposadr[self._hinges], model.jnt_dofadr[self._hinges]
        self._keypoints = {f"{POSE}{name}": model.body(f"{PREFIX}{name}").id for name in KEYPOINTS}
        self._senses = {f"sense.{plain(sense.name)}": sense for sense in env.senses.list if sense.name in felt}
        self._shown = {f"{MEMORY}{env.task.name}.{name}": name for name in env.task.shown}
        self._force = env.engine.output("actuator_force")
        self._landmarks = {f"{LANDMARK}{each.name}": each for each in env.task.landmarks(env.body)}
        self._rewards = list(env.task.rewards(env.engine.state, env.body))
        self.series = (
            *_layer_series(layers),
            *([_value_series(estimates)] if estimates else []),
            *self._state_series(model),
            *self._body_series(model),
            *self._action_series(),
        )

    def state(self) -> Values:
        """The simulations' present state, and what their tasks remember of them that pictures show."""
        state = self._env.engine.state
        values = {name: getattr(state, name).numpy() for name in ("qpos", "qvel", "act")}
        return values | {name: _flat(state.memory[entry]) for name, entry in self._shown.items()}

    def before(self, observation: Values) -> Values:
        """What the rats feel and how they stand before an action."""
        state = self._env.engine.state
        xpos = state.xpos.numpy()
        senses = {name: observation[sense.name] for name, sense in self._senses.items()}
        pose = {name: xpos[:, body] for name, body in self._keypoints.items()}
        qpos, qvel = state.qpos.numpy(), state.qvel.numpy()
        joints = {"joint_angles": qpos[:, self._angles], "joint_velocities": qvel[:, self._speeds]}
        landmarks = {f"{LANDMARK}{name}": values for name, values in self._env.landmarks().items()}
        sight = {SIGHT: patches(observation[PICTURE])} if self._env.eyes else {}
        return senses | pose | joints | landmarks | sight

    def after(self, action: NDArray[np.float32], info: dict[str, Any]) -> Values:
        """An action and what it led to."""
        terms = {f"reward.{name}": values for name, values in info["reward_terms"].items()}
        return {"action": action, "actuator_force": self._force.numpy(), "reward": info["task_reward"], **terms}

    def _state_series(self, model: mujoco.MjModel) -> list[Series]:
        unit = "mixed: m and rad, quaternion of the root"
        positions, speeds = _coordinates(model)
        actuators = tuple(plain(each.name) for each in self._env.body.actuators)
        series = [
            Series("qpos", unit, f"MuJoCo's generalised positions. {_STATE}", positions, True, exact=True),
            Series("qvel", "mixed: m/s and rad/s", f"Generalised velocities. {_STATE}", speeds, True, exact=True),
            Series("act", "1", f"MuJoCo's actuator activations. {_STATE}", actuators, True, exact=True),
        ]
        memory = self._env.engine.state.memory
        for name, entry in self._shown.items():
            columns = numbered(_flat(memory[entry]).shape[1])
            told = f"What the task {self._env.task.name} remembers as `{entry}`, which pictures show. {_STATE}"
            series.append(Series(name, "task's own", told, columns, True, exact=True))
        return series

    def _body_series(self, model: mujoco.MjModel) -> list[Series]:
        joints = tuple(plain(model.joint(i).name) for i in self._hinges)
        series = [
            Series("joint_angles", "rad", f"Every hinge of the body. {_BEFORE}", joints),
            Series("joint_velocities", "rad/s", f"Every hinge of the body. {_BEFORE}", joints),
        ]
        for name in self._keypoints:
            told = f"Where body part {name.removeprefix(POSE)} is in the world. {_BEFORE}"
            series.append(Series(name, "meters", told, ("x", "y", "z")))
        for name, sense in self._senses.items():
            told = f"dm_control's observable {sense.name}, as the rat senses it. {_BEFORE}"
            series.append(Series(name, sense.unit, told, numbered(sense.size)))
        for name, landmark in self._landmarks.items():
            told = f"Where the rat is in terms of its task, which no animal senses: {_words(landmark.name)}. {_BEFORE}"
            series.append(Series(name, landmark.unit, told))
        return [*series, _sight_series()] if self._env.eyes else series

    def _action_series(self) -> list[Series]:
        actuators = tuple(plain(each.name) for each in self._env.body.actuators)
        terms = [Series(f"reward.{name}", "reward", f"The reward's term `{name}`. {_AFTER}") for name in self._rewards]
        return [
            Series("action", "1", "The control of each actuator, in [-1, 1], taken at each time stamp.", actuators),
            Series("actuator_force", "N m", f"What each actuator exerts in the last physics step. {_AFTER}", actuators),
            Series("reward", "reward", f"The task's reward, the sum of its terms. {_AFTER}"),
            *terms,
        ]


def skeleton(model: mujoco.MjModel) -> NDArray[np.uint8]:
    """Which keypoints hang on which: (edges, 2), indices into `KEYPOINTS`, the parent first."""
    index = {model.body(f"{PREFIX}{name}").id: i for i, name in enumerate(KEYPOINTS)}
    edges = []
    for body, i in index.items():
        parent = int(model.body_parentid[body])
        while parent and parent not in index:
            parent = int(model.body_parentid[parent])
        if parent:
            edges.append((index[parent], i))
    return np.array(edges, dtype=np.uint8)


def _coordinates(model: mujoco.MjModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of MuJoCo's generalised positions and velocities."""
    positions: list[str] = []
    speeds: list[str] = []
    for i in range(model.njnt):
        name = plain(model.joint(i).name)
        free = model.jnt_type[i] == mujoco.mjtJoint.mjJNT_FREE
        positions += [f"{name}.{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")] if free else [name]
        speeds += [f"{name}.{part}" for part in ("vx", "vy", "vz", "wx", "wy", "wz")] if free else [name]
    return tuple(positions), tuple(speeds)


def plain(name: str) -> str:
    """A name of MuJoCo's or dm_control's as NWB admits it: without the rat's prefix and without slashes."""
    return name.removeprefix(PREFIX).replace("/", ".")


def _words(name: str) -> str:
    return name.replace("_", " ")


def numbered(count: int) -> tuple[str, ...]:
    """Names for columns that have none."""
    return tuple(map(str, range(count)))


def patches(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means over patches of pictures (..., 64, 64, 3): (..., patches * patches * 3), row by row, 0 to 1."""
    *batch, rows, columns, colours = pictures.shape
    cut = pictures.reshape(*batch, PATCHES, rows // PATCHES, PATCHES, columns // PATCHES, colours)
    means: NDArray[np.float32] = (cut.mean(axis=(-4, -2)) / 255).astype(np.float32)
    return means.reshape(*batch, -1)


def prediction_error_series(estimates: Estimates) -> Series:
    """See `Estimates.errors`."""
    scaled = "rewards are those of the task" if estimates.normalised else "rewards are scaled as in training"
    told = (
        f"{estimates.reward_scale:g} x reward + {estimates.discount:g} x the value of the next observation - value "
        f"(temporal-difference error, Sutton 1988), in the value's unit: {scaled}, without what training added to "
        "them. An episode that was terminated has no next value; one that was truncated has that of its last "
        f"observation. {_AFTER}"
    )
    return Series("prediction_error", _unit(estimates), told)


def _layer_series(layers: Sequence[Layer]) -> list[Series]:
    return [
        Series(
            layer.name,
            "1",
            f"The layer's {layer.kind}. The activity that the observation at each time stamp led to, and from which "
            "that time stamp's action was computed.",
            numbered(layer.units),
            is_layer=True,
            kind=layer.kind,
        )
        for layer in layers
    ]


def _value_series(estimates: Estimates) -> Series:
    told = "The critic's estimate of the discounted return from the observation at each time stamp on, "
    of = "of the task's own rewards: its output, denormalised." if estimates.normalised else "rewards scaled."
    return Series("value", _unit(estimates), told + of)


def _unit(estimates: Estimates) -> str:
    return "reward" if estimates.normalised else "scaled reward"


def _sight_series() -> Series:
    told = (
        f"What the rat sees, coarsely: means of red, green and blue, 0 to 1, over {PATCHES} x {PATCHES} patches of the "
        "picture that the network reads, row by row from the upper left. `analysis.nwb_sight` draws the pictures "
        f"themselves again. {_BEFORE}"
    )
    colours = ("red", "green", "blue")
    places = [f"{row}.{column}" for row in range(PATCHES) for column in range(PATCHES)]
    return Series(SIGHT, "1", told, tuple(f"{place}.{colour}" for place in places for colour in colours))


def _flat(values: Tensor) -> NDArray[Any]:
    return values.reshape(len(values), -1).numpy()
