"""Films: frames to a file, words into frames, and a recorded episode to a film in real time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rodent.cameras import CAMERAS, Follower
from rodent.errors import UsageError
from rodent.painting import Picture, update_positions
from rodent.physics import CONTROL_TIMESTEP
from rodent.rendering import Backend, Renderer

# What ffmpeg is told for each kind of file: codec, pixel format, and the rest.
_ENCODINGS: dict[str, tuple[str, str, list[str]]] = {
    ".mp4": ("libx264", "yuv420p", ["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"]),
    ".webm": ("libvpx-vp9", "yuv420p", ["-crf", "32", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "5"]),
    ".gif": ("gif", "rgb8", ["-filter_complex", "split[a][b];[a]palettegen[p];[b][p]paletteuse", "-loop", "0"]),
}
_LARGEST = 4096  # pixels to a side, as many as H.264 takes at its usual levels


class Film:
    """A film that is written frame by frame and appears under its name only when it is whole.

    Use it as a context manager: leaving it without an error finishes the film, an error leaves nothing behind.

    Args:
        path: .mp4 (H.264), .webm (VP9) or .gif. A film that is there already is replaced.
        fps: frames a second.
        comment: what the file says of itself in its metadata.

    Raises:
        UsageError: an unknown kind of file, a folder that is missing or cannot be written to, a rate below 1.
    """

    def __init__(self, path: str | Path, fps: float = 50.0, comment: str = "") -> None:
        self.path = Path(path)
        self.fps = fps
        self.comment = comment
        self.frames = 0
        suffix = self.path.suffix.lower()
        if suffix not in _ENCODINGS:
            raise UsageError(f"cannot write a film to {self.path}: its name must end with {', '.join(_ENCODINGS)}")
        if not fps >= 1:
            raise UsageError(f"a film needs at least 1 frame a second, not {fps}")
        self._part = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part{suffix}")
        self._writer: Generator[None, Any, None] | None = None
        self._shape: tuple[int, ...] = ()
        _check_writable(self.path, self._part)

    def add(self, frame: Picture) -> None:
        """Append a frame (height, width, 3) uint8; both sides must be even, and alike in all frames.

        Raises:
            UsageError: a side is odd.
            ValueError: another shape or type than the first frame's.
        """
        if self._writer is None:
            _check_size(frame.shape[1], frame.shape[0])
            self._shape = frame.shape
            self._writer = self._open()
        if frame.shape != self._shape or frame.shape[2:] != (3,) or frame.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 {(*self._shape[:2], 3)}, not {frame.dtype} {frame.shape}")
        self._writer.send(np.ascontiguousarray(frame))
        self.frames += 1

    def _open(self) -> Generator[None, Any, None]:
        codec, pixels, options = _ENCODINGS[self._part.suffix]
        writer = imageio_ffmpeg.write_frames(
            str(self._part),
            (self._shape[1], self._shape[0]),
            fps=self.fps,
            codec=codec,
            pix_fmt_out=pixels,
            quality=None,
            macro_block_size=2,
            output_params=[*options, "-metadata", f"comment={self.comment}"],
            ffmpeg_log_level="error",
        )
        writer.send(None)
        return writer

    def close(self) -> None:
        """Finish the film.

        Raises:
            UsageError: it has no frames.
            RuntimeError: ffmpeg wrote nothing.
        """
        if self._writer is None:
            raise UsageError(f"no frames for {self.path}: a film needs at least one")
        self._writer.close()
        if not self._part.exists() or self._part.stat().st_size == 0:
            raise RuntimeError(f"ffmpeg wrote nothing to {self._part}")
        if self._part.suffix == ".gif":
            _comment_gif(self._part, self.comment)  # ffmpeg drops what it is told of a GIF
        self._part.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            with suppress(OSError):  # ffmpeg may be what failed
                self._writer.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Film:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.discard()


def _comment_gif(path: Path, comment: str) -> None:
    """Put a comment into a GIF, in front of its first frame; see the specification GIF89a, 24."""
    data = path.read_bytes()
    palette = 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    at, words = 13 + palette, comment.encode()
    blocks = [words[i : i + 255] for i in range(0, len(words), 255)]
    extension = b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"
    path.write_bytes(data[:at] + extension + data[at:])


def _check_writable(path: Path, part: Path) -> None:
    try:
        if path.is_dir():
            raise UsageError(f"cannot write a film to {path}: it is a folder")
        if not path.parent.is_dir():
            raise UsageError(f"cannot write a film to {path}: there is no folder {path.parent}")
        part.touch()
        part.unlink()
    except OSError as error:
        raise UsageError(f"cannot write a film to {path}: {error.strerror}") from None


def _check_size(width: int, height: int) -> None:
    if width % 2 or height % 2 or not 2 <= min(width, height) <= max(width, height) <= _LARGEST:
        raise UsageError(f"a film's width and height must be even and 2 to {_LARGEST}, not {width}x{height}")


def draw_overlay(frame: Picture, lines: Sequence[str], bar: float | None = None) -> Picture:
    """Write `lines` into the upper left corner of a copy of `frame`.

    Args:
        frame: (height, width, 3) uint8.
        lines: one line of text each.
        bar: a fraction in [0, 1], shown as the length of a bar under the text; None for no bar.

    Returns:
        A new frame of the same shape.
    """
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    size = max(10, frame.shape[0] // 22)
    font = ImageFont.load_default(size)
    margin, step = size // 2, round(1.25 * size)
    for i, line in enumerate(lines):
        at = (margin, margin + i * step)
        draw.text(at, line, fill="white", font=font, stroke_width=max(1, size // 10), stroke_fill="black")
    if bar is not None:
        top = margin + len(lines) * step + size // 4
        right, bottom = margin + 6 * size, top + size // 2
        draw.rectangle((margin, top, right, bottom), fill="black")
        length = round(min(max(bar, 0.0), 1.0) * (right - margin - 2))
        if length > 0:
            draw.rectangle((margin + 1, top + 1, margin + length, bottom - 1), fill=(90, 220, 120))
    return np.asarray(image)


@dataclass(frozen=True)
class Telemetry:
    """What a film writes into its frames, one value a control step."""

    task: str
    reward: NDArray[np.floating[Any]]  # (steps,)
    speed: NDArray[np.floating[Any]]  # (steps,), m/s

    def draw(self, frame: Picture, step: int) -> Picture:
        """`frame` with the values of control step `step`; the bar shows the reward against the episode's highest."""
        lines = (
            f"{self.task}   {step * CONTROL_TIMESTEP:5.2f} s",
            f"speed {self.speed[step]:5.2f} m/s",
            f"reward {self.reward[step]:6.2f}   sum {self.reward[: step + 1].sum():8.1f}",
        )
        highest = float(self.reward.max())
        return draw_overlay(frame, lines, float(self.reward[step]) / highest if highest > 0 else 0.0)


