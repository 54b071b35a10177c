"""The page: film, behaviour, gait, units and population on one clock, and all results, in one file."""

from __future__ import annotations

import base64
import html
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

import rodent
from analysis.report.cache import Kept
from analysis.report.exhibit import choose_trials, exhibit
from analysis.report.film import drawn, embeddable
from analysis.report.findings import Outcome, finding_rows
from analysis.report.folder import PAGE
from analysis.report.source import PAWS, TIMESTEP, Source
from analysis.report.stages.overview import NO_ANIMAL
from policies.storage import write_atomically
from rodent.errors import UsageError

PAGE_BYTES = 30_000_000
_FILM_BYTES = 14_000_000  # of all films together, of which base64 makes 19 MB; less where the rest leaves less
_REST_BYTES = 20_000  # of titles, names of body parts and tags
_COARSER = "The film is coarser than the recorded one, so that the page stays under {:.0f} MB."
_LEFT_OUT = "(Left out, so that the page stays under {:.0f} MB: see {}.)"
_CUT = "The first {:,} of {:,} rows, so that the page stays under {:.0f} MB: see {} for all."
_NUMBERS = ("value", "low", "high", "null_median", "null_low", "null_high", "p", "q")


@dataclass
class Found:
    """What the stages found in one session, or over several.

    Attributes:
        name: the session's.
        kept: outcomes by stage, in the order of the standard set.
        failures: why a stage has none, by stage.
    """

    name: str
    kept: dict[str, Kept] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def rows(self, stage: str) -> list[dict[str, Any]]:
        """The rows of a stage's table; of one that failed, the row that says so; none of one that was not run."""
        named = {"session": self.name, "stage": stage}
        if stage in self.failures:
            failed = Outcome()
            failed.missing(stage, self.failures[stage])
            return finding_rows(failed.findings, **named)
        return finding_rows(self.kept[stage].findings, **named) if stage in self.kept else []


