"""Recurrent cells, open in each step: what drives them, what they keep, and where a probe looks in.

The input's part of a cell, `drive`, is computed for a whole sequence at once; only the recurrent part is looped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.agent import AgentState
from policies.probe import NOTHING, Probe

Parts = tuple[Tensor, ...]
"""What a cell keeps, (batch, units) each, in the order of its `PARTS`."""


class Cell(nn.Module, ABC):
    """One layer of `units` recurrent units.

    Weights are orthogonal, gate by gate; biases are zero.

    Args:
        inputs: how many numbers drive it.
        units: how many units it has.
    """

    GATES: ClassVar[int]
    """How many numbers a unit is driven by."""
    PARTS: ClassVar[tuple[str, ...]]
    """Names of what it keeps from one step to the next."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.input = nn.Linear(inputs, self.GATES * units)
        layers = [self.input]
        if self.PARTS:
            self.recurrent = nn.Linear(units, self.GATES * units, bias=False)
            layers.append(self.recurrent)
        for layer in layers:
            for gate in layer.weight.data.chunk(self.GATES):
                nn.init.orthogonal_(gate)
        nn.init.zeros_(self.input.bias)

    def drive(self, inputs: Tensor) -> Tensor:
        """What inputs (..., inputs) add to the gates, (..., GATES * units)."""
        drive: Tensor = self.input(inputs)
        return drive

    @abstractmethod
    def step(self, drive: Tensor, parts: Parts, probe: Probe = NOTHING, name: str = "") -> tuple[Tensor, Parts]:
        """One step under a drive of (batch, GATES * units).

        Args:
            drive: what `drive` gave.
            parts: what it kept.
            probe: sees each part under `name` and the part's own, such as `core.h`.
            name: the cell's.

        Returns:
            What it puts out, (batch, units), and what it keeps.
        """

    def unroll(self, inputs: Tensor, parts: Parts, starts: Tensor) -> Tensor:
        """Outputs (time, batch, units) of inputs (time, batch, inputs); what it keeps is zeroed before `starts`."""
        if not self.PARTS:
            return self.step(self.drive(inputs), ())[0]
        keep = (~starts).unsqueeze(-1).to(inputs.dtype)
        outputs = []
        for drive, kept in zip(self.drive(inputs).unbind(0), keep.unbind(0), strict=True):
            output, parts = self.step(drive, tuple(part * kept for part in parts))
            outputs.append(output)
        return torch.stack(outputs)

    def initial(self, batch: int, name: str) -> AgentState:
        """What it keeps at the start of `batch` episodes, under the names that a probe sees: zeros."""
        device = self.input.weight.device
        return {f"{name}.{part}": torch.zeros(batch, self.units, device=device) for part in self.PARTS}

    def parts(self, state: AgentState, name: str) -> Parts:
        """What it kept, out of an agent's state."""
        return tuple(state[f"{name}.{part}"] for part in self.PARTS)

    def state(self, parts: Parts, name: str) -> AgentState:
        """The inverse of `parts`."""
        return {f"{name}.{part}": value for part, value in zip(self.PARTS, parts, strict=True)}


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; gates in torch's order: input, forget, cell, output).

    The forget gate's bias starts at 1, so that memory lasts before it is learnt.
    """

    GATES, PARTS = 4, ("h", "c")

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__(inputs, units)
        nn.init.ones_(self.input.bias.data[units : 2 * units])

    def step(self, drive: Tensor, parts: Parts, probe: Probe = NOTHING, name: str = "") -> tuple[Tensor, Parts]:
        h, c = parts
        i, f, g, o = (drive + self.recurrent(h)).chunk(4, -1)
        c = probe(f"{name}.c", f.sigmoid() * c + i.sigmoid() * g.tanh())
        h = probe(f"{name}.h", o.sigmoid() * c.tanh())
        return h, (h, c)


class GRUCell(Cell):
    """Gated recurrent units (Cho et al. 2014; gates in torch's order: reset, update, new)."""

    GATES, PARTS = 3, ("h",)

    def step(self, drive: Tensor, parts: Parts, probe: Probe = NOTHING, name: str = "") -> tuple[Tensor, Parts]:
        (h,) = parts
        (r, z, n), (hr, hz, hn) = drive.chunk(3, -1), self.recurrent(h).chunk(3, -1)
        update = (z + hz).sigmoid()
        new = (n + (r + hr).sigmoid() * hn).tanh()
        h = probe(f"{name}.h", (1 - update) * new + update * h)
        return h, (h,)


class RNNCell(Cell):
    """Vanilla recurrent units (Elman 1990), with tanh."""

    GATES, PARTS = 1, ("h",)

    def step(self, drive: Tensor, parts: Parts, probe: Probe = NOTHING, name: str = "") -> tuple[Tensor, Parts]:
        h = probe(f"{name}.h", (drive + self.recurrent(parts[0])).tanh())
        return h, (h,)


class FeedForwardCell(Cell):
    """Units without memory, with tanh: what remains of the vanilla ones without their recurrence."""

    GATES, PARTS = 1, ()

    def step(self, drive: Tensor, parts: Parts, probe: Probe = NOTHING, name: str = "") -> tuple[Tensor, Parts]:
        return probe(f"{name}.h", drive.tanh()), ()


CELLS: dict[str, type[Cell]] = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell, "feedforward": FeedForwardCell}
