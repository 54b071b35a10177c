import imageio.v3 as iio
import pytest

from policies.film import film_policy, view_policy
from rodent.errors import UsageError
from tests.policies.test_play import make_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    make_policy().save(folder)
    return str(folder)


def test_a_film_lasts_as_long_as_what_it_shows(folder, tmp_path):
    made = film_policy(folder, tmp_path / "film.mp4", seconds=0.4, width=64, height=48, physics="fast")
    assert made["frames"] == 10 and made["seconds"] == pytest.approx(0.4)
    frames = iio.imread(tmp_path / "film.mp4", plugin="FFMPEG")
    assert frames.shape == (10, 48, 64, 3)
    assert frames.std() > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"camera": "nose"}, "unknown camera 'nose': choose one of side, back, top, egocentric"),
        ({"seconds": 0}, "a film must last at least"),
        ({"seconds": -3}, "a film must last at least"),
        ({"seconds": float("inf")}, "and end, not inf s"),
        ({"episode": -1}, "index must be 0 or more"),
        ({"fps": 0}, "at least 1 frame a second"),
        ({"width": 63}, "must be even"),
        ({"task": "fly"}, "unknown task 'fly'"),
        ({"physics": "quick"}, "unknown physics preset 'quick'"),
    ],
)
def test_what_cannot_be_filmed_is_refused_and_leaves_nothing(folder, tmp_path, arguments, words):
    with pytest.raises(UsageError, match=words):
        film_policy(folder, tmp_path / "film.mp4", **{"seconds": 0.1, **arguments})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", ["run-gaps", "maze-forage", "escape-bowl", "two-tap"])
def test_every_world_is_filmed_as_dm_control_draws_it(folder, tmp_path, task):
    film_policy(folder, tmp_path / "film.gif", task=task, seconds=0.08, width=96, height=64, physics="fast", fps=25)
    assert iio.imread(tmp_path / "film.gif").std() > 15


@pytest.mark.parametrize("path", ["film.avi", "missing/film.mp4"])
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_simulated(folder, tmp_path, path):
    with pytest.raises(UsageError, match="cannot write a film to"):
        film_policy(folder, tmp_path / path, seconds=30)


def test_a_path_below_a_file_is_refused(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write a film to"):
        film_policy(folder, tmp_path / "file" / "film.mp4")


def test_without_a_display_the_viewer_points_to_films(folder, monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    with pytest.raises(UsageError, match=r"no display: .* use `rodent render`"):
        view_policy(folder)
