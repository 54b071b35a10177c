"""What each layer of an agent does in a control step, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from policies.agent import Agent, AgentState, Output

_READABLE = {"actor": "policy", "critic": "value"}
_KINDS = {".h": "hidden state", ".c": "cell state", ".mean": "mean action"}
_MEAN = "policy.mean"


@dataclass(frozen=True)
class Layer:
    """A layer that is recorded."""

    name: str
    units: int
    kind: str
    """activation, hidden state, cell state or mean action."""


class Layers:
    """Steps an agent and tells what its layers did.

    A feed-forward part of the network gives one layer for each of its hidden ones, counted from the input and read
    after the nonlinearity (`policy.0`, `value.1`, `encoder.0`); hidden state gives one for each of its entries, after
    the step (`core.h`, `core.c`); `policy.mean` is the mean action, before it is clipped. Of an agent that also looks
    at the mirror image of what it senses, activations are those of the plain view.

    Use it as a context manager: it leaves the agent as it was.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._seen: dict[str, Tensor] = {}
        self._hooks: list[Any] = []
        for part, module in agent.named_children():
            if isinstance(module, nn.Sequential):
                hidden = [each for each in module if not isinstance(each, nn.Linear)]
                for i, nonlinearity in enumerate(hidden):
                    keep = partial(self._keep, f"{_READABLE.get(part, part)}.{i}")
                    self._hooks.append(nonlinearity.register_forward_hook(keep))

    @torch.inference_mode()
    def step(self, observation: Tensor, state: AgentState) -> tuple[Output, AgentState, dict[str, Tensor]]:
        """`Agent.step`, and each layer's activity, (batch, units)."""
        self._seen.clear()
        output, state = self._agent.step(observation, state)
        return output, state, {**self._seen, **state, _MEAN: output.mean}

    def describe(self) -> tuple[Layer, ...]:
        """The layers, in the order in which they are computed."""
        _, _, activity = self.step(torch.zeros(1, self._agent.observation_size), self._agent.initial(1))
        return tuple(Layer(name, values.shape[1], _kind(name)) for name, values in activity.items())

    def _keep(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._seen.setdefault(name, output)  # the first view is the plain one

    def __enter__(self) -> Layers:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()


def _kind(layer: str) -> str:
    return next((kind for ending, kind in _KINDS.items() if layer.endswith(ending)), "activation")
