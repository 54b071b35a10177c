"""What a report's page holds: films, figures and tables that fit its size, and numbers that come through."""

import base64
import json
import re
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from analysis.nwb_record import record
from analysis.recording import Session
from analysis.report import film, page
from analysis.report.analyze import analyze
from analysis.report.exhibit import scaled
from rodent.errors import UsageError
from tests.analysis.barcode import film_barcode, number
from tests.analysis.conftest import STEPS

QUICK = ("overview", "gait")


def test_the_page_holds_all_it_shows(mlp_session, tmp_path):
    text = Path(analyze([mlp_session], tmp_path, QUICK)["page"]).read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))
    assert [exhibit["steps"] for exhibit in data["exhibits"]][1] == STEPS
    assert all(exhibit["film"] is None and "without --film" in exhibit["note"] for exhibit in data["exhibits"])
    assert "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"(src|href)=\"(?!#|data:)", text) and "http" not in re.sub(
        r"<script type.*?</script>", "", text
    )


def shown(path):
    """What the page plays: each episode's data, and the frames (steps, height, width, 3) of its film."""
    text = Path(path).read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))
    films = []
    for exhibit in data["exhibits"]:
        packed = re.search(rf'<script type="text/plain" id="{exhibit["film"]}">(.*?)</script>', text, re.S).group(1)
        packed_film = Path(path).with_suffix(".webm")
        packed_film.write_bytes(base64.b64decode(packed))
        films.append(frames(packed_film))
    return data["exhibits"], films


