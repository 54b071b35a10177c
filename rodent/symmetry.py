"""The rat's left-right symmetry: what each sense and each action becomes in a mirror.

The body is its own mirror image to 0.03 mm. Limb joints are defined alike on both sides, so that their values change
places; those of the midline keep their sign when they bend up or down and change it when they bend sideways or twist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rodent.body import APPENDAGES, END_EFFECTORS, PREFIX, TOUCH_SENSORS, Body
from rodent.relief import ACROSS, AHEAD
from rodent.senses import PRIVILEGED

_POLAR = (1.0, -1.0, 1.0)  # a vector in a frame whose y axis points sideways
_PRIVILEGED_VECTORS = ("forward", "midline", "orb", "orb_from_side", "outward", "way_out", "waypoint")
_VECTORS = {f"{PREFIX}origin", *(f"{PRIVILEGED}{name}" for name in _PRIVILEGED_VECTORS)}  # in the torso's frame
_RELIEF = f"{PRIVILEGED}relief"
_AXIAL = (-1.0, 1.0, -1.0)  # a rotation about it


@dataclass(frozen=True)
class Mirror:
    """A reflection of vectors: `reflected = vector[..., index] * sign`. Its own inverse."""

    index: NDArray[np.int64]  # (n,)
    sign: NDArray[np.float32]  # (n,)


def mirror_actions(body: Body) -> Mirror:
    """The reflection of an action, (38,)."""
    return mirror_by_names([actuator.name for actuator in body.actuators])


def mirror_senses(body: Body, sizes: Mapping[str, int] | None = None) -> Mirror:
    """The reflection of the rat's senses, one after the other.

    Args:
        body: tables of the rat.
        sizes: sizes by name of the senses, in their order (None: the rat's own, in dm_control's order). What is not the
            rat's own is a vector in the torso's frame or the relief of the ground, or stays itself in a mirror.
    """
    known = _mirrors_of_own_senses(body)

    def mirror(name: str, size: int) -> Mirror:
        if name in _VECTORS:
            return _vector(_POLAR)
        return _relief() if name == _RELIEF else Mirror(np.arange(size), np.ones(size, np.float32))

    sizes = sizes or {name: len(part.index) for name, part in known.items()}
    parts = [known.get(name) or mirror(name, size) for name, size in sizes.items()]
    starts = np.cumsum([0, *(len(part.index) for part in parts)])
    return Mirror(
        np.concatenate([part.index + start for part, start in zip(parts, starts[:-1], strict=True)]),
        np.concatenate([part.sign for part in parts]),
    )


def _mirrors_of_own_senses(body: Body) -> dict[str, Mirror]:
    parts = {
        "actuator_activation": mirror_actions(body),
        "appendages_pos": _positions(APPENDAGES),
        "body_height": Mirror(np.arange(1), np.ones(1, np.float32)),
        "end_effectors_pos": _positions(END_EFFECTORS),
        "joints_pos": mirror_by_names([joint.name for joint in body.joints]),
        "joints_vel": mirror_by_names([joint.name for joint in body.joints]),
        "sensors_accelerometer": _vector(_POLAR),
        "sensors_gyro": _vector(_AXIAL),
        "sensors_touch": mirror_by_names(TOUCH_SENSORS),
        "sensors_velocimeter": _vector(_POLAR),
        "tendons_pos": mirror_by_names(body.tendons),
        "tendons_vel": mirror_by_names(body.tendons),
        "world_zaxis": _vector(_POLAR),
    }
    return {f"{PREFIX}{name}": part for name, part in parts.items()}


def mirror_by_names(names: Sequence[str]) -> Mirror:
    """The reflection of one value each for parts of the body, from their names (`hip_L_extend`, `lumbar_bend`, ...)."""
    index = np.array([list(names).index(_other_side(name)) for name in names])
    sign = np.array([-1.0 if _is_sideways(name) else 1.0 for name in names], dtype=np.float32)
    return Mirror(index, sign)


def _positions(bodies: Sequence[str]) -> Mirror:
    """Positions (3 each) of bodies in the torso's frame."""
    whole = mirror_by_names(bodies)
    return Mirror((3 * whole.index[:, None] + np.arange(3)).ravel(), np.tile(np.array(_POLAR, np.float32), len(bodies)))


def _vector(sign: tuple[float, float, float]) -> Mirror:
    return Mirror(np.arange(3), np.array(sign, dtype=np.float32))


def _relief() -> Mirror:
    points = np.arange(len(ACROSS) * len(AHEAD)).reshape(len(ACROSS), len(AHEAD))
    return Mirror(points[::-1].ravel(), np.ones(points.size, np.float32))


def _sides(name: str) -> list[str]:
    return name.removeprefix(PREFIX).split("_")


def _other_side(name: str) -> str:
    swapped = [{"L": "R", "R": "L"}.get(part, part) for part in _sides(name)]
    return PREFIX * name.startswith(PREFIX) + "_".join(swapped)


def _is_sideways(name: str) -> bool:
    parts = _sides(name)
    return not {"L", "R"} & set(parts) and parts[-1] in ("bend", "twist")
