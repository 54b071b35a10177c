"""Runs the standard set over sessions and leaves the report: what `rodent analyze` does."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import rodent
from analysis.report.cache import FORMATS, Kept, find, keep
from analysis.report.findings import Arrays, unit_rows
from analysis.report.page import SessionReport, write_page
from analysis.report.source import Source
from analysis.report.stage import Stage
from analysis.report.stages import STAGES
from policies.storage import write_atomically
from rodent.errors import UsageError
from rodent.machine import peak_memory_gib

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""

CACHE = ".cache"


def analyze(
    sessions: Sequence[Path],
    output: Path,
    stages: Sequence[str] = (),
    seed: int = 0,
    film: bool = False,
    progress: Progress = lambda share, what: None,
) -> dict[str, Any]:
    """Analyse sessions; what a stage found before, of the same content by the same code, is taken from the cache.

    A stage that fails costs its own results alone: its table says why.

    Args:
        sessions: files that `rodent record` made.
        output: the report's folder, made where it is missing.
        stages: to run, with what they need (none: all).
        seed: of all draws.
        film: draw the films of the episodes that the page plays, where they were recorded without.
        progress: see `Progress`.

    Returns:
        What was done, JSON-compatible: `page`, `stages` (session, stage, seconds, whether from the cache, failure),
        `seconds`, `peak_memory_gib`.

    Raises:
        UsageError: a session cannot be read, the folder cannot be written, a stage is unknown.
    """
    start, chosen = time.perf_counter(), _chosen(stages)
    names = [path.stem for path in sessions]
    if not sessions:
        raise UsageError("no session to analyse: give at least one that `rodent record` made")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two sessions are called {twice}: rename one, since the report names them by their files")
    _make(output)
    reports, times = [SessionReport(Source(path)) for path in sessions], []
    try:
        for i, report in enumerate(reports):
            for j, stage in enumerate(chosen):
                done = (i + j / len(chosen)) / len(reports)
                progress(0.95 * done, f"{report.source.name}: {stage.name}")
                times.append(_run(report, stage, output / CACHE, seed))
        progress(0.95, "tables and page")
        before = time.perf_counter()
        _write_tables(reports, chosen, output)
        page = write_page(reports, chosen, output, output / CACHE, film)
        times.append(_timed("", "page", time.perf_counter() - before))
    finally:
        for report in reports:
            report.source.close()
    summary = {
        "page": str(page),
        "stages": times,
        "seconds": round(time.perf_counter() - start, 2),
        "peak_memory_gib": round(peak_memory_gib(), 2),
    }
    write_atomically(output / "times.json", json.dumps(summary, indent=2) + "\n")
    progress(1.0, "done")
    return summary


def _chosen(names: Sequence[str]) -> list[Stage]:
    """The stages of these names and those that they need, in order."""
    known = {stage.name: stage for stage in STAGES}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"unknown stage {unknown[0]!r}: choose among {', '.join(known)}")
    wanted = set(names or known)
    for stage in reversed(STAGES):  # a stage needs only such as stand before it
        if stage.name in wanted:
            wanted |= set(stage.needs)
    return [stage for stage in STAGES if stage.name in wanted]


def _make(output: Path) -> None:
    try:
        (output / CACHE).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write a report to {output}: {error.strerror}") from None


def _run(report: SessionReport, stage: Stage, cache: Path, seed: int) -> dict[str, Any]:
    """Run one stage of one session or find what it left."""
    before, source = time.perf_counter(), report.source
    missing = [name for name in stage.needs if name not in report.kept]
    if missing:
        report.failures[stage.name] = f"it needs {missing[0]}, which failed"
        return _timed(source.name, stage.name, 0.0, failure=report.failures[stage.name])
    key = stage.key(source, seed, {name: report.kept[name].folder.name for name in stage.needs})
    folder = cache / f"{stage.name}-{key[:32]}"
    kept = find(folder)
    if kept is None:
        earlier: Mapping[str, Arrays] = {name: report.kept[name].arrays for name in stage.needs}
        try:
            outcome = stage.work(source, earlier, seed)
        except Exception as error:  # whatever it is, the other stages must not be lost
            report.failures[stage.name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return _timed(source.name, stage.name, time.perf_counter() - before, failure=report.failures[stage.name])
        kept = keep(outcome, folder, time.perf_counter() - before, _facts(source, stage, seed, key))
    report.kept[stage.name] = kept
    return _timed(source.name, stage.name, time.perf_counter() - before, cached=not kept.fresh)


def _facts(source: Source, stage: Stage, seed: int, key: str) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "session": source.name,
        "session_sha256": source.digest,
        "seed": seed,
        "key": key,
        "virtual_rodent": rodent.__version__,
    }


def _timed(session: str, stage: str, seconds: float, cached: bool = False, failure: str = "") -> dict[str, Any]:
    return {"session": session, "stage": stage, "seconds": round(seconds, 3), "cached": cached, "failure": failure}


def _write_tables(reports: Sequence[SessionReport], stages: Sequence[Stage], output: Path) -> None:
    """Tables of all sessions, stage by stage; figures and result files, session by session."""
    for folder in ("tables", "figures", "results"):
        shutil.rmtree(output / folder, ignore_errors=True)
        (output / folder).mkdir()
    for stage in stages:
        rows: list[dict[str, Any]] = []
        units: list[dict[str, Any]] = []
        for report in reports:
            rows += report.rows(stage)
            if stage.name in report.kept:
                kept, named = report.kept[stage.name], {"session": report.source.name, "stage": stage.name}
                units += unit_rows(kept.units, **named)
                _copy(kept, stage, report.source.name, output)
        pd.DataFrame(rows).to_csv(output / "tables" / f"{stage.name}.csv", index=False)
        if units:
            pd.DataFrame(units).to_csv(output / "tables" / f"{stage.name}.units.csv", index=False)


def _copy(kept: Kept, stage: Stage, session: str, output: Path) -> None:
    for name in kept.captions:
        for kind in FORMATS:
            target = output / "figures" / session
            target.mkdir(exist_ok=True)
            shutil.copyfile(kept.folder / f"{name}.{kind}", target / f"{stage.name}.{name}.{kind}")
    results = output / "results" / session
    results.mkdir(exist_ok=True)
    for kind in ("json", "npz"):
        shutil.copyfile(kept.folder / f"outcome.{kind}", results / f"{stage.name}.{kind}")
