"""What a run logs: one row an update, to CSV and to TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from policies.storage import DamagedFileError, remove_leftovers, write_atomically

METRICS_FILE = "metrics.csv"


class Metrics:
    """The log of a run folder. Columns may appear as training goes on; rows without them stay blank there.

    Args:
        folder: the run folder.
        steps: rows after so many environment steps are dropped: the run resumes from there.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.path = folder / METRICS_FILE
        remove_leftovers(folder)
        self._rows = [row for row in read_metrics(self.path) if row["steps"] <= steps]
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        self._rewrite()
        self._events = SummaryWriter(str(folder), purge_step=steps + 1)

    def write(self, row: dict[str, float]) -> None:
        """Append a row; it must hold `steps`.

        Raises:
            OSError: the file could not be written.
        """
        self._rows.append(row)
        if new := [name for name in row if name not in self._columns]:
            self._columns += new
            self._rewrite()
        else:
            with self.path.open("a", newline="") as file:
                self._writer(file).writerow(_formatted(row))
        for name, value in row.items():
            self._events.add_scalar(name.replace(".", "/", 1), value, int(row["steps"]))

    def close(self) -> None:
        """Flush the TensorBoard events."""
        self._events.close()

    def _rewrite(self) -> None:
        text = io.StringIO()
        writer = self._writer(text)
        writer.writeheader()
        writer.writerows(_formatted(row) for row in self._rows)
        write_atomically(self.path, text.getvalue())

    def _writer(self, file: io.TextIOBase | io.TextIOWrapper) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, restval="", lineterminator="\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics file, blanks left out; none if it is missing. A last line cut short is dropped.

    Raises:
        DamagedFileError: it holds what is no number, or a row of other columns or without `steps` and `seconds`.
    """
    if not path.is_file():
        return []
    try:
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]
        rows = list(csv.DictReader(io.StringIO(whole)))
        if any(None in row or None in row.values() or not (row.get("steps") and row.get("seconds")) for row in rows):
            raise ValueError("a row has other columns than the first line, or neither steps nor seconds")
        return [{name: float(value) for name, value in row.items() if value} for row in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise DamagedFileError(f"{path} is damaged: {error}; move it away, and the run goes on without it") from None


def owners_of_columns(tasks: Sequence[str]) -> list[str]:
    """What the names of a task's own columns begin with, a task each: "TASK." in a run of several, else nothing."""
    return [""] if len(tasks) == 1 else [f"{task}." for task in tasks]


def early_ends(rows: list[dict[str, float]], owner: str) -> list[str]:
    """The columns that count episodes which something other than time ended, failure or success.

    Args:
        rows: see `read_metrics`.
        owner: of `owners_of_columns`.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name.startswith(f"{owner}ended.") and not name.endswith(".time_limit")]


def _formatted(row: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.9g}" for name, value in row.items()}
