import json
import re
import subprocess

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from rodent.errors import UsageError
from rodent.rendering import Backend
from rodent.video import Film, Telemetry, draw_overlay, film_states

RAYS = Backend("warp")


def colour_frames(count, height=32, width=48):
    for i in range(count):
        yield np.full((height, width, 3), 10 * i, np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_film_has_its_frames_rate_and_duration(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    with Film(path, fps=25) as film:
        for frame in colour_frames(20):
            film.add(frame)
    with imageio.get_reader(path) as reader:
        frames = [frame.mean() for frame in reader]
        assert reader.get_meta_data()["fps"] == pytest.approx(25)
        assert reader.get_meta_data()["duration"] == pytest.approx(0.8, abs=0.02)
    assert frames == pytest.approx([10 * i for i in range(20)], abs=6)
    assert list(tmp_path.iterdir()) == [path]


def test_gif_has_its_frames_and_rate(tmp_path):
    path = tmp_path / "film.gif"
    with Film(path, fps=25) as film:
        for frame in colour_frames(20):
            film.add(frame)
    with Image.open(path) as gif:
        assert gif.n_frames == 20
        for i in range(20):
            gif.seek(i)
            assert gif.info["duration"] == 40  # ms
            assert np.asarray(gif.convert("RGB")).mean() == pytest.approx(10 * i, abs=6)
    assert list(tmp_path.iterdir()) == [path]


def comment_of(path):
    """What a film says of itself, by another reader than what wrote it."""
    if path.suffix == ".gif":
        with Image.open(path) as film:
            return film.info["comment"].decode()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "ffmetadata", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (words,) = re.findall(r"(?im)^comment=(.*)$", told)
    return re.sub(r"\\(.)", r"\1", words)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_film_keeps_its_comment(tmp_path, suffix):
    comment = json.dumps({"gl_renderer": "llvmpipe (LLVM 15.0.6; 256 bits) = #1", "long": 300 * "x"})
    with Film(tmp_path / f"film{suffix}", fps=25, comment=comment) as film:
        for frame in colour_frames(3):
            film.add(frame)
    assert comment_of(film.path) == comment
    assert len(imageio.mimread(film.path)) == 3


def test_mp4_is_h264_that_every_player_shows(tmp_path):
    path = tmp_path / "film.mp4"
    with Film(path) as film:
        for frame in colour_frames(3):
            film.add(frame)
    with imageio.get_reader(path) as reader:
        assert reader.get_meta_data()["codec"] == "h264"
        assert reader.get_meta_data()["pix_fmt"].startswith("yuv420p")


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError, match="the policy broke"), Film(tmp_path / "film.mp4") as film:
        for frame in colour_frames(5):
            film.add(frame)
        raise RuntimeError("the policy broke")
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), Film(path) as film:
        film.add(np.zeros((32, 32, 3), np.uint8))
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("film.avi", r"must end with \.mp4, \.webm, \.gif"),
        ("film", r"must end with \.mp4"),
        ("nowhere/film.mp4", "there is no folder"),
        ("file.txt/film.mp4", "there is no folder"),
        ("folder.mp4", "it is a folder"),
        ("x" * 300 + ".mp4", "File name too long"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_any_work(tmp_path, name, complaint):
    (tmp_path / "file.txt").touch()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match=complaint):
        Film(tmp_path / name)


def test_a_film_without_frames_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no frames"), Film(tmp_path / "film.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_odd_sides_are_refused(tmp_path):
    with pytest.raises(UsageError, match="even and 2 to 4096, not 33x32"), Film(tmp_path / "film.mp4") as film:
        film.add(np.zeros((32, 33, 3), np.uint8))


def test_a_frame_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \(32, 32, 3\)"), Film(tmp_path / "film.mp4") as film:
        film.add(np.zeros((32, 32, 3), np.uint8))
        film.add(np.zeros((32, 34, 3), np.uint8))


def test_overlay_writes_light_letters_with_dark_edges_and_leaves_the_rest():
    frame = np.full((240, 320, 3), 128, np.uint8)
    drawn = draw_overlay(frame, ["run", "speed 0.87 m/s"], bar=0.5)
    assert (frame == 128).all()
    assert drawn.max() > 250 and drawn.min() < 5
    assert (drawn[120:] == 128).all() and (drawn[:, 240:] == 128).all()


def test_the_bar_grows_with_the_reward():
    frame = np.zeros((240, 320, 3), np.uint8)
    green = [int((draw_overlay(frame, [], bar)[..., 1] == 220).sum()) for bar in (0.0, 0.5, 1.0)]
    assert green[0] == 0 and green[1] == pytest.approx(green[2] / 2, rel=0.1)


@pytest.fixture
def run_states(corridor_model):
    """A second at 1 m/s, gliding."""
    states = np.tile(corridor_model.qpos0, (50, 1))
    states[:, 0] = 5 + np.arange(50) * 0.02
    return states


def test_states_become_a_film_in_real_time(tmp_path, corridor_model, run_states):
    path, counts = tmp_path / "run.mp4", []
    telemetry = Telemetry("run", reward=np.linspace(0, 1, 50), speed=np.ones(50))
    facts = film_states(
        corridor_model,
        run_states,
        path,
        fps=10,
        width=64,
        height=48,
        telemetry=telemetry,
        backend=RAYS,
        antialias=False,
        progress=lambda done, total: counts.append((done, total)),
    )
    with imageio.get_reader(path) as reader:
        frames = np.array([frame for frame in reader])  # noqa: C416 - list() asks for its length, which is infinite
        assert reader.get_meta_data()["duration"] == pytest.approx(1.0, abs=0.02)
    assert len(frames) == 10 and frames.std() > 10
    assert counts == [(i + 1, 10) for i in range(10)]
    assert facts["renderer"] == "warp" and facts["frames"] == 10 and facts["seconds"] == 1.0
    assert json.loads(comment_of(path)) == facts


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fps": 60}, "fps must be between 1 and 50"),
        ({"width": 63}, "even and 2 to 4096, not 63x48"),
        ({"camera": "front"}, "unknown camera 'front'"),
        ({"path": "film.avi"}, "must end with"),
        ({"states": np.zeros((5, 3))}, r"states must be \(steps, 74\)"),
    ],
)
def test_what_cannot_be_filmed_is_refused_and_leaves_nothing(tmp_path, corridor_model, run_states, changes, complaint):
    arguments = {"states": run_states, "path": "film.mp4", "width": 64, "height": 48, **changes}
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(UsageError, match=complaint):
        film_states(corridor_model, **arguments, backend=RAYS, antialias=False)
    assert list(tmp_path.iterdir()) == []