def frames(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return np.array([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])


def test_films_that_were_not_recorded_are_drawn_once_for_the_episodes_of_the_page(mlp_session, tmp_path, monkeypatch):
    drawn = []

    def draw(task, seed, episode, states, path, draft):
        assert draft
        drawn.append((task.name, episode))
        film_barcode(task, seed, episode, states, path)

    monkeypatch.setattr(film, "film_episode", draw)
    for _ in range(2):
        exhibits, films = shown(analyze([mlp_session], tmp_path, ("overview",), film=True)["page"])
        assert [name for name, _ in drawn] == ["run", "two-tap"]  # one an exhibit, and none the second time
        assert [len(each) for each in films] == [exhibit["steps"] for exhibit in exhibits]
        assert all(number(frame) == k for each in films for k, frame in enumerate(each))


def film_noise(path, frames):
    writer = imageio_ffmpeg.write_frames(str(path), (320, 240), fps=50, codec="libx264", quality=9)
    writer.send(None)
    for frame in np.random.default_rng(0).integers(0, 256, size=(frames, 240, 320, 3), dtype=np.uint8):
        writer.send(frame.tobytes())
    writer.close()


def test_films_have_the_size_that_is_left_for_them_or_are_refused(tmp_path):
    film_noise(tmp_path / "noise.mp4", 45)
    for most in (10_000_000, 100_000, 20_000):
        path, coarseness = film.embeddable(tmp_path / "noise.mp4", 40, most, tmp_path)
        assert path.stat().st_size <= most
        assert frames(path).shape == (40, 240 // coarseness, 320 // coarseness, 3)
    with pytest.raises(UsageError, match="at its coarsest it has"):
        film.embeddable(tmp_path / "noise.mp4", 40, 500, tmp_path)


def test_a_film_is_no_coarser_than_it_must_be(tmp_path, monkeypatch):
    def encoded(recorded, steps, options, content, cache):
        (sides,) = re.findall(r"iw/(\d+)", " ".join(options)) or ["2"]
        path = cache / f"{sides}.webm"
        path.write_bytes(bytes(16_000 // int(sides) ** 2))
        return path

    monkeypatch.setattr(film, "_encoded", encoded)
    (tmp_path / "film.mp4").touch()
    assert [film.embeddable(tmp_path / "film.mp4", 40, most, tmp_path)[1] for most in (4000, 1500, 300)] == [1, 2, 4]
    with pytest.raises(UsageError, match=r"0\.00 are left"):
        film.embeddable(tmp_path / "film.mp4", 40, 0, tmp_path)


def test_the_page_stays_under_its_size_by_coarser_films_and_then_by_figures_left_out(
    mlp_session, tmp_path, monkeypatch
):
    def embed(recorded, steps, most_bytes, cache):
        if most_bytes < 100_000:
            raise UsageError("it is too large")
        path = cache / "film.webm"
        path.write_bytes(bytes(min(most_bytes, 400_000)))
        return path, 1 if most_bytes >= 400_000 else 2

    monkeypatch.setattr(page, "embeddable", embed)
    monkeypatch.setattr(page, "drawn", lambda source, trial, cache: mlp_session)

    def size_and_text(film):
        text = Path(analyze([mlp_session], tmp_path, QUICK, film=film)["page"]).read_text()
        return len(text.encode()), text

    (whole, text), (bare, _) = size_and_text(True), size_and_text(False)
    assert bare + 1_000_000 < whole < page.PAGE_BYTES and "coarser" not in text
    for most, words in ((bare + 600_000, "The film is coarser"), (bare + 200_000, "No film: it is too large")):
        monkeypatch.setattr(page, "PAGE_BYTES", most)
        size, text = size_and_text(True)
        assert size < most and words in text and "(Left out" not in text
    monkeypatch.setattr(page, "PAGE_BYTES", bare)
    size, text = size_and_text(True)
    assert size < bare and "see figures/session/" in text


def test_tables_that_are_too_long_are_cut_and_a_line_says_where_the_whole_is():
    def stage(name, rows):
        told = {"title": name, "pictures": [], "table": f"tables/{name}.csv", "cut": ""}
        return {**told, "rows": [{"measure": "m" * 80, "value": float(i)} for i in range(rows)]}

    def results():
        return [stage("short", 5), stage("long", 3000), stage("longer", 9000)]

    whole = len(page._json(results()))
    assert page._fitting(results(), whole) == results()
    for most in (whole - 1, whole // 2, whole // 20, 4000):
        short, *cut = page._fitting(results(), most)
        assert len(page._json([short, *cut])) <= most
        assert short == stage("short", 5)
        for each, rows in zip(cut, (3000, 9000), strict=True):
            kept = len(each["rows"])
            assert each["rows"] == stage("any", rows)["rows"][:kept]  # the first ones
            if kept < rows:
                words = f"The first {kept:,} of {rows:,} rows, so that the page stays under 30 MB: see {each['table']}"
                assert each["cut"].startswith(words)
        assert len(cut[1]["rows"]) < 9000
        if most == whole // 2:  # and no more than must be
            assert len(page._json([short, *cut])) > most - 1000
    short, *cut = page._fitting(results(), 10)
    assert not any(each["rows"] for each in (short, *cut)) and "The first 0 of 5 rows" in short["cut"]


def test_films_that_are_gone_are_missed_in_a_line(mlp_session, tmp_path, monkeypatch):
    gone = property(lambda session: dict.fromkeys(range(len(session.trials)), tmp_path / "gone.mp4"))
    monkeypatch.setattr(Session, "films", gone)
    done = analyze([mlp_session], tmp_path / "report", ("overview",))
    assert not any(stage["failure"] for stage in done["stages"])
    text = Path(done["page"]).read_text()
    assert (
        "gone.mp4 is missing: put it back, or record with --film again. The skeleton shows the recorded pose." in text
    )


@pytest.mark.gl
def test_a_film_drawn_afterwards_is_that_which_would_have_been_recorded_but_for_being_a_draft(
    mlp, tmp_path, monkeypatch
):
    whole = film.film_episode
    monkeypatch.setattr(film, "film_episode", lambda *given, draft: whole(*given))
    pages = []
    for folder, filmed in ((tmp_path / "filmed", True), (tmp_path / "drawn", False)):
        folder.mkdir()
        session = record(mlp, folder / "session.nwb", ["two-tap"], 1, steps=15, threads=1, film=filmed)
        pages.append(shown(analyze([session], folder / "report", ("overview",), film=True)["page"])[1])
    np.testing.assert_array_equal(*pages)
    assert pages[0][0].shape[0] == 15 and pages[0][0][0].std() > 10


def test_numbers_of_the_page_are_right_to_a_65535th_of_their_range():
    values = np.random.default_rng(0).normal(size=1000)
    packed = scaled(values, "i2")
    levels = np.frombuffer(base64.b64decode(packed["data"]), "<i2")
    back = levels * packed["scale"] + packed["offset"]
    np.testing.assert_allclose(back, values, atol=np.ptp(values) / 65534)


def test_a_number_that_is_missing_is_none_on_the_page():
    packed = scaled(np.array([3.0, np.nan, -1.0, np.nan]), "i2")
    levels = np.frombuffer(base64.b64decode(packed["data"]), "<i2")
    assert (levels == packed["missing"]).tolist() == [False, True, False, True]
    assert levels[[0, 2]] * packed["scale"] + packed["offset"] == pytest.approx([3, -1])
    nothing = np.frombuffer(base64.b64decode(scaled(np.full(3, np.nan), "i2")["data"]), "<i2")
    assert (nothing == packed["missing"]).all()
