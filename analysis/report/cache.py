"""Outcomes of stages on disk, under the hash of all that they follow from."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from analysis.report.findings import Arrays, Finding, Outcome, UnitFinding, pack, unpack

_FACTS, _ARRAYS = "outcome.json", "outcome.npz"
_PACKED = ("finding.", "unit.")
FORMATS = ("png", "svg")
_DRAWING = Lock()  # Matplotlib draws in one thread at a time


@dataclass(frozen=True)
class Kept:
    """An outcome that is on disk.

    Attributes:
        folder: where its pictures lie, NAME.png and NAME.svg.
        captions: of its pictures, by name.
        seconds: what it took to compute.
        fresh: whether it was computed just now.
    """

    folder: Path
    findings: list[Finding]
    units: list[UnitFinding]
    arrays: Arrays
    captions: dict[str, str]
    seconds: float
    fresh: bool


def keep(outcome: Outcome, folder: Path, seconds: float, facts: dict[str, Any]) -> Kept:
    """Write an outcome; the folder appears by a rename, when it is whole.

    Args:
        outcome: of a stage.
        folder: to make.
        seconds: that it took.
        facts: further ones for the result file.
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        findings, units, arrays = pack(outcome.findings, outcome.units)
        # numpy's stubs take keywords for its flag `allow_pickle`.
        np.savez_compressed(part / _ARRAYS, **outcome.arrays, **arrays)  # type: ignore[arg-type]
        captions = {name: picture.caption for name, picture in outcome.pictures.items()}
        told = {**facts, "seconds": seconds, "captions": captions, "findings": findings, "units": units}
        (part / _FACTS).write_text(json.dumps(told))
        with _DRAWING:
            for name, picture in outcome.pictures.items():
                for kind in FORMATS:
                    picture.figure.savefig(
                        part / f"{name}.{kind}", dpi=150, metadata={"Date": None} if kind == "svg" else {}
                    )
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Kept(folder, outcome.findings, outcome.units, outcome.arrays, captions, seconds, True)


def find(folder: Path) -> Kept | None:
    """What was kept there; None where nothing is or it is damaged."""
    try:
        told = json.loads((folder / _FACTS).read_text())
        with np.load(folder / _ARRAYS, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        findings, units = unpack(told["findings"], told["units"], arrays)
        captions, seconds = dict(told["captions"]), float(told["seconds"])
    except (OSError, ValueError, KeyError, EOFError, TypeError):
        return None
    if not all((folder / f"{name}.{kind}").is_file() for name in captions for kind in FORMATS):
        return None
    own = {name: values for name, values in arrays.items() if not name.startswith(_PACKED)}
    return Kept(folder, findings, units, own, captions, seconds, False)
