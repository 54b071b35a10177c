"""Flags of the command line, whose errors are one line."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from rodent.errors import UsageError

Config = TypeVar("Config")


def parse_flags(parse: Callable[[], Config], prog: str, arguments: Sequence[str]) -> Config:
    """Run a tyro parser; what it complains about becomes one line.

    Args:
        parse: calls `tyro.cli`.
        prog: the command, to point to its help.
        arguments: what is parsed.

    Raises:
        UsageError: the flags could not be understood, or one is given twice, of which only the last would count.
        SystemExit: with code 0, after the help was printed.
    """
    flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    if twice := next((flag for flag in flags if flags.count(flag) > 1), None):
        raise UsageError(f"{twice} is given twice: give it once, with all its values (see {prog} --help)")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return parse()
    except SystemExit as end:
        if not end.code:
            raise
        raise UsageError(f"{_without_frame(complaint.getvalue())} (see {prog} --help)") from None


def _without_frame(box: str) -> str:
    """The words of a framed message of tyro's, without the frame, of whatever it is made, and without the title."""
    lines = [line.strip("│|╭╮╰╯─ ") for line in box.splitlines()]
    _title, *words = [line for line in lines if line.strip("- ")] or [""]
    return re.sub(r"^Error parsing \w+: ", "", " ".join(words).partition("For full helptext")[0]).strip()
