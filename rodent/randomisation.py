"""Lights, textures and colours drawn anew for each episode, so that what is learnt does not hang on one set of them."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rodent.body import TORSO
from rodent.errors import UsageError
from rodent.tasks.base import Look

RANDOMISED = ("geom_rgba", "mat_texid", "light_diffuse", "light_poscom0")  # fields of MjModel
_RGB = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
_DEFAULT_RGBA = (0.5, 0.5, 0.5, 1.0)  # MuJoCo's: a geom that has it shows its material's
_PATTERN_CELLS = (12, 24, 48, 96)  # spots along each side of a pattern; fewer would fill an eye near the ground
_PATTERN_PIXELS = 96


@dataclass(frozen=True)
class Randomisation:
    """How far an episode may look from dm_control's world. Orbs, whose colour tells something, and the sky stay.

    Raises:
        UsageError: a value that is not admissible.
    """

    lights: float = 0.5  # each colour of the lamp above the rat is multiplied by 1 +- this, and it moves by +- this, m
    colours: float = 0.4  # each colour of a kind of surface is multiplied by 1 +- this
    textures: bool = True  # each texture may be exchanged for another of the world's or for a pattern of spots

    def __post_init__(self) -> None:
        for name in ("lights", "colours"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UsageError(f"randomisation's {name} must be a number from 0 to 1, not {value!r}")

    def draw(self, stage: mujoco.MjModel, plain: Look, rng: np.random.Generator) -> Look:
        """How an episode looks.

        Args:
            stage: the stage, of which only what no look changes is read.
            plain: how it would look otherwise, with all fields of `RANDOMISED`.
            rng: what it is drawn from.

        Returns:
            The values of those fields.
        """
        look = {name: plain[name].copy() for name in RANDOMISED}
        look["light_diffuse"] *= rng.uniform(1 - self.lights, 1 + self.lights, look["light_diffuse"].shape)
        look["light_poscom0"] += rng.uniform(-self.lights, self.lights, look["light_poscom0"].shape)
        surfaces, texture = _surfaces(stage, plain)
        pictures = np.flatnonzero(stage.tex_type == mujoco.mjtTexture.mjTEXTURE_2D)
        for kind in np.unique(texture[surfaces]):
            alike = surfaces[texture[surfaces] == kind]
            tint = rng.uniform(1 - self.colours, 1 + self.colours, 3)
            look["geom_rgba"][alike, :3] = np.clip(_colours(stage, plain, alike) * tint, 0, 1)
            other = rng.choice(pictures) if len(pictures) else -1
            if self.textures and kind >= 0:
                look["mat_texid"][stage.geom_matid[alike], _RGB] = other
        return look


def add_textures(spec: mujoco.MjSpec) -> None:
    """Add the patterns that `Randomisation.textures` chooses from: the same each time."""
    rng = np.random.default_rng(0)
    for i, cells in enumerate(_PATTERN_CELLS):
        spots = rng.uniform(40, 255, (cells, cells, 3))
        scale = (_PATTERN_PIXELS // cells, _PATTERN_PIXELS // cells, 1)
        pattern = ndimage.zoom(spots, scale, order=1, mode="grid-wrap", grid_mode=True).astype(np.uint8)
        texture = spec.add_texture(name=f"pattern {i}", type=mujoco.mjtTexture.mjTEXTURE_2D)
        texture.height, texture.width, texture.nchannel = pattern.shape
        texture.data = pattern.tobytes()


def _surfaces(stage: mujoco.MjModel, plain: Look) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The visible geoms, neither the rat's nor orbs, that bear a 2D texture or none; and each geom's texture or -1."""
    textures = np.append(plain["mat_texid"][:, _RGB], -1)  # the last one is that of no material
    texture = textures[stage.geom_matid].astype(np.int64)
    kinds = np.append(stage.tex_type, mujoco.mjtTexture.mjTEXTURE_2D)
    rat = stage.body_rootid[stage.geom_bodyid] == stage.body_rootid[stage.body(TORSO).id]
    flat = kinds[texture] == mujoco.mjtTexture.mjTEXTURE_2D
    return np.flatnonzero(~rat & flat & (plain["geom_rgba"][:, 3] > 0)), texture


def _colours(stage: mujoco.MjModel, plain: Look, geoms: NDArray[np.intp]) -> NDArray[np.float32]:
    """The colours (geoms, 3) that some geoms show: their own, or their materials'."""
    rgba, material = plain["geom_rgba"][geoms], stage.geom_matid[geoms]
    theirs = (material >= 0) & (rgba == np.array(_DEFAULT_RGBA, np.float32)).all(1)
    rgba[theirs] = stage.mat_rgba[material[theirs]]
    return rgba[:, :3]
