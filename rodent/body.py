"""The animal: dm_control's rat, and tables that say what each part of its compiled model is and does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from rodent.opengl import without_opengl

if TYPE_CHECKING:
    from dm_control.locomotion.walkers.rodent import Rat

PREFIX = "walker/"
TORSO = f"{PREFIX}torso"
HEAD = f"{PREFIX}skull"
PELVIS = f"{PREFIX}pelvis"
HEAD_SITE = f"{PREFIX}head"
EGOCENTRIC_CAMERA = f"{PREFIX}egocentric"
END_EFFECTORS = tuple(f"{PREFIX}{name}" for name in ("lower_arm_R", "lower_arm_L", "foot_R", "foot_L"))
APPENDAGES = (*END_EFFECTORS, HEAD)
TOUCH_SENSORS = tuple(f"{PREFIX}{name}" for name in ("palm_L", "palm_R", "sole_L", "sole_R"))
PAWS = tuple(f"{PREFIX}{name}" for name in ("hand_L", "hand_R", "foot_L", "foot_R"))

# What an actuator moves, from the parts of its name. Control 1 pulls its joint or tendon towards the upper limit.
_JOINT_VERBS = {
    "supinate": "turns the limb about its long axis",
    "abduct": "moves the limb away from the midline",
    "extend": "swings the limb about the left-right axis",
    "sup": "turns the upper arm about its long axis",
}
_SPINE_VERBS = {"extend": "arches up or down", "bend": "bends sideways", "twist": "twists about the long axis"}
_PART_OF = {
    "lumbar": "the lumbar spine (a tendon over its joints)",
    "cervical": "the neck (a tendon over its joints)",
    "caudal": "the tail (a tendon over its joints)",
    "hip": "the thigh",
    "knee": "the knee",
    "ankle": "the ankle",
    "toe": "the toes",
    "atlas": "the head on the neck",
    "mandible": "the jaw",
    "scapula": "the shoulder blade",
    "shoulder": "the upper arm",
    "elbow": "the elbow",
    "wrist": "the wrist",
    "finger": "the fingers",
}


def build_rat() -> Rat:
    """dm_control's `Rat` without its camera observable and without its 3.4 GB arena.

    rodent.xml sets `njmax` and `nconmax`, from which MuJoCo reserves 3.4 GB for each MjData; the physics does not
    depend on it.
    """
    with without_opengl():
        from dm_control.locomotion.walkers.rodent import Rat

    rat = Rat(observable_options={"egocentric_camera": {"enabled": False}})
    size = rat.mjcf_model.size
    del size.njmax, size.nconmax
    size.memory = "64M"
    return rat


@dataclass(frozen=True)
class Joint:
    """A hinge that dm_control's rat observes (one with an actuator of its own)."""

    name: str
    qpos: int  # address in qpos
    qvel: int  # address in qvel
    range: tuple[float, float]  # rad


@dataclass(frozen=True)
class Actuator:
    """A position-like actuator; control in [-1, 1] maps to the range of its joint or tendon."""

    name: str
    transmission: str  # "joint" or "tendon"
    target: str  # the joint or tendon it pulls
    gain: float  # N m per unit of activation, before the bias (tendons here are sums of joint angles, in rad)
    effect: str  # in words


@dataclass(frozen=True)
class Body:
    """Where each part of the rat stands in a compiled model that holds one rat named `walker`.

    Indices are integer arrays into MuJoCo's arrays, in dm_control's order.
    """

    joints: tuple[Joint, ...]  # the 30 actuated joints, in the actuators' order
    tendons: tuple[str, ...]  # 8
    actuators: tuple[Actuator, ...]  # 38
    joint_qpos: np.ndarray  # (30,) into qpos
    joint_qvel: np.ndarray  # (30,) into qvel
    hinge_qpos: np.ndarray  # (67,) every hinge's address in qpos
    hinge_range: np.ndarray  # (67, 2) rad
    tendon_ids: np.ndarray  # (8,)
    torso: int
    head: int
    pelvis: int
    head_site: int  # where the accelerometer sits
    end_effectors: np.ndarray  # (4,) body ids
    appendages: np.ndarray  # (5,) body ids
    paws: np.ndarray  # (4,) body ids: left hand, right hand, left foot, right foot
    root_qpos: int  # address of the free joint: position (3), quaternion (4)
    geoms: np.ndarray  # every geom of the rat
    mass: float  # kg


