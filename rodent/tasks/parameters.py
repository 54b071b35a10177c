"""What a task's parameters may be, said once: for the check at construction and for who asks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from rodent.errors import UsageError

Range = float | tuple[float, float]
"""A number, or a range (low, high) from which one is drawn."""


@dataclass(frozen=True)
class Admissible:
    """The values that a parameter may have."""

    lowest: float
    highest: float
    unit: str = ""
    """Nothing for what has none."""
    kind: Literal["number", "range", "integer", "switch"] = "number"
    """A range is a number or a range; a switch is True or False."""
    above: bool = False
    """Whether `lowest` itself is not admissible."""

    def check(self, name: str, value: Any) -> None:
        """See to it that parameter `name` may have this value.

        Raises:
            UsageError: it may not.
        """
        try:
            admissible = self._admits(value)
        except (TypeError, ValueError):  # no numbers, or not two of them
            admissible = False
        if not admissible:
            raise UsageError(f"{name} must {self._words}, not {value}")

    def to_json(self) -> dict[str, Any]:
        """For `rodent tasks --json`; None for no upper limit."""
        limits = {
            "above" if self.above else "lowest": self.lowest,
            "highest": self.highest if math.isfinite(self.highest) else None,
        }
        return {"kind": self.kind, "unit": self.unit} | ({} if self.kind == "switch" else limits)

    def _admits(self, value: Any) -> bool:
        if self.kind == "switch":
            return isinstance(value, bool)
        if self.kind == "integer" and (not isinstance(value, int) or isinstance(value, bool)):
            return False
        low, high = bounds(value) if self.kind == "range" else (value, value)
        beyond = self.lowest < low if self.above else self.lowest <= low
        return beyond and low <= high <= self.highest and high < math.inf

    @property
    def _words(self) -> str:
        within = f"[{self.lowest:g}, {self.highest:g}] {self.unit}".rstrip()
        if self.kind == "switch":
            return "be True or False"
        if self.kind == "integer":
            return f"be an integer from {self.lowest} to {self.highest}"
        if self.kind == "range":
            return f"be a number or a range within {within}"
        if self.above:
            return f"be above {self.lowest:g} {self.unit} and finite"
        if math.isinf(self.highest):
            return f"be finite and at least {self.lowest:g} {self.unit}"
        return f"lie in {within}"


SWITCH = Admissible(False, True, kind="switch")


def parameter(default: Any, admissible: Admissible) -> Any:
    """A field of a task's dataclass."""
    return field(default=default, metadata={"admissible": admissible})


def parameters(task: Any) -> dict[str, Admissible]:
    """What each parameter of a task may be, by name."""
    return {each.name: each.metadata["admissible"] for each in fields(task)}


def bounds(value: Range) -> tuple[float, float]:
    """(low, high) of a number or a range."""
    return value if isinstance(value, tuple) else (value, value)
