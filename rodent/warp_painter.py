"""Pictures by MuJoCo Warp's ray tracer, on a plain CPU and without OpenGL."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.cameras import VISIBLE_GROUPS, View
from rodent.errors import UsageError
from rodent.painting import Picture, Scene, hidden_groups
from rodent.ruler import plain_floor, ruler_tile

_COMPILING = "compiling the ray tracer for this kind of world (some seconds, once on this computer) ..."
_OUT_OF_SIGHT = (0.0, 0.0, -1000.0)  # m; what is far off costs the ray tracer less than what is transparent


class WarpPainter:
    """MuJoCo Warp's ray tracer, drawing a *stage*: a model that holds only what is to be seen, where `data` has it.

    The ray tracer knows no skins and cannot be handed extra geoms, so the stage has each skin as a mesh, whose vertices
    are moved at each picture, and the ruler as a texture. Nothing is ever simulated in Warp. It draws on the CPU even
    where there is a GPU, so that a picture does not depend on the computer.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, shadows: bool, antialias: bool) -> None:
        self._warp, self._mjw = import_warp()
        self._scene = Scene(model, shadows)
        self._floor = plain_floor(model)
        self._geoms = np.flatnonzero(model.geom_group < VISIBLE_GROUPS)
        stage = _build_stage(model, self._geoms)
        skins = slice(len(self._geoms), None)
        self._skin_sizes, self._skin_data = stage.geom_size[skins].copy(), stage.geom_dataid[skins].copy()
        self._ruler = (stage.mat_texid[-1:].copy(), stage.mat_texrepeat[-1:].copy(), stage.mat_rgba[-1:].copy())
        self._shape = (height, width)
        self._samples = 2 if antialias else 1  # per pixel, along each axis
        with self._warp.ScopedDevice("cpu"), _notice_if_slow(_COMPILING):
            self._model = self._mjw.put_model(stage)
            self._data = self._mjw.make_data(stage, nworld=1, nconmax=1, njmax=1)
            self._context = self._mjw.create_render_context(
                stage,
                cam_res=(width * self._samples, height * self._samples),
                render_rgb=True,
                use_shadows=shadows,
                use_precomputed_rays=False,  # so that each picture may have its own angle of view
                render_skybox=True,
                enable_specular=False,  # it burns out the floor under a lamp, which OpenGL's coarse planes do not
            )
        self._is_compiled = False  # the kernel that draws is compiled with the first picture
        self._skins = list(self._context.mesh_registry.values())

    def paint(self, data: mujoco.MjData, view: View) -> Picture:
        with self._warp.ScopedDevice("cpu"), nullcontext() if self._is_compiled else _notice_if_slow(_COMPILING):
            self._place(data, self._scene.update(data, view), view)
            self._mjw.refit_bvh(self._model, self._data, self._context)
            self._context.bvh.rebuild()  # things go far from where the tree was built
            self._mjw.render(self._model, self._data, self._context)
        self._is_compiled = True
        height, width = self._shape
        n = self._samples
        packed = self._context.rgb_data.numpy()[0].reshape(height, n, width, n)
        picture = np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], axis=-1)
        return picture.mean(axis=(1, 3)).round().astype(np.uint8)

    def _place(self, data: mujoco.MjData, scene: mujoco.MjvScene, view: View) -> None:
        """Copy to the stage where everything is, and from where it is seen."""
        model = self._scene.model
        identity = np.broadcast_to(np.eye(3), (model.nskin, 3, 3))
        skins = self._place_skins(scene) if view.own_body else np.zeros((model.nskin, 3))
        position = np.concatenate([data.geom_xpos[self._geoms], skins])
        hidden = np.isin(model.geom_group[self._geoms], hidden_groups(model, view)) | self._invisible()
        position[np.concatenate([hidden, np.full(model.nskin, not view.own_body)])] = _OUT_OF_SIGHT
        _assign(self._data.geom_xpos, position)
        _assign(self._data.geom_xmat, np.concatenate([data.geom_xmat[self._geoms].reshape(-1, 3, 3), identity]))
        self._dress(view)
        _assign(self._data.light_xpos, data.light_xpos)
        _assign(self._data.light_xdir, data.light_xdir)
        eye = scene.camera[0]
        forward, up = np.array(eye.forward), np.array(eye.up)
        _assign(self._data.cam_xpos, (np.array(eye.pos) + np.array(scene.camera[1].pos))[None] / 2)
        _assign(self._data.cam_xmat, np.stack([np.cross(forward, up), up, -forward], axis=1)[None])
        _assign(self._model.cam_fovy, np.degrees(2 * np.arctan2([eye.frustum_top], eye.frustum_near)))

    def _dress(self, view: View) -> None:
        """Copy to the stage how everything looks, which may have changed since the last picture."""
        model, texid, texrepeat, rgba = self._scene.model, *self._ruler
        materials = np.concatenate([model.geom_matid[self._geoms], np.full(model.nskin, -1)]).astype(np.int32)
        if self._floor is not None:
            materials[: len(self._geoms)][self._geoms == self._floor] = model.nmat if view.ruler else -1
        shapes = np.concatenate([model.geom_dataid[self._geoms], self._skin_data]).astype(np.int32)
        self._model.geom_matid.assign(materials[None])
        self._model.geom_dataid.assign(shapes[None])
        self._model.mat_texid.assign(np.concatenate([model.mat_texid, texid])[None])
        _assign(self._model.mat_texrepeat, np.concatenate([model.mat_texrepeat, texrepeat]))
        _assign(self._model.mat_rgba, np.concatenate([model.mat_rgba, rgba]))
        _assign(self._model.geom_rgba, np.concatenate([model.geom_rgba[self._geoms], model.skin_rgba]))
        _assign(self._model.geom_size, np.concatenate([model.geom_size[self._geoms], self._skin_sizes]))
        _assign(self._model.light_diffuse, model.light_diffuse)

    def _invisible(self) -> NDArray[np.bool_]:
        """Which geoms have an alpha of 0, their own or, where they have the default colour, their material's."""
        model = self._scene.model
        rgba, material = model.geom_rgba[self._geoms], model.geom_matid[self._geoms]
        alpha = rgba[:, 3].copy()
        theirs = (material >= 0) & (rgba == np.array([0.5, 0.5, 0.5, 1.0], np.float32)).all(1)
        alpha[theirs] = model.mat_rgba[material[theirs], 3]
        return alpha == 0

    def read_height_field(self, i: int) -> None:
        from mujoco_warp._src.bvh import build_hfield_bvh

        ids = self._context.hfield_bvh_id.numpy()  # of an array on the CPU: a view
        with self._warp.ScopedDevice("cpu"):
            mesh, self._context.hfield_bounds_size.numpy()[i] = build_hfield_bvh(self._scene.model, i)
        self._context.hfield_registry.pop(int(ids[i]), None)  # which keeps the meshes alive
        self._context.hfield_registry[mesh.id] = mesh
        ids[i] = mesh.id

    def _place_skins(self, scene: mujoco.MjvScene) -> NDArray[np.float64]:
        """Move the skins' vertices; returns the centres about which they now stand, (skins, 3)."""
        model = self._scene.model
        centres, bounds = np.zeros((model.nskin, 3)), np.zeros((model.nskin, 3))
        for i, mesh in enumerate(self._skins):
            start = model.skin_vertadr[i]
            vertices = scene.skinvert.reshape(-1, 3)[start : start + model.skin_vertnum[i]]
            low, high = vertices.min(axis=0), vertices.max(axis=0)
            centres[i], bounds[i] = (low + high) / 2, (high - low) / 2
            mesh.points.assign(vertices - centres[i].astype(np.float32))
            mesh.refit()
        if self._skins:
            self._model.mesh_normal.assign(scene.skinnormal.reshape(-1, 3))
            self._context.mesh_bounds_size.assign(bounds)
        return centres

    def close(self) -> None:
        self._skins.clear()
        del self._model, self._data, self._context


