"""In headless Chromium: what the page's cursor says is what its film shows, however the two were moved."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis import nwb_record
from analysis.report import page
from analysis.report.analyze import analyze
from analysis.report.folder import CACHE
from tests.analysis.barcode import READ, film_barcode

pytestmark = pytest.mark.browser

STEPS = 130
STAGES = ("behaviour", "gait", "tuning", "dimensions")
GUTTER, MARGIN = 168, 74  # of the tracks, pixels


@pytest.fixture(scope="module")
def session(mlp, tmp_path_factory):
    path = tmp_path_factory.mktemp("filmed") / "barcode.nwb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nwb_record, "film_episode", film_barcode)
        return nwb_record.record(mlp, path, ["run", "two-tap"], 3, steps=STEPS, threads=1, film=True)


@pytest.fixture(scope="module")
def report(session, tmp_path_factory):
    output = tmp_path_factory.mktemp("report")
    done = analyze([session], output, STAGES)
    assert not [stage for stage in done["stages"] if stage["failure"]]
    return Path(done["page"])


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """A page that was opened, with all that it complained of and asked for."""

    def __init__(self, browser, path):
        self.page = browser.new_page(viewport={"width": 1300, "height": 1500})
        self.errors, self.requests = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function("state.step >= 0")

    def settle(self):
        """Wait until no seek is under way or wanted, and what it led to is drawn."""
        self.page.wait_for_function("!video.seeking && filmClock.wanted === null")
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    @property
    def cursor(self):
        """What every track says."""
        script = "all => all.map(each => each.getAttribute('aria-valuenow'))"
        said = self.page.eval_on_selector_all("[role=slider]", script)
        assert len(set(said)) == 1, said
        return int(said[0])

    def agrees(self):
        """The step of cursor and film alike."""
        self.settle()
        shown = self.page.evaluate(READ)
        assert self.cursor == shown
        return shown

    def click(self, track, share):
        canvas = self.page.locator(f"canvas[data-track='{track}']")
        box = canvas.bounding_box()
        x = GUTTER + share * (box["width"] - GUTTER - MARGIN)
        canvas.click(position={"x": x, "y": box["height"] / 2})


@pytest.fixture
def reader(chromium, report):
    reader = Reader(chromium, report)
    yield reader
    assert not reader.errors
    reader.page.close()


def test_a_click_in_any_trace_seeks_the_film_to_the_step_under_it(reader):
    reader.page.select_option("#span", "0")  # all of the episode in view, so that the share tells the step
    tracks = reader.page.eval_on_selector_all("[data-track]", "all => all.map(each => each.dataset.track)")
    assert tracks == ["Episode", "Behaviour", "Gait", "Body and critic", "Units"]
    rng = np.random.default_rng(0)
    for track in tracks:
        for share in (0.001, *rng.uniform(0.05, 0.95, size=4), 0.999):
            reader.click(track, share)
            assert abs(reader.agrees() - int(share * STEPS)) <= 1, (track, share)


def test_within_a_window_a_click_means_what_is_under_it(reader):
    reader.page.select_option("#span", "2")
    reader.click("Episode", 0.5)
    middle = reader.agrees()
    reader.click("Gait", 0.25)
    assert abs(reader.agrees() - (middle - 25)) <= 1


def test_every_step_of_an_episode_shows_its_own_frame(reader):
    reader.page.keyboard.press("Home")
    assert reader.agrees() == 0
    for step in range(1, STEPS):
        reader.page.keyboard.press("ArrowRight")
        assert reader.agrees() == step


def test_keys_alone_move_it(reader):
    press = reader.page.keyboard.press
    press("End")
    assert reader.agrees() == STEPS - 1
    press("ArrowRight")
    assert reader.agrees() == STEPS - 1
    press("Shift+ArrowLeft")
    assert reader.agrees() == STEPS - 11
    press("ArrowLeft")
    assert reader.agrees() == STEPS - 12
    labels = reader.page.evaluate("[...state.data.labels]")
    begins = [i for i in range(STEPS) if i == 0 or labels[i] != labels[i - 1]]
    press("p")
    assert reader.agrees() == max(begin for begin in begins if begin < STEPS - 12)
    press("Home")
    press("n")
    assert reader.agrees() == (begins[1] if len(begins) > 1 else 0)
    press("p")
    assert reader.agrees() == 0


def test_keys_alone_change_the_episode_the_view_and_the_colours(reader):
    press = reader.page.keyboard.press
    for key, shown in (("[", 1), ("[", 0), ("]", 1)):
        press(key)
        reader.page.wait_for_function(f"state.exhibit === report.exhibits[{shown}] && state.step === 0")
    skeleton = reader.page.locator("#skeleton")
    for visible in (True, False):
        press("s")
        assert skeleton.is_visible() == visible
    theme = "document.documentElement.dataset.theme"
    before = reader.page.evaluate(theme)
    press("t")
    assert {before, reader.page.evaluate(theme)} == {"light", "dark"}
    press("t")
    assert reader.page.evaluate(theme) == before


def test_arrow_keys_turn_the_trajectory_that_has_the_focus_and_leave_the_film_where_it_is(reader):
    reader.click("Units", 0.5)
    step = reader.agrees()
    reader.page.focus("#trajectory")
    yaw, pitch = reader.page.evaluate("[state.yaw, state.pitch]")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        reader.page.keyboard.press(key)
    assert reader.page.evaluate("[state.yaw, state.pitch]") == pytest.approx([yaw + 0.1, pitch + 0.1])
    assert reader.agrees() == step
    reader.page.keyboard.press("Shift+ArrowRight")
    assert reader.agrees() == step + 10


def test_tab_goes_through_the_page_in_the_order_in_which_it_is_read(reader):
    name = "document.activeElement.id || document.activeElement.dataset.track || document.activeElement.className"
    legend = reader.page.locator("#legend button").count()
    visited = []
    for _ in range(16 + legend):
        reader.page.keyboard.press("Tab")
        visited.append(reader.page.evaluate(name))
    transport = ["play", "back", "forth", "rate", "span", "view"]
    tracks = ["Episode", "Behaviour", "Gait", "Body and critic", "Units"]
    assert visited[:16] == ["skip", "exhibit", "theme", "layer", "trajectory", *transport, *tracks]
    assert legend and reader.page.evaluate("document.activeElement.parentElement.id") == "legend"
    reader.page.keyboard.press("Tab")
    assert reader.page.evaluate("document.activeElement.tagName") == "SUMMARY"
    reader.page.keyboard.press("Enter")
    reader.page.wait_for_selector(".table")
    for tag in ("INPUT", "DIV"):
        reader.page.keyboard.press("Tab")
        assert reader.page.evaluate("document.activeElement.tagName") == tag
    assert reader.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Table: ")


def test_a_table_that_has_the_focus_scrolls_by_the_keys_that_move_the_film_elsewhere(reader):
    reader.click("Units", 0.5)
    step = reader.agrees()
    reader.page.set_viewport_size({"width": 700, "height": 900})  # narrower than a table
    reader.page.locator("summary").last.click()
    table = reader.page.locator(".table")
    table.focus()
    reader.page.keyboard.press("ArrowRight")
    reader.page.wait_for_function("document.querySelector('.table').scrollLeft > 0")
    reader.page.keyboard.press("ArrowLeft")
    reader.page.wait_for_function("document.querySelector('.table').scrollLeft === 0")
    reader.page.keyboard.press("End")
    reader.page.wait_for_function("document.querySelector('.table').scrollTop > 0")
    reader.page.keyboard.press("Home")
    reader.page.wait_for_function("document.querySelector('.table').scrollTop === 0")
    reader.page.keyboard.press(" ")
    reader.page.wait_for_function("document.querySelector('.table').scrollTop > 0")
    assert reader.agrees() == step and not reader.page.evaluate("state.playing")
    reader.page.keyboard.press("n")  # moves nothing but the film, wherever the focus is
    reader.page.wait_for_function(f"state.step !== {step}")


def test_dragging_ends_where_the_pointer_is(reader):
    reader.page.select_option("#span", "0")
    box = reader.page.locator("canvas[data-track='Units']").bounding_box()
    at = [box["x"] + GUTTER + share * (box["width"] - GUTTER - MARGIN) for share in np.linspace(0.1, 0.8, 25)]
    reader.page.mouse.move(at[0], box["y"] + 5)
    reader.page.mouse.down()
    for x in at:
        reader.page.mouse.move(x, box["y"] + 5)
    reader.page.mouse.up()
    assert abs(reader.agrees() - int(0.8 * STEPS)) <= 1


def test_while_it_plays_the_cursor_is_at_the_frame_that_is_shown(reader):
    """A frame is read together with its own time, since the next may be there before a canvas is painted."""
    reader.page.keyboard.press("Home")
    reader.agrees()
    reader.page.select_option("#rate", "0.25")
    rows = reader.page.evaluate(
        """async (script) => {
          const read = eval(script), rows = [];
          const look = (now, shown) => {
            const frame = new VideoFrame(video);
            rows.push([state.step, shown.mediaTime * FPS, read(frame), frame.timestamp * FPS / 1e6]);
            frame.close();
            video.requestVideoFrameCallback(look);
          };
          video.requestVideoFrameCallback(look);
          play();
          await new Promise((done) => setTimeout(done, 5000));
          pause();
          return rows;
        }""",
        READ,
    )
    cursor, shown, number, time = np.array(rows).T
    assert len(rows) > 5 and cursor[-1] > 10
    assert np.array_equal(cursor, np.rint(shown))  # the cursor is where the film says that it is
    assert np.array_equal(number, np.rint(time))  # and a frame of that time carries that number
    same = np.rint(shown) == np.rint(time)
    assert same.sum() > 5 and np.array_equal(
        number[same], cursor[same]
    )  # so that both agree where they are read at once
    assert reader.agrees() >= cursor[-1]


def test_a_pause_leaves_them_together(reader):
    reader.page.keyboard.press("Home")
    reader.agrees()
    reader.page.keyboard.press(" ")
    reader.page.wait_for_function("state.step > 15")
    reader.page.keyboard.press(" ")
    assert 15 < reader.agrees() < STEPS


def test_a_click_on_the_path_seeks_to_the_nearest_step(reader):
    step = 77
    place = reader.page.evaluate(
        """(step) => {
          const box = trajectory.getBoundingClientRect(), { path } = state.data.paths[state.layer];
          const [x, y] = project(box.width, box.height).at(...path.subarray(3 * step, 3 * step + 3));
          return [box.left + x, box.top + y];
        }""",
        step,
    )
    reader.page.mouse.click(*place)
    sought = reader.agrees()
    apart = reader.page.evaluate(
        """(steps) => {
          const { path } = state.data.paths[state.layer], projection = project(400, 400);
          const [[x, y], [u, v]] = steps.map((step) => projection.at(...path.subarray(3 * step, 3 * step + 3)));
          return Math.hypot(x - u, y - v);
        }""",
        [step, sought],
    )
    assert apart < 2  # paths cross


def test_each_episode_has_its_own_film_and_they_stay_together(reader):
    assert reader.page.locator("#exhibit option").count() == 2
    reader.page.keyboard.press("]")
    reader.page.wait_for_function("state.exhibit === report.exhibits[1] && state.step === 0")
    reader.click("Units", 0.4)
    assert reader.agrees() > 0


def test_it_asks_for_nothing_and_says_what_each_picture_shows(reader, report):
    assert {url.split(":")[0] for url in reader.requests} <= {"file", "blob", "data"}
    assert "http://" not in (text := report.read_text()) and "https://" not in text
    assert report.stat().st_size < 30e6
    for summary in reader.page.locator("summary").all():
        summary.click()
    reader.settle()  # a section is filled after it has opened
    caption = "figure => figure.querySelector('figcaption')?.textContent ?? ''"
    told = reader.page.eval_on_selector_all("figure", f"all => all.map({caption})")
    assert len(told) > 10 and all(len(caption) > 20 for caption in told)
    assert reader.page.eval_on_selector_all("img", "all => all.every(each => each.alt && each.naturalWidth > 100)")


def test_without_its_film_the_skeleton_moves_and_a_line_says_why(chromium, session, report, tmp_path):
    shutil.copyfile(session, tmp_path / session.name)  # the films stay behind
    shutil.copytree(report.parent / CACHE, tmp_path / "report" / CACHE)
    done = analyze([tmp_path / session.name], tmp_path / "report", STAGES)
    assert all(stage["cached"] for stage in done["stages"] if stage["session"])
    reader = Reader(chromium, Path(done["page"]))
    note = reader.page.locator("#film-note").text_content()
    assert "is missing: put it back, or record with --film again" in note
    reader.page.keyboard.press("End")
    reader.page.wait_for_function(f"state.step === {STEPS - 1}")
    reader.settle()
    assert reader.cursor == STEPS - 1
    assert reader.page.locator("#skeleton").is_visible() and not reader.errors
    reader.page.close()


def test_a_page_of_few_stages_still_plays(chromium, session, tmp_path):
    reader = Reader(chromium, Path(analyze([session], tmp_path, ("overview",))["page"]))
    reader.page.keyboard.press("End")
    assert reader.agrees() == STEPS - 1
    assert not reader.page.locator("#trajectory").is_visible() and not reader.errors
    reader.page.close()


def test_a_table_says_what_of_it_is_not_shown(chromium, session, tmp_path, monkeypatch):
    row = {"session": "s", "task": "", "layer": "", "variable": "", "value": None}
    row |= {"reason": "not estimable: one class", "control": ""}

    def cut(results, most_bytes):
        results[0]["rows"] = [{**row, "measure": f"number {i}"} for i in range(5000)]
        page._cut(results, 200_000)
        return results

    monkeypatch.setattr(page, "_fitting", cut)
    reader = Reader(chromium, Path(analyze([session], tmp_path, ("overview",))["page"]))
    reader.page.locator("summary", has_text="Episodes").click()
    told = reader.page.locator(".filter [role=status]")
    words = told.text_content()
    assert "of 5,000 rows" in words and "see tables/overview.csv" in words and "1000 of" in words
    assert reader.page.locator("tbody tr").count() == 1000
    reader.page.locator(".filter input").fill("number 770")
    assert reader.page.locator("tbody tr").count() == 1
    assert "are shown" not in told.text_content() and "see tables/overview.csv" in told.text_content()
    assert not reader.errors
    reader.page.close()
