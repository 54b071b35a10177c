"""Stages of the report: what each needs, what it was computed from, and which code computes it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock

from analysis.report.findings import Arrays, Outcome
from analysis.report.source import Source

Work = Callable[[Source, Mapping[str, Arrays], int], Outcome]
"""Of a session, the arrays of the stages it needs, by name, and a seed."""

_LIBRARIES = (  # the last two draw what untrained networks that see are shown
    "numpy", "scipy", "scikit-learn", "openTSNE", "pydmd", "rsatoolbox", "scikit-dimension", "scikit-image", "mujoco",
    "matplotlib", "torch", "dm-control", "mujoco-warp",
)  # fmt: skip
_OWN = ("analysis", "policies", "rodent")  # from the latter follow untrained networks, poses and what is drawn of them

_UNTRAINED = "analysis.report.stages.untrained"
_PARSING = Lock()  # Python 3.11 fails where two threads parse at once


@dataclass(frozen=True)
class Stage:
    """One analysis of one session."""

    name: str
    title: str
    work: Work
    needs: tuple[str, ...] = ()
    """Stages whose arrays it reads."""
    beside_untrained: bool = False
    """Whether untrained networks stand beside its numbers (`Outcome.of_others`). No stage reads the arrays of such."""
    optional: bool = False
    """Whether it runs only where it is named."""
    heavy: bool = False
    """Whether it takes long: it begins before others, lest it end alone."""

    def key(self, source: Source, seed: int, needed: Mapping[str, str]) -> str:
        """SHA-256 of all that the outcome follows from: the file's content, the seed, the code, what it builds on.

        Args:
            source: the session.
            seed: of all draws.
            needed: the keys of the stages that it needs, by name.
        """
        facts = {
            "session": source.digest,
            "seed": seed,
            "code": code_digest(self.work.__module__, *([_UNTRAINED] if self.beside_untrained else [])),
            "needs": dict(sorted(needed.items())),
            "libraries": libraries(),
        }
        return hashlib.sha256(json.dumps([self.name, facts]).encode()).hexdigest()


def libraries() -> dict[str, str]:
    """The versions of the libraries that numbers follow from."""
    return {name: version(name) for name in _LIBRARIES}


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 of the source of modules and of what they import from this project's packages, directly or not."""
    seen: dict[str, str] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name not in seen and (path := _source(name)) is not None:
            seen[name] = path.read_text()
            pending += _own_imports(seen[name])
    return hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()


def _source(name: str) -> Path | None:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a name in a module, not a module
        return None
    return Path(found.origin) if found is not None and found.origin is not None else None


def _own_imports(text: str) -> list[str]:
    names = []
    with _PARSING:
        tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in _OWN:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
