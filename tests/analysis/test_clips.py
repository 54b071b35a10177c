"""Clips show a behaviour in the middle of long bouts of different episodes."""

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from analysis import clips as module
from analysis.clips import SIZE, Clip, choose_clips, film_clips, plot_clips
from analysis.recording import Session
from rodent.errors import UsageError
from tests.analysis.conftest import STEPS

LABELS = np.array([0] * 40 + [1] * 60 + [0] * 100 + [-1] * 20 + [1] * 20 + [0] * 60 + [2] * 5)
EPISODES = np.repeat([0, 1], [200, 105])


def test_the_longest_bout_of_each_episode_comes_before_a_second_one_of_any():
    chosen = choose_clips(LABELS, EPISODES, longest=1000)
    assert chosen[0] == [Clip(0, 100, 200), Clip(1, 40, 100), Clip(0, 0, 40)]
    assert chosen[1] == [Clip(0, 40, 100), Clip(1, 20, 40)]
    assert chosen[2] == []  # too short a visit
    assert choose_clips(LABELS, EPISODES, most=1, longest=1000)[0] == [Clip(0, 100, 200)]


def test_of_a_long_bout_the_middle_is_shown():
    assert choose_clips(LABELS, EPISODES, longest=10)[0][0] == Clip(0, 145, 155)


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(1, 30)), min_size=1, max_size=12), st.integers(1, 40))
def test_a_clip_holds_one_behaviour_of_one_episode(bouts, longest):
    labels = np.repeat(*np.array(bouts).T)
    episodes = np.sort(np.arange(len(labels)) % 3)
    for label, clips in choose_clips(labels, episodes, longest=longest).items():
        for clip in clips:
            shown = labels[episodes == clip.trial][clip.start : clip.stop]
            assert 0 < len(shown) <= longest and (shown == label).all() and clip.start >= 0
        assert len(set(clips)) == len(clips)


def test_strips_have_a_row_for_each_behaviour_that_has_clips(mlp_session):
    with Session(mlp_session) as session:
        names, edges = session.skeleton
        pose = np.stack([session.behaviour[f"pose.{name}"].read() for name in names], axis=1)
        trial = session.behaviour["pose.skull"].trial()
    axis = names.index("pelvis"), names.index("skull")
    figure = plot_clips(pose, edges, axis, trial, {"run": [Clip(0, 0, 5), Clip(1, 0, 5)], "rest": []})
    (ax,) = figure.axes
    assert ax.get_title(loc="left") == "run" and len(ax.collections) == 2
    lines = np.array(ax.collections[0].get_segments())
    assert lines.shape == (5 * len(edges), 2, 2) and lines[..., 1].min() >= -1e-9
    assert np.linalg.norm(np.diff(lines, axis=1), axis=2).max() < 0.1  # a rat's bones, wherever it is


def test_without_opengl_there_are_strips_alone(mlp_session, tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    with Session(mlp_session) as session:
        with pytest.raises(UsageError, match="no OpenGL works here to film clips"):
            film_clips(session, [Clip(0, 0, 5)], tmp_path / "clips.mp4")
        with pytest.raises(UsageError, match="no clip to film"):
            film_clips(session, [], tmp_path / "clips.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gl
def test_a_grid_shows_each_clip_as_it_was_until_it_is_over(mlp_session, tmp_path):
    first, second = Clip(3, 0, STEPS), Clip(4, 10, 20)  # of two-tap, 45 and 10 steps
    with Session(mlp_session) as session:
        film_clips(session, [first, second], tmp_path / "clips.mp4")
        drawn = [module._draw(session, clip) for clip in (first, second)]
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "clips.mp4"))
    assert next(reader)["size"] == (2 * SIZE[0], SIZE[1])
    frames = [np.frombuffer(frame, np.uint8).reshape(SIZE[1], 2 * SIZE[0], 3) for frame in reader]
    assert len(frames) == len(drawn[0]) == round(STEPS / 2) and len(drawn[1]) == 5

    def unlike(one, other):
        return np.abs(one.astype(int) - other.astype(int)).mean()

    for frame in (0, 4, len(frames) - 1):
        assert unlike(frames[frame][:, : SIZE[0]], drawn[0][frame]) < 6
    assert unlike(frames[2][:, SIZE[0] :], drawn[1][2]) < 6
    assert unlike(frames[-1][:, SIZE[0] :], drawn[1][-1] // 2) < 6
    assert Image.fromarray(frames[0]).convert("L").getextrema()[1] > 100
