"""How the rat moved: measures of one episode, computed from its path alone, whichever simulator it came from."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy import signal

from rodent.body import PREFIX, Body
from rodent.physics import CONTROL_TIMESTEP

Array = NDArray[np.float64]

_STILL = 0.1  # m/s; below it there is no gait to measure
_STRIDE_BAND = (1.0, 15.0)  # Hz; wide enough for any gait of an animal of this size
_SPEEDS = (_STILL, 0.4, 0.7, 1.0)  # m/s; rats gallop from 0.6 to 0.75 m/s on (doi:10.1242/jeb.204.15.2717)
_WINDOW = 64  # control steps (1.28 s) of which strides are told by their speed
_TIPPED = 0.5  # of a z axis along the world's: 60 degrees from upright, farther than a bound pitches
_TREMOR_FREQUENCY = 12.0  # Hz; above it lies vibration rather than locomotion
_SHORTEST = 50  # control steps (1 s) from which a spectrum is estimated
_TRUNK = (
    "torso",
    "pelvis",
    "vertebra_1",
    "vertebra_2",
    "vertebra_3",
    "vertebra_4",
    "vertebra_5",
    "vertebra_6",
    "skull",
    "jaw",
)


def measure_episode(model: mujoco.MjModel, body: Body, qpos: Array, actions: Array) -> dict[str, float | None]:
    """Measures of how an episode was moved through.

    Args:
        model: the episode's world.
        body: its tables.
        qpos: (steps, nq), after each control step.
        actions: (steps, 38), the actions that led there.

    Returns:
        speed: mean horizontal speed of the torso over windows of 0.2 s, m/s.
        forward_velocity: net displacement along world x by time, m/s.
        stride_hz: median over paws of the strongest frequency of fore-aft paw motion; None where the rat stood still.
        stride_hz_0.1_to_0.4, ...: the mean of the same over windows of 1.28 s in which the rat was so fast, m/s.
        belly_contact: share of steps in which trunk or head touched the world.
        upside_down: share of steps in which the torso's z axis pointed below the horizon.
        off_its_feet: share of steps in which torso or pelvis was more than 60 degrees from upright, as on a hip.
        action_roughness: RMS change of the action between steps over the action's RMS deviation from its mean.
        tremor: share of the joints' velocity power above 12 Hz.
        None stands for what cannot be estimated from so short an episode.
    """
    paws, belly, up = _kinematics(model, body, qpos)
    root = qpos[:, body.root_qpos : body.root_qpos + 2]
    seconds = len(qpos) * CONTROL_TIMESTEP
    speed = _speed(root)
    return {
        "speed": speed,
        "forward_velocity": float((root[-1, 0] - root[0, 0]) / seconds),
        "stride_hz": _stride_frequency(paws) if speed is not None and speed > _STILL else None,
        **_strides_by_speed(paws, root),
        "belly_contact": float(belly.mean()),
        "upside_down": float((up[:, 0] < 0).mean()),
        "off_its_feet": float((up.min(1) < _TIPPED).mean()),
        "action_roughness": _roughness(actions),
        "tremor": _tremor(qpos[:, body.joint_qpos]),
    }


def tally_measures(episodes: list[dict[str, float | None]]) -> dict[str, Array]:
    """Measures of episodes as tasks tell their outcomes: by name (episodes, 2), the value and 1, or 0 and 0 for None.

    The ratio of the sums is the mean over the episodes in which a measure could be estimated.
    """
    return {
        name: np.array([(0.0, 0.0) if (value := each[name]) is None else (value, 1.0) for each in episodes])
        for name in episodes[0]
    }


def _kinematics(model: mujoco.MjModel, body: Body, qpos: Array) -> tuple[Array, NDArray[np.bool_], Array]:
    """Paws in the torso's frame (steps, 4, 3), whether the trunk touched the world (steps,), up in torso and pelvis.

    The last, (steps, 2), is how far each one's z axis lies along the world's.
    """
    data = mujoco.MjData(model)
    trunk_bodies = [model.body(f"{PREFIX}{name}").id for name in _TRUNK]
    trunk = np.isin(model.geom_bodyid, trunk_bodies)
    rat = np.zeros(model.ngeom, dtype=bool)
    rat[body.geoms] = True
    paws, belly, up = np.empty((len(qpos), 4, 3)), np.empty(len(qpos), dtype=bool), np.empty((len(qpos), 2))
    for t, position in enumerate(qpos):
        data.qpos[:] = position
        mujoco.mj_fwdPosition(model, data)
        frame = data.xmat[body.torso].reshape(3, 3)
        paws[t] = (data.xpos[body.paws] - data.xpos[body.torso]) @ frame
        up[t] = data.xmat[[body.torso, body.pelvis], 8]
        pairs = data.contact.geom
        with_world = (rat[pairs].sum(1) == 1) & (data.contact.exclude == 0)  # an orb, which pushes nothing, is excluded
        belly[t] = bool((with_world & trunk[pairs].any(1)).any())
    return paws, belly, up


def _speed(position: Array, window: int = 10) -> float | None:
    if len(position) <= window:
        return None
    moved = np.linalg.norm(position[window:] - position[:-window], axis=1)
    return float(moved.mean() / (window * CONTROL_TIMESTEP))


def _stride_frequency(paws: Array) -> float | None:
    """Median over paws of the spectral peak of fore-aft motion in the torso's frame."""
    if len(paws) < _SHORTEST:
        return None
    frequency, power = signal.welch(
        paws[:, :, 0], fs=1 / CONTROL_TIMESTEP, nperseg=min(128, len(paws)), nfft=1024, detrend="linear", axis=0
    )
    band = (frequency >= _STRIDE_BAND[0]) & (frequency <= _STRIDE_BAND[1])
    return float(np.median(frequency[band][power[band].argmax(axis=0)]))


def _strides_by_speed(paws: Array, root: Array) -> dict[str, float | None]:
    """The mean stride frequency of half-overlapping windows, by the speed in the window."""
    windows = [slice(at, at + _WINDOW) for at in range(0, len(paws) - _WINDOW + 1, _WINDOW // 2)]
    speeds = np.array([_speed(root[each]) for each in windows])
    strides = np.array([_stride_frequency(paws[each]) for each in windows])
    found: dict[str, float | None] = {}
    for low, high in zip(_SPEEDS, (*_SPEEDS[1:], np.inf), strict=True):
        name = f"stride_hz_{low}_to_{high}" if np.isfinite(high) else f"stride_hz_above_{low}"
        mine = strides[(speeds > low) & (speeds <= high)]
        found[name] = float(mine.mean()) if len(mine) else None
    return found


def _roughness(actions: Array) -> float | None:
    deviation = actions.std(axis=0)
    if len(actions) < 2 or not deviation.any():
        return None
    return float(np.sqrt(np.square(np.diff(actions, axis=0)).mean() / np.square(deviation).mean()))


def _tremor(joints: Array) -> float | None:
    if len(joints) < _SHORTEST:
        return None
    velocity = np.diff(joints, axis=0) / CONTROL_TIMESTEP
    frequency, power = signal.welch(velocity, fs=1 / CONTROL_TIMESTEP, nperseg=min(128, len(velocity)), axis=0)
    total = power.sum()
    return float(power[frequency > _TREMOR_FREQUENCY].sum() / total) if total > 0 else None
