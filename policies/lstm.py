"""The recurrent agent: an encoder, an LSTM core, and heads that read both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.agent import Agent, AgentState, Output, mlp
from rodent.errors import UsageError


@dataclass(frozen=True)
class LSTMSettings:
    """Sizes of the `lstm` agent."""

    encoder: tuple[int, ...] = (256,)  # units of each layer before the core
    core: int = 128  # units of the LSTM
    head: tuple[int, ...] = (128,)  # units of each layer of the actor and of the critic, after the core
    initial_std: float = 0.4  # of the actions, whose range is [-1, 1]

    def __post_init__(self) -> None:
        if not self.encoder or min(*self.encoder, self.core, *self.head) < 1:
            raise UsageError(
                f"lstm needs at least one encoder layer and one unit in each, not encoder {self.encoder}, "
                f"core {self.core}, head {self.head}"
            )
        if not self.initial_std > 0:
            raise UsageError(f"lstm.initial_std must be above 0, not {self.initial_std}")


class LSTMAgent(Agent):
    """Encoder -> LSTM -> actor and critic; both heads also read the encoder, so that reflexes need no memory.

    Its state is `core.h` and `core.c`, each (batch, core).
    """

    name: ClassVar[str] = "lstm"
    settings_type = LSTMSettings
    recurrent = True
    READS: ClassVar[dict[str, str]] = {"encoder.0.weight": "policy", "critic.0.weight": "critic"}

    def __init__(self, observation_size: int, action_size: int, settings: LSTMSettings, critic_size: int = 0) -> None:
        super().__init__(observation_size, action_size, settings.initial_std, critic_size)
        self.encoder = mlp((observation_size, *settings.encoder))
        self.core = LSTMCore(settings.encoder[-1], settings.core)
        features = settings.encoder[-1] + settings.core
        self.actor = mlp((features, *settings.head), action_size, output_gain=0.01)
        self.critic = mlp((features + critic_size, *settings.head), 1, output_gain=0.01)

    def initial(self, batch: int) -> AgentState:
        zeros = torch.zeros(batch, self.core.units, device=self.log_std.device)
        return {"core.h": zeros, "core.c": zeros.clone()}

    def step(self, observation: Tensor, state: AgentState) -> tuple[Output, AgentState]:
        seen = self.normaliser(observation)
        encoded = self.encoder(seen[..., : self.observation_size].contiguous())
        h, c = self.core.step(self.core.drive(encoded), state["core.h"], state["core.c"])
        return self._heads(encoded, h, seen), {"core.h": h, "core.c": c}

    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor) -> Output:
        seen = self.normaliser(observations)
        encoded = self.encoder(seen[..., : self.observation_size].contiguous())
        return self._heads(encoded, self.core.unroll(encoded, state["core.h"], state["core.c"], starts), seen)

    def _heads(self, encoded: Tensor, h: Tensor, seen: Tensor) -> Output:
        features = torch.cat([encoded, h], -1)
        mean = self.actor(features)
        if self._critic_is_told(seen):
            value = self.critic(torch.cat([features, seen[..., self.observation_size :]], -1)).squeeze(-1)
        else:
            value = torch.full(mean.shape[:-1], math.nan, device=mean.device)
        return Output(mean, self.log_std.expand_as(mean), value)


class LSTMCore(nn.Module):
    """One LSTM layer (Hochreiter & Schmidhuber 1997; gates in torch's order: input, forget, cell, output).

    The input's part of the gates, `drive`, is computed for a whole sequence at once; only the recurrent part is looped.
    The forget gate's bias starts at 1, so that memory lasts before it is learnt.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.input = nn.Linear(inputs, 4 * units)
        self.recurrent = nn.Linear(units, 4 * units, bias=False)
        for weight in (self.input.weight, self.recurrent.weight):
            for gate in weight.data.chunk(4):
                nn.init.orthogonal_(gate)
        nn.init.zeros_(self.input.bias)
        nn.init.ones_(self.input.bias.data[units : 2 * units])

    def drive(self, inputs: Tensor) -> Tensor:
        """What inputs (..., inputs) add to the gates, (..., 4 * units)."""
        drive: Tensor = self.input(inputs)
        return drive

    def step(self, drive: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One step of (batch, units) states under a drive of (batch, 4 * units)."""
        i, f, g, o = (drive + self.recurrent(h)).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def unroll(self, inputs: Tensor, h: Tensor, c: Tensor, starts: Tensor) -> Tensor:
        """States h of every step, (time, batch, units), of inputs (time, batch, inputs), zeroed before `starts`."""
        keep = (~starts).unsqueeze(-1).to(inputs.dtype)
        outputs = []
        for drive, kept in zip(self.drive(inputs).unbind(0), keep.unbind(0), strict=True):
            h, c = self.step(drive, h * kept, c * kept)
            outputs.append(h)
        return torch.stack(outputs)