def write_page(
    sources: Sequence[Source],
    found: Sequence[Found],
    titles: Mapping[str, str],
    output: Path,
    cache: Path,
    draw: bool = False,
) -> Path:
    """Write the page, under `PAGE_BYTES`: what does not fit of films is coarser, of figures and tables in their folder.

    Args:
        sources: the sessions.
        found: in each of them, and after these over all.
        titles: of the stages that were run, by name.
        output: the report's folder.
        cache: where films are kept.
        draw: draw the films of episodes that were recorded without one.

    Returns:
        Its path.
    """
    chosen = _episodes(sources, found)
    exhibits = [exhibit(source, trial, mine.kept) for source, mine, trial in chosen]
    own = sum(len(_asset(name).encode()) for name in ("page.html", "page.css", "page.js"))
    room = PAGE_BYTES - _REST_BYTES - own - len(_json(exhibits))
    results = _fitting([_stage(name, title, found) for name, title in titles.items()], room)
    films = _add_films(chosen, exhibits, cache, draw, min(_FILM_BYTES, max(room - len(_json(results)), 0) * 3 // 4))
    names, edges = sources[0].session.skeleton
    data = {
        "fps": round(1 / TIMESTEP),
        "paws": PAWS,
        "parts": names,
        "edges": edges,
        "front": names.index("skull"),
        "rear": names.index("pelvis"),
        "several": len(sources) > 1,
        "exhibits": exhibits,
    }
    title = ", ".join(source.name for source in sources)
    parts = {
        "title": html.escape(title),
        "lead": html.escape(" ".join(map(_lead, sources))),
        "foot": html.escape(f"virtual-rodent {rodent.__version__}. Everything is in this file; nothing is fetched."),
        "style": _asset("page.css"),
        "script": _asset("page.js"),
        "data": _json(data),
        "results": _json(results),
        "films": "\n".join(f'<script type="text/plain" id="{name}">{film}</script>' for name, film in films.items()),
    }
    text = _asset("page.html")
    for name, part in parts.items():
        head, _, tail = text.partition("{{" + name + "}}")
        text = head + part + tail if name != "title" else text.replace("{{title}}", part)
    write_atomically(output / PAGE, text)
    return output / PAGE


def _json(value: Any) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _episodes(sources: Sequence[Source], found: Sequence[Found]) -> list[tuple[Source, Found, int]]:
    """An episode of each task of each session: the session, what was found in it, and the trial."""
    return [
        (source, mine, trial)
        for source, mine in zip(sources, found, strict=False)
        for trial in choose_trials(source, {t: film for t, film in source.session.films.items() if film.is_file()})
    ]


def _add_films(
    chosen: Sequence[tuple[Source, Found, int]],
    exhibits: Sequence[dict[str, Any]],
    cache: Path,
    draw: bool,
    most_bytes: int,
) -> dict[str, str]:
    """Tell each exhibit its film, or why it has none or a coarser one; the films as base64, by name."""
    films = {}
    for i, ((source, _, trial), told) in enumerate(zip(chosen, exhibits, strict=True)):
        try:
            film, coarseness = _film(source, trial, cache, draw, most_bytes // len(chosen))
            films[f"film-{i}"] = base64.b64encode(film.read_bytes()).decode()
            note = _COARSER.format(PAGE_BYTES / 1e6) if coarseness > 1 else ""
            told.update({"film": f"film-{i}", "note": note})
        except UsageError as error:
            told.update({"film": None, "note": f"No film: {error}. The skeleton shows the recorded pose."})
    return films


def _fitting(results: list[dict[str, Any]], most_bytes: int) -> list[dict[str, Any]]:
    """Results without the largest figures, and then without the ends of the longest tables, where all are too many.

    Captions and lines say where the whole is.
    """
    over = len(_json(results)) - most_bytes
    pictures = [picture for stage in results for picture in stage["pictures"]]
    for picture in sorted(pictures, key=lambda each: len(each["png"]), reverse=True):
        if over <= 0:
            break
        told = f" {_LEFT_OUT.format(PAGE_BYTES / 1e6, picture['file'])}"
        over -= len(picture["png"]) - len(told)
        picture.update(png="", caption=picture["caption"] + told)
    if over > 0:
        _cut(results, most_bytes)
    return results


def _cut(results: list[dict[str, Any]], most_bytes: int) -> None:
    """Leave out all rows of a table but the first, as many of every table as there is room for."""
    ends = [np.cumsum([0, *(len(_json(row)) + 1 for row in stage["rows"])]) for stage in results]
    others = len(_json(results)) - sum(int(end[-1]) for end in ends) + len(results) * (len(_CUT) + 60)

    def size(count: int) -> int:
        return others + sum(int(end[min(count, len(end) - 1)]) for end in ends)

    count = max(bisect_right(range(max(map(len, ends))), most_bytes, key=size) - 1, 0)
    for stage in results:
        if (rows := len(stage["rows"])) > count:
            stage["cut"] = _CUT.format(count, rows, PAGE_BYTES / 1e6, stage["table"])
            stage["rows"] = stage["rows"][:count]


def _film(source: Source, trial: int, cache: Path, draw: bool, most_bytes: int) -> tuple[Path, int]:
    recorded = source.session.films.get(trial)
    if (recorded is None or not recorded.is_file()) and draw:
        recorded = drawn(source, trial, cache)
    if recorded is None:
        raise UsageError("the episode was recorded without --film; `rodent analyze --film` draws it")
    return embeddable(recorded, int(source.lengths[trial]), most_bytes, cache)


def _stage(name: str, title: str, found: Sequence[Found]) -> dict[str, Any]:
    pictures = [
        {
            "session": each.name,
            "caption": caption,
            "file": f"figures/{each.name}/{name}.{picture}.png",
            "png": base64.b64encode((each.kept[name].folder / f"{picture}.png").read_bytes()).decode(),
        }
        for each in found
        if name in each.kept
        for picture, caption in each.kept[name].captions.items()
    ]
    rows = [_plain(row) for each in found for row in each.rows(name)]
    return {"title": title, "pictures": pictures, "rows": rows, "table": f"tables/{name}.csv", "cut": ""}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with null for NaN, as JSON wants it."""
    return {
        name: (float(f"{value:.5g}") if math.isfinite(value) else None) if name in _NUMBERS else value
        for name, value in row.items()
        if name != "stage"
    }


def _lead(source: Source) -> str:
    trials, protocol = source.session.trials, source.session.protocol
    tasks = ", ".join(f"{(trials['task'] == task).sum()} of {task}" for task in source.task_names)
    units = sum(source.session.layers[name].shape[1] for name in source.layers)
    return (
        f"{source.name}: {len(trials)} episodes ({tasks}), {len(source.episodes):,} steps of 20 ms, {units:,} units in "
        f"{len(source.layers)} layers; seed {protocol.get('seed')}, physics {protocol.get('physics')}."
        + (f" Beware: {NO_ANIMAL}." if source.privileged else "")
    )


def _asset(name: str) -> str:
    return (files("analysis.report") / "web" / name).read_text()
