"""Runs the standard set over sessions and leaves the report: what `rodent analyze` does."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

import rodent
from analysis.behaviour_map import load_map
from analysis.clips import choose_clips, film_clips
from analysis.report import across, behaviour_map
from analysis.report.cache import FORMATS, Kept, find, keep
from analysis.report.findings import Arrays, Outcome, unit_rows
from analysis.report.folder import CACHE, CLIPS, FIGURES, RESULTS, TABLES, TIMES, claim, disk_errors, replacing
from analysis.report.page import Found, write_page
from analysis.report.source import Source
from analysis.report.stage import Stage, code_digest, libraries
from analysis.report.stages import STAGES
from analysis.report.stages.untrained import UNTRAINED, beside_untrained
from analysis.report.threads import one_core_each
from policies.storage import write_atomically
from rodent.errors import UsageError
from rodent.machine import peak_memory_gib
from rodent.rendering import probe
from rodent.seeds import check_seed

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""

_BEHAVIOUR = "behaviour"
_AT_ONCE = 2  # stages, in threads
_OF_NETWORKS = 0.3  # of the time of a session's stages, about: what untrained networks beside them take
_IN_TABLE = "Untrained networks stand beside the numbers of layers in the table."


@threadpool_limits.wrap(limits=1)  # most products are too small for two threads, which would wait for each other
def analyze(
    sessions: Sequence[Path],
    output: Path,
    stages: Sequence[str] = (),
    seed: int = 0,
    film: bool = False,
    clips: bool = False,
    map_into: Path | None = None,
    progress: Progress = lambda share, what: None,
) -> dict[str, Any]:
    """Analyse sessions; what a stage found before, of the same content by the same code, is taken from the cache.

    A stage that fails costs its own results alone: its table says why.

    Args:
        sessions: files that `rodent record` made.
        output: the report's folder, made where it is missing.
        stages: to run, with what they need (none: all that are not optional).
        seed: of all draws.
        film: draw the films of the episodes that the page plays, where they were recorded without.
        clips: film a grid of clips of each behaviour, which needs OpenGL.
        map_into: an earlier report, whose map of behaviour the sessions are placed in (None: one over all is drawn).
        progress: see `Progress`.

    Returns:
        What was done, JSON-compatible: `page`, `stages` (session, stage, seconds, whether from the cache, failure),
        `seconds`, `peak_memory_gib`.

    Raises:
        UsageError: a session cannot be read, the folder cannot be written or holds what is no report's, a stage is
            unknown; clips are wanted where no OpenGL works; or there is no earlier map, or it is of another body.
    """
    check_seed(seed)
    start, chosen = time.perf_counter(), _chosen([*stages, _BEHAVIOUR] if stages and clips else stages)
    if clips and not probe().is_opengl:
        raise UsageError(
            "no OpenGL works here to film clips with (`rodent doctor` says why): leave out --clips, and see "
            "behaviour.clips among the figures"
        )
    names = [path.stem for path in sessions]
    if not sessions:
        raise UsageError("no session to analyse: give at least one that `rodent record` made")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two sessions are called {twice}: rename one, since the report names them by their files")
    mapped = any(behaviour_map.NAME in stage.needs for stage in chosen)
    earlier = load_map(map_into) if map_into is not None else None
    sources = [Source(path) for path in sessions]
    found, times = [Found(source.name) for source in sources], []
    together = Found(" and ".join(source.name for source in sources))
    cache, titles = output / CACHE, _titles(chosen)
    try:
        if mapped:
            behaviour_map.check_bodies(sources, earlier)
        claim(output)
        first = [_Job(behaviour_map.NAME, lambda: _run_map(sources, together, earlier, cache, seed))] if mapped else []
        for i, (source, mine) in enumerate(zip(sources, found, strict=True)):
            waiting: dict[str, _Waiting] = {}
            of_stages = 1 - _OF_NETWORKS * any(stage.beside_untrained for stage in chosen)

            def told(share: float, what: str, i: int = i, name: str = source.name) -> None:
                progress(0.9 * (i + share) / len(sources), f"{name}: {what}")

            def ended(share: float, now: str, told: Progress = told, of_stages: float = of_stages) -> None:
                told(of_stages * share, now)

            run = partial(_run, source, mine, together.kept, cache=cache, seed=seed, waiting=waiting)
            jobs = [_Job(stage.name, partial(run, stage), stage.needs, stage.heavy) for stage in chosen]
            times += _run_all([*first, *jobs], ended)
            first = []  # the map is of all sessions
            if waiting:
                times.append(_stand_beside(source, mine, waiting, seed, told))
            mine.kept = {stage.name: mine.kept[stage.name] for stage in chosen if stage.name in mine.kept}
        if len(sources) > 1:
            progress(0.95, "over sessions")
            times.append(_run_across(sources, found, together, cache, seed))
            titles[across.NAME] = across.TITLE
        found.append(together)
        progress(0.97, "tables, films and page")
        with disk_errors(output):
            page = _write(sources, found, titles, output, film, clips, times)
    finally:
        for source in sources:
            source.close()
    summary = {
        "page": str(page),
        "stages": times,
        "seconds": round(time.perf_counter() - start, 2),
        "peak_memory_gib": round(peak_memory_gib(), 2),
    }
    with disk_errors(output):
        write_atomically(output / TIMES, json.dumps(summary, indent=2) + "\n")
    progress(1.0, "done")
    return summary


def _chosen(names: Sequence[str]) -> list[Stage]:
    """The stages of these names and those that they need, in order; of no names, all that are not optional."""
    known = {stage.name: stage for stage in STAGES}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"unknown stage {unknown[0]!r}: choose among {', '.join(known)}")
    wanted = set(names or (stage.name for stage in STAGES if not stage.optional))
    for stage in reversed(STAGES):  # a stage needs only such as stand before it
        if stage.name in wanted:
            wanted |= set(stage.needs)
    return [stage for stage in STAGES if stage.name in wanted]


def _titles(chosen: Sequence[Stage]) -> dict[str, str]:
    """Of what is shown, by name, in its order: the map stands before the behaviours that are read from it."""
    titles = {}
    for stage in chosen:
        if behaviour_map.NAME in stage.needs:
            titles[behaviour_map.NAME] = behaviour_map.TITLE
        titles[stage.name] = stage.title
    return titles


@dataclass
class _Waiting:
    """An outcome that untrained networks are to stand beside before it is kept."""

    outcome: Outcome
    folder: Path
    facts: dict[str, Any]
    row: dict[str, Any]
    """Of the times."""


@dataclass(frozen=True)
class _Job:
    """What `_run_all` runs."""

    name: str
    run: Callable[[], dict[str, Any]]
    needs: tuple[str, ...] = ()
    """Jobs that end before it begins; names that are not among the jobs are taken to have ended."""
    heavy: bool = True


def _run_all(jobs: Sequence[_Job], progress: Progress) -> list[dict[str, Any]]:
    """Run jobs, some at a time, the heavy ones as early as what they need allows; what they return, in order.

    In threads: most of the work is NumPy's, which lets others run, and what waits for untrained networks stays here.
    """
    names, ended = {job.name for job in jobs}, dict[str, dict[str, Any]]()
    pending, running = sorted(jobs, key=lambda job: not job.heavy), dict[Future[dict[str, Any]], str]()
    with one_core_each(_AT_ONCE) as pool:
        while pending or running:
            ready = [job for job in pending if names & set(job.needs) <= ended.keys()]
            for job in ready[: _AT_ONCE - len(running)]:
                pending.remove(job)
                running[pool.submit(job.run)] = job.name
            progress(len(ended) / len(jobs), ", ".join(running.values()))
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                ended[running.pop(done)] = done.result()
    return [ended[job.name] for job in jobs]


def _run(
    source: Source,
    mine: Found,
    together: Mapping[str, Kept],
    stage: Stage,
    *,
    cache: Path,
    seed: int,
    waiting: dict[str, _Waiting],
) -> dict[str, Any]:
    """Run one stage of one session or find what it left."""
    there = {**together, **mine.kept}
    if missing := [name for name in stage.needs if name not in there]:
        mine.failures[stage.name] = f"it needs {missing[0]}, which failed"
        return _timed(source.name, stage.name, 0.0, failure=mine.failures[stage.name])
    key = stage.key(source, seed, {name: there[name].folder.name for name in stage.needs})
    earlier = {name: there[name].arrays for name in stage.needs}
    facts = {"session_sha256": source.digest, "seed": seed, "key": key, "virtual_rodent": rodent.__version__}
    return _kept(mine, stage.name, key, lambda: stage.work(source, earlier, seed), cache, facts, waiting)


def _stand_beside(
    source: Source, mine: Found, waiting: Mapping[str, _Waiting], seed: int, progress: Progress
) -> dict[str, Any]:
    """Drive untrained networks for the outcomes that wait for them, and keep these."""
    before = time.perf_counter()

    def told(done: int, count: int) -> None:
        progress(1 - _OF_NETWORKS * (1 - done / count), f"{UNTRAINED}, {done} of {count}")

    failures = beside_untrained(source, {name: each.outcome for name, each in waiting.items()}, seed, told)
    for name, each in waiting.items():
        try:
            if name in failures:
                raise failures[name]
            _tell_of_untrained(each.outcome)
            mine.kept[name] = keep(each.outcome, each.folder, each.row["seconds"], each.facts)
        except Exception as error:  # whatever it is, the other stages must not be lost
            each.row["failure"] = mine.failures[name] = _line(error)
    return _timed(source.name, UNTRAINED, time.perf_counter() - before)


def _tell_of_untrained(outcome: Outcome) -> None:
    """Say with the figures, which were drawn before, where untrained networks stand."""
    if any(UNTRAINED in each.estimate.nulls for each in outcome.findings):
        told = {name: replace(each, caption=f"{each.caption} {_IN_TABLE}") for name, each in outcome.pictures.items()}
        outcome.pictures = told


def _run_map(
    sources: Sequence[Source], together: Found, earlier: Arrays | None, cache: Path, seed: int
) -> dict[str, Any]:
    """Draw the map that behaviours are read from, or place the sessions in an earlier one."""
    digests, name = [source.digest for source in sources], behaviour_map.NAME
    facts: dict[str, Any] = {"sessions": digests, "seed": seed, "libraries": libraries()}
    facts["code"] = code_digest(behaviour_map.__name__)
    if earlier is not None:
        facts["map"] = hashlib.sha256(b"".join(earlier[name].tobytes() for name in sorted(earlier))).hexdigest()
    key = hashlib.sha256(json.dumps([name, facts]).encode()).hexdigest()

    def work() -> Outcome:
        if earlier is not None:
            return behaviour_map.earlier_map(sources, earlier, seed)
        return behaviour_map.behaviour_map(sources, seed)

    return _kept(together, name, key, work, cache, {"sessions_sha256": digests, "seed": seed, "key": key})


def _run_across(
    sources: Sequence[Source], found: Sequence[Found], together: Found, cache: Path, seed: int
) -> dict[str, Any]:
    """Put the sessions together, after what was found in each."""
    parts = [sorted(kept.folder.name for kept in each.kept.values()) for each in found]
    facts = [[source.name, source.digest] for source in sources], parts, seed, code_digest(across.__name__)
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    findings = [{name: kept.findings for name, kept in each.kept.items()} for each in found]
    told = {"sessions_sha256": [source.digest for source in sources], "seed": seed, "key": key}
    return _kept(together, across.NAME, key, lambda: across.across(sources, findings, seed), cache, told)


def _kept(
    mine: Found,
    name: str,
    key: str,
    work: Callable[[], Outcome],
    cache: Path,
    facts: dict[str, Any],
    waiting: dict[str, _Waiting] | None = None,
) -> dict[str, Any]:
    """Find an outcome in the cache, or make it; one that untrained networks are to stand beside waits for them."""
    before, folder = time.perf_counter(), cache / f"{name}-{key[:32]}"
    kept = find(folder)
    if kept is None:
        try:
            outcome = work()
            taken = time.perf_counter() - before
            facts = {"session": mine.name, "stage": name, **facts}
            if outcome.of_others is not None and waiting is not None:
                row = _timed(mine.name, name, taken)
                waiting[name] = _Waiting(outcome, folder, facts, row)
                return row
            kept = keep(outcome, folder, taken, facts)
        except Exception as error:  # whatever it is, the other stages must not be lost
            mine.failures[name] = _line(error)
            return _timed(mine.name, name, time.perf_counter() - before, failure=mine.failures[name])
    mine.kept[name] = kept
    return _timed(mine.name, name, time.perf_counter() - before, cached=not kept.fresh)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _timed(session: str, stage: str, seconds: float, cached: bool = False, failure: str = "") -> dict[str, Any]:
    return {"session": session, "stage": stage, "seconds": round(seconds, 3), "cached": cached, "failure": failure}


def _write(
    sources: Sequence[Source],
    found: Sequence[Found],
    titles: Mapping[str, str],
    output: Path,
    film: bool,
    clips: bool,
    times: list[dict[str, Any]],
) -> Path:
    """Tables, figures, results and clips, and then the page, whose path it returns; adds to the times."""
    before, cache = time.perf_counter(), output / CACHE
    with replacing(output) as parts:
        _write_tables(found, titles, parts)
        if clips:
            _write_clips(sources, found, parts, cache)
    if clips:
        times.append(_timed("", CLIPS, time.perf_counter() - before))
        before = time.perf_counter()
    page = write_page(sources, found, titles, output, cache, film)
    times.append(_timed("", "page", time.perf_counter() - before))
    return page


def _write_tables(found: Sequence[Found], stages: Iterable[str], output: Path) -> None:
    """Tables of all sessions, stage by stage; figures and result files, session by session."""
    for folder in (TABLES, FIGURES, RESULTS):
        (output / folder).mkdir()
    for stage in stages:
        rows = [row for mine in found for row in mine.rows(stage)]
        pd.DataFrame(rows).to_csv(output / TABLES / f"{stage}.csv", index=False)
        units: list[dict[str, Any]] = []
        for mine in found:
            if stage in mine.kept:
                units += unit_rows(mine.kept[stage].units, session=mine.name, stage=stage)
                _copy(mine.kept[stage], stage, mine.name, output)
        if units:
            pd.DataFrame(units).to_csv(output / TABLES / f"{stage}.units.csv", index=False)


def _write_clips(sources: Sequence[Source], found: Sequence[Found], output: Path, cache: Path) -> None:
    """A film of each behaviour, numbered as the behaviours are; kept by content."""
    for source, mine in zip(sources, found, strict=False):
        if (kept := mine.kept.get(_BEHAVIOUR)) is None:
            continue
        folder = output / CLIPS / source.name
        folder.mkdir(parents=True)
        for label, clips in choose_clips(kept.arrays["labels"], source.episodes).items():
            film = cache / f"{CLIPS}-{kept.folder.name}-{label + 1}.mp4"
            if clips and not film.is_file():
                film_clips(source.session, clips, film)
            if clips:
                shutil.copyfile(film, folder / f"{label + 1}.mp4")


def _copy(kept: Kept, stage: str, session: str, output: Path) -> None:
    for name in kept.captions:
        for kind in FORMATS:
            target = output / FIGURES / session
            target.mkdir(exist_ok=True)
            shutil.copyfile(kept.folder / f"{name}.{kind}", target / f"{stage}.{name}.{kind}")
    results = output / RESULTS / session
    results.mkdir(exist_ok=True)
    for kind in ("json", "npz"):
        shutil.copyfile(kept.folder / f"outcome.{kind}", results / f"{stage}.{kind}")