def _assign(array: Any, values: NDArray[Any]) -> None:
    """Fill a Warp array, whose first axis is the one world, with float32 copies of `values`."""
    array.assign(np.ascontiguousarray(values, np.float32)[None])


def _build_stage(model: mujoco.MjModel, geoms: NDArray[np.intp]) -> mujoco.MjModel:
    """A model without physics that looks like `model`: its `geoms`, then its skins, its lights, and one camera.

    Its materials are those of `model` and, last, the ruler.

    Raises:
        UsageError: a geom is a mesh, which no world of this project has.
    """
    spec = mujoco.MjSpec()
    spec.visual.map.znear, spec.visual.map.zfar = model.vis.map.znear, model.vis.map.zfar
    spec.stat.extent = model.stat.extent
    for part in ("active", "ambient", "diffuse", "specular"):
        setattr(spec.visual.headlight, part, getattr(model.vis.headlight, part))
    _copy_surfaces(model, spec)
    for i in geoms:
        _copy_geom(model, spec, int(i))
    for i in range(model.nskin):
        _copy_skin(model, spec, i)
    for i in range(model.nlight):
        light = spec.worldbody.add_light(type=mujoco.mjtLightType(model.light_type[i]), dir=[0, 0, -1])
        for part in ("ambient", "diffuse", "specular", "attenuation", "cutoff", "exponent", "castshadow", "active"):
            setattr(light, part, getattr(model, f"light_{part}")[i])
    spec.worldbody.add_camera()
    return spec.compile()


