"""Physics presets: how a world is integrated between two control steps."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from rodent.body import PREFIX
from rodent.errors import UsageError

CONTROL_TIMESTEP = 0.02  # s; every task is controlled at 50 Hz


@dataclass(frozen=True)
class Physics:
    """One way to integrate the same worlds. `paper` changes nothing in dm_control's own."""

    name: str
    timestep: float  # s
    integrator: mujoco.mjtIntegrator = mujoco.mjtIntegrator.mjINT_EULER
    cone: mujoco.mjtCone = mujoco.mjtCone.mjCONE_ELLIPTIC
    iterations: int = 100
    noslip_iterations: int = 5
    self_collision: bool = True

    def __post_init__(self) -> None:
        substeps = CONTROL_TIMESTEP / self.timestep if self.timestep > 0 else 0.0
        if round(substeps) < 1 or abs(substeps - round(substeps)) > 1e-9 * substeps:
            raise UsageError(f"timestep must divide {CONTROL_TIMESTEP} s into whole steps, not {self.timestep}")

    @property
    def substeps(self) -> int:
        """Physics steps in one control step."""
        return round(CONTROL_TIMESTEP / self.timestep)

    def apply(self, model: mujoco.MjModel) -> mujoco.MjModel:
        """Set a compiled model to this preset, in place, and return it."""
        model.opt.timestep = self.timestep
        model.opt.integrator = self.integrator
        model.opt.cone = self.cone
        model.opt.iterations = self.iterations
        model.opt.noslip_iterations = self.noslip_iterations
        if not self.self_collision:
            _let_rat_touch_only_the_world(model)
        return model


def _let_rat_touch_only_the_world(model: mujoco.MjModel) -> None:
    # Two geoms collide if one's contype meets the other's conaffinity: without conaffinity the rat's own geoms never
    # meet each other, while everything else (conaffinity 1) still meets them.
    for i in range(model.ngeom):
        if model.body(model.geom_bodyid[i]).name.startswith(PREFIX):
            model.geom_conaffinity[i] = 0


_IMPLICITFAST = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
_PYRAMIDAL = mujoco.mjtCone.mjCONE_PYRAMIDAL

PRESETS: dict[str, Physics] = {
    preset.name: preset
    for preset in (
        Physics("paper", 0.001),
        Physics("fast", 0.002, _IMPLICITFAST, _PYRAMIDAL, noslip_iterations=0, self_collision=False),
        # Who learns to get up under `fast` moves limbs through the trunk and lies under `paper`: docs/decisions/0027.
        Physics("fast-self-collision", 0.002, _IMPLICITFAST, _PYRAMIDAL, noslip_iterations=0),
        # `paper` at half its step: a gait that needs its step is an artefact there too, so cards report this one.
        Physics("paper-half-step", 0.0005),
    )
}


def find_physics(name: str) -> Physics:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UsageError(f"unknown physics preset {name!r}: choose one of {', '.join(PRESETS)}") from None
