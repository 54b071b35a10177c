"""Where the time of a longer piece of work goes, by the methods that it calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Places = dict[str, tuple[Any, str]]
"""Names of parts, and the object and the name of its method that do each."""


class Stopwatch:
    """Time spent in methods of some objects, taken by wrapping them for as long as the context lasts.

    What one part does for another counts as the outer one's.

    Args:
        places: the methods, by the name of the part.
    """

    def __init__(self, places: Mapping[str, tuple[Any, str]]) -> None:
        self._places = places
        self._spent = dict.fromkeys(places, 0.0)
        self._within = False

    def __enter__(self) -> Stopwatch:
        for part, (owner, method) in self._places.items():
            setattr(owner, method, self._counted(part, getattr(owner, method)))
        return self

    def __exit__(self, *error: object) -> None:
        for owner, method in self._places.values():
            delattr(owner, method)  # the class's own shows again

    def _counted(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            if self._within:
                return call(*args, **named)
            self._within, start = True, time.perf_counter()
            try:
                return call(*args, **named)
            finally:
                self._within = False
                self._spent[part] += time.perf_counter() - start

        return counted

    def seconds(self) -> dict[str, float]:
        """By part, so far."""
        return dict(self._spent)

    def shares(self, total: float) -> dict[str, float]:
        """Of `total` seconds, by part, and what is left as `other`."""
        shares = {part: round(spent / total, 4) for part, spent in self._spent.items()}
        return shares | {"other": round(1 - sum(shares.values()), 4)}