def film_states(
    model: mujoco.MjModel,
    states: NDArray[np.floating[Any]],
    path: str | Path,
    camera: str = "side",
    *,
    fps: float = 25.0,
    width: int = 480,
    height: int = 360,
    telemetry: Telemetry | None = None,
    backend: Backend | None = None,
    shadows: bool = True,
    antialias: bool = True,
    progress: Callable[[int, int], None] | None = None,
    dress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Film a recorded episode in real time.

    Args:
        model: the world to draw.
        states: qpos at each control step, (steps, nq); a control step lasts 0.02 s.
        path: see `Film`.
        camera: one of `rodent.rendering.CAMERAS`, or a camera of the model.
        fps: frames a second, at most one a control step (50).
        width: pixels, even.
        height: pixels, even.
        telemetry: values to write into the frames.
        backend: see `Renderer`.
        shadows: see `Renderer`.
        antialias: see `Renderer`.
        progress: called with (frames drawn, frames in all) after each frame.
        dress: called with a control step before a frame of it is drawn, to change what of the model the task changes.

    Returns:
        How it was made: the renderer's description, camera, fps, frames and seconds. The film's comment says the same.

    Raises:
        UsageError: a path, camera, size or rate that cannot be used, or states that do not fit the model.
    """
    if states.ndim != 2 or states.shape[1] != model.nq or len(states) == 0:
        raise UsageError(f"states must be (steps, {model.nq}) for this model, not {states.shape}")
    check_film(path, fps, width, height)
    frames = _frames(states, fps)
    with Renderer(model, width, height, backend, shadows=shadows, antialias=antialias) as renderer:
        made = {**renderer.description, "camera": camera, "fps": fps, "frames": frames, "seconds": frames / fps}
        with Film(path, fps, json.dumps(made)) as film:
            for i, (step, frame) in enumerate(draw_states(renderer, states, camera, fps, dress)):
                film.add(telemetry.draw(frame, step) if telemetry else frame)
                if progress:
                    progress(i + 1, frames)
    return made


def draw_states(
    renderer: Renderer,
    states: NDArray[np.floating[Any]],
    camera: str,
    fps: float,
    dress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Picture]]:
    """The frames of a film of states in real time, each with the control step that it shows; see `film_states`."""
    model = renderer.model
    data = mujoco.MjData(model)
    follower = Follower(model, camera) if camera in CAMERAS and camera != "egocentric" else None
    for i in range(_frames(states, fps)):
        step = min(int(i / fps / CONTROL_TIMESTEP + 1e-6), len(states) - 1)
        data.qpos[:] = states[step]
        if dress:
            dress(step)
        update_positions(model, data)
        yield step, renderer.render(data, follower.follow(data, 1 / fps) if follower else camera)


def _frames(states: NDArray[np.floating[Any]], fps: float) -> int:
    """How many frames a film of states has."""
    return max(1, round(len(states) * CONTROL_TIMESTEP * fps))


def check_film(path: str | Path, fps: float, width: int, height: int) -> None:
    """Complain of what `film_states` could not make, before anything is simulated or a renderer made.

    Raises:
        UsageError: a path, size or rate that cannot be used.
    """
    _check_size(width, height)
    Film(path, fps)
    if not 1 <= fps <= 1 / CONTROL_TIMESTEP:
        raise UsageError(f"fps must be between 1 and {1 / CONTROL_TIMESTEP:.0f}, one frame a control step, not {fps}")
