"""Films for the page: one frame a step, quick to seek in, small enough to be part of the page."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import imageio_ffmpeg

from analysis.nwb_film import film_episode, recorded_states, recorded_task
from analysis.report.source import Source
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP

KIND = "webm"
_COARSENESS = (1, 2, 4)
_KEY_FRAME = 25  # a seek decodes at most so many frames
# VP9, since every browser plays it, those without licensed codecs, too.
# The encoder's careful ways would take four times as long for pictures better by less than 1 dB.
_CODEC = ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-deadline", "realtime", "-cpu-used", "7", "-row-mt", "1")
_BUDGET = 250_000  # bytes by which budgets differ: a page with a word more is to find the films of the last


def embeddable(film: Path, steps: int, most_bytes: int, cache: Path) -> tuple[Path, int]:
    """The first frames of a film as VP9 with many key frames; kept in the cache by content.

    Args:
        film: as recorded, frame k showing the k-th state.
        steps: frames to keep: the last state has no activity.
        most_bytes: how large it may get.
        cache: folder.

    Returns:
        The file, and by how much its sides are divided so that it is no larger: 1, 2 or 4.

    Raises:
        UsageError: the file is missing, no film, has fewer frames than steps, or is too large however coarse.
    """
    if not film.is_file():
        raise UsageError(f"the film {film} is missing: put it back, or record with --film again")
    with film.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    # A target that short films overshoot, and less than which the encoder does not take.
    budget = most_bytes // _BUDGET * _BUDGET or most_bytes
    rate = max(int(8 * budget / (steps * CONTROL_TIMESTEP) / 1.3), 1000)
    for coarseness in _COARSENESS:
        options: tuple[str, ...] = (
            *_CODEC,
            "-g",
            str(_KEY_FRAME),
            "-crf",
            "34",
            "-b:v",
            str(rate),
            "-maxrate",
            str(2 * rate),
        )
        if coarseness > 1:
            options += ("-vf", f"scale=trunc(iw/{2 * coarseness})*2:-2")
        found = _encoded(film, steps, options, content, cache)
        if found.stat().st_size <= most_bytes:
            return found, coarseness
    size = found.stat().st_size
    raise UsageError(f"at its coarsest it has {size / 1e6:.2f} MB, where {most_bytes / 1e6:.2f} are left on the page")


def _encoded(film: Path, steps: int, options: tuple[str, ...], content: str, cache: Path) -> Path:
    key = hashlib.sha256(json.dumps([content, steps, options]).encode())
    target = cache / f"film-{key.hexdigest()[:32]}.{KIND}"
    if target.is_file():
        return target
    part = cache / f".{target.stem}.{os.getpid()}.part.{KIND}"
    try:
        _encode(film, part, steps, options)
        found = _frames(part)
        if found != steps:
            raise UsageError(f"the film {film} has {found} frames for {steps} steps: record with --film again")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def drawn(source: Source, trial: int, cache: Path) -> Path:
    """The film of a trial that was recorded without one, drawn from its states; kept in the cache by content."""
    target = cache / f"drawn-{source.digest[:32]}-{trial}.mp4"
    if not target.is_file():
        facts = source.session.trials.iloc[trial]
        task, states = recorded_task(source.session, facts["task"]), recorded_states(source.session, trial)
        film_episode(task, int(facts["seed"]), int(facts["episode"]), states, target, draft=True)
    return target


def _encode(film: Path, target: Path, steps: int, options: tuple[str, ...]) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(film), "-an", "-frames:v", str(steps)]
    done = subprocess.run([*command, *options, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["ffmpeg said nothing"])[-1]
        raise UsageError(f"cannot read the film {film}: {reason}")


def _frames(film: Path) -> int:
    return int(imageio_ffmpeg.count_frames_and_secs(str(film))[0])