def _copy_surfaces(model: mujoco.MjModel, spec: mujoco.MjSpec) -> None:
    """Copy textures, materials and height fields under the names "0", "1", ..., their ids in `model`."""
    for i in range(model.ntex):
        height, width, channels = model.tex_height[i], model.tex_width[i], model.tex_nchannel[i]
        start = model.tex_adr[i]
        texture = spec.add_texture(name=str(i), type=mujoco.mjtTexture(model.tex_type[i]))
        texture.width, texture.height, texture.nchannel = width, height, channels
        texture.data = model.tex_data[start : start + height * width * channels].tobytes()
    for i in range(model.nmat):
        material = spec.add_material(name=str(i))
        for part in ("rgba", "texrepeat", "texuniform", "emission", "specular", "shininess"):
            setattr(material, part, getattr(model, f"mat_{part}")[i])
        colour = mujoco.mjtTextureRole.mjTEXROLE_RGB
        if model.mat_texid[i, colour] >= 0:
            material.textures[colour] = str(model.mat_texid[i, colour])
    _add_ruler(spec)
    for i in range(model.nhfield):
        rows, columns, start = model.hfield_nrow[i], model.hfield_ncol[i], model.hfield_adr[i]
        heights = model.hfield_data[start : start + rows * columns]
        spec.add_hfield(name=str(i), size=model.hfield_size[i], nrow=rows, ncol=columns, userdata=heights.tolist())


def _add_ruler(spec: mujoco.MjSpec) -> None:
    tile = ruler_tile()
    texture = spec.add_texture(name="ruler", type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.height, texture.width, texture.nchannel = tile.shape
    texture.data = tile.tobytes()
    # A "uniform" repeat of 2 lays one tile on each metre.
    material = spec.add_material(name="ruler", texuniform=True, texrepeat=[2, 2], rgba=[0.5, 0.5, 0.5, 1])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name


def _copy_geom(model: mujoco.MjModel, spec: mujoco.MjSpec, i: int) -> None:
    kind = mujoco.mjtGeom(model.geom_type[i])
    if kind in (mujoco.mjtGeom.mjGEOM_MESH, mujoco.mjtGeom.mjGEOM_SDF):
        raise UsageError("the ray tracer draws no meshes here: use OpenGL (`rodent doctor` says what to install)")
    geom = spec.worldbody.add_geom(type=kind, size=model.geom_size[i], rgba=model.geom_rgba[i])
    if model.geom_matid[i] >= 0:
        geom.material = str(model.geom_matid[i])
    if kind == mujoco.mjtGeom.mjGEOM_HFIELD:
        geom.hfieldname = str(model.geom_dataid[i])


def _copy_skin(model: mujoco.MjModel, spec: mujoco.MjSpec, i: int) -> None:
    # With one normal a vertex and faces kept in order, MuJoCo's skinning fits the compiled mesh entry by entry.
    vertices = slice(model.skin_vertadr[i], model.skin_vertadr[i] + model.skin_vertnum[i])
    faces = slice(model.skin_faceadr[i], model.skin_faceadr[i] + model.skin_facenum[i])
    mesh = spec.add_mesh(name=f"skin{i}", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    mesh.uservert = model.skin_vert[vertices].ravel().tolist()
    mesh.userface = model.skin_face[faces].ravel().tolist()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name)


def import_warp() -> tuple[Any, Any]:
    """`warp` and `mujoco_warp`, told to keep their notes off standard output."""
    import warp

    warp.config.log_level = warp.LOG_ERROR
    import mujoco_warp

    return warp, mujoco_warp


@contextmanager
def _notice_if_slow(notice: str) -> Iterator[None]:
    """Say on standard error what is going on, if it takes longer than a second."""
    timer = threading.Timer(1.0, lambda: print(notice, file=sys.stderr, flush=True))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