def sensor_slice(model: mujoco.MjModel, name: str) -> slice:
    """Where sensor `name` stands in `sensordata`."""
    sensor = model.sensor(name)
    start = int(sensor.adr[0])
    return slice(start, start + int(sensor.dim[0]))


def describe(model: mujoco.MjModel) -> Body:
    """Tables of the rat in a compiled model.

    Args:
        model: a model with one rat attached under the name `walker`.

    Raises:
        KeyError: the model holds no such rat.
    """
    tendon_type = mujoco.mjtTrn.mjTRN_TENDON
    actuators, joints = [], []
    for i in range(model.nu):
        name = model.actuator(i).name
        transmission = "tendon" if model.actuator_trntype[i] == tendon_type else "joint"
        target_id = int(model.actuator_trnid[i, 0])
        target = model.tendon(target_id).name if transmission == "tendon" else model.joint(target_id).name
        actuators.append(
            Actuator(
                name, transmission, target, float(model.actuator_gainprm[i, 0]), _effect(name.removeprefix(PREFIX))
            )
        )
        if transmission == "joint":
            low, high = model.jnt_range[target_id]
            joints.append(
                Joint(
                    target,
                    int(model.jnt_qposadr[target_id]),
                    int(model.jnt_dofadr[target_id]),
                    (float(low), float(high)),
                )
            )
    torso = model.body(TORSO).id
    root = int(model.body_jntadr[model.body_rootid[torso]])
    hinges = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE)
    rat_geoms = [i for i in range(model.ngeom) if model.body(model.geom_bodyid[i]).name.startswith(PREFIX)]
    return Body(
        joints=tuple(joints),
        tendons=tuple(model.tendon(i).name for i in range(model.ntendon)),
        actuators=tuple(actuators),
        joint_qpos=np.array([j.qpos for j in joints]),
        joint_qvel=np.array([j.qvel for j in joints]),
        hinge_qpos=model.jnt_qposadr[hinges].astype(np.int64),
        hinge_range=model.jnt_range[hinges].copy(),
        tendon_ids=np.arange(model.ntendon),
        torso=torso,
        head=model.body(HEAD).id,
        pelvis=model.body(PELVIS).id,
        head_site=model.site(HEAD_SITE).id,
        end_effectors=np.array([model.body(name).id for name in END_EFFECTORS]),
        appendages=np.array([model.body(name).id for name in APPENDAGES]),
        paws=np.array([model.body(name).id for name in PAWS]),
        root_qpos=int(model.jnt_qposadr[root]),
        geoms=np.array(rat_geoms),
        mass=float(model.body_subtreemass[model.body_rootid[torso]]),
    )


def _effect(actuator: str) -> str:
    """What an actuator does, in words, from the parts of its name (`hip_L_extend`, `lumbar_bend`, ...)."""
    part, *rest = actuator.split("_")
    side = {"L": "left ", "R": "right "}.get(next((r for r in rest if r in "LR"), ""), "")
    motion = next((r for r in rest if r not in "LR"), "")
    where = _PART_OF[part].replace("the ", f"the {side}", 1)
    if part in ("lumbar", "cervical", "caudal"):
        return f"{_SPINE_VERBS[motion]}: {where}"
    if motion in _JOINT_VERBS:
        return f"{_JOINT_VERBS[motion]}: {where}"
    return f"flexes or extends {where}"
