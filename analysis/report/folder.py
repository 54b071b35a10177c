"""The folder of a report: whether it may be written to, and its parts, which are replaced whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from policies.storage import explain_disk_errors, write_atomically
from rodent.errors import UsageError

CACHE = ".cache"
PAGE = "index.html"
TIMES = "times.json"
TABLES, FIGURES, RESULTS, CLIPS = _PARTS = ("tables", "figures", "results", "clips")
_NEW = ".new"  # the parts of a report that is being written
_TAG = "CACHEDIR.TAG"  # https://bford.info/cachedir, by which backups know what they may leave out
_TAGGED = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# What a report of virtual-rodent found, by content: the same is not computed again. It may be deleted.\n"
)


def claim(output: Path) -> None:
    """Make a report's folder; in one that is there, what a report replaces must be an earlier report's.

    Raises:
        UsageError: it cannot be made, or holds something of such a name that no report made.
    """
    tag = output / CACHE / _TAG
    try:
        names = [name for name in (*_PARTS, PAGE, TIMES) if (output / name).exists()]
        if names and not tag.is_file():
            raise UsageError(
                f"{output} holds {names[0]}, which a report would replace, and no report: move it away, or give "
                "another -o"
            )
        tag.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(tag, _TAGGED)
    except OSError as error:
        raise UsageError(f"cannot write a report to {output}: {error.strerror}") from None


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A folder for the parts of a report, which stand in the place of the earlier ones once all are written."""
    new = output / _NEW
    shutil.rmtree(new, ignore_errors=True)  # of a report that was killed
    try:
        new.mkdir()
        yield new
        for name in _PARTS:
            shutil.rmtree(output / name, ignore_errors=True)
            if (new / name).exists():
                (new / name).replace(output / name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def disk_errors(output: Path) -> AbstractContextManager[None]:
    """Around writing a report; see `explain_disk_errors`."""
    then = "give the same command again, which takes from the cache what was found"
    return explain_disk_errors(f"write the report to {output}", then)
