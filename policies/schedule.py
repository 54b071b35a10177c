"""Where a run stands in its schedule. A pure function of steps and seconds, so that a resumed run stands there too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from policies.config import Phase, TrainConfig


@dataclass(frozen=True)
class Schedule:
    """The phases of a run and its length, in environment steps or (where `seconds` is set) in wall time.

    Phases with `share` divide that length. Phases with `steps` end after so many, whatever the run's length, so that a
    longer run repeats a shorter one exactly; the last phase lasts until the run ends.
    """

    phases: tuple[Phase, ...]
    steps: int
    seconds: float | None

    @classmethod
    def of(cls, config: TrainConfig) -> Schedule:
        """The schedule that a configuration asks for."""
        return cls(config.phases, config.steps, None if config.minutes is None else 60 * config.minutes)

    def progress(self, steps: int, seconds: float) -> float:
        """How much of the run is done after so many steps and seconds: 0 to 1."""
        return min(1.0, steps / self.steps if self.seconds is None else seconds / self.seconds)

    def locate(self, steps: int, seconds: float) -> tuple[int, float]:
        """The phase in force, and how much of it is done: (index, 0 to 1)."""
        if self.phases[0].steps is not None:
            lengths, done = [float(phase.steps or 0) for phase in self.phases], float(steps)
        else:
            lengths = [phase.share for phase in self.phases]
            done = self.progress(steps, seconds) * sum(lengths)
        ends = list(accumulate(lengths))
        index = next((i for i, end in enumerate(ends) if done < end), len(ends) - 1)
        return index, min(1.0, (done - ends[index] + lengths[index]) / lengths[index])
