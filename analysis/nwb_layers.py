"""What each layer of an agent does in a control step, by name."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policies.agent import Agent, AgentState, Output
from policies.probe import Snapshot

_READABLE = {"actor": "policy", "critic": "value"}
_KINDS = {".h": "hidden state", ".c": "cell state", ".mean": "mean action"}
_MEAN, _ACTIVATION = "policy.mean", "activation"
# What a probe sees besides: the normalised senses, which are recorded as sensed, and layers on their way to a reader.
_STREAMS = ("senses", "proprioception", "core_to_policy", "policy_to_core", "mean", "features")
_MIRROR = "mirror."


@dataclass(frozen=True)
class Layer:
    """A layer that is recorded."""

    name: str
    units: int
    kind: str
    """activation, hidden state, cell state or mean action."""


class Layers:
    """Steps an agent and tells what its layers did, as a probe sees it (`policies.probe`).

    A feed-forward part of the network gives one layer for each of its hidden ones, counted from the input and read
    after the nonlinearity (`policy.0`, `value.1`, `encoder.0`), and `vision` is what a picture is made into; hidden
    state gives one for each of its entries, after the step (`core.h`, `core.c`); `policy.mean` is the mean action,
    before it is clipped. Of an agent that also looks at the mirror image of what it senses, activations are those of
    the plain view.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @torch.inference_mode()
    def step(
        self, observation: Tensor, state: AgentState, picture: Tensor | None = None
    ) -> tuple[Output, AgentState, dict[str, Tensor]]:
        """`Agent.step`, and each layer's activity, (batch, units)."""
        snapshot = Snapshot()
        output, state = self._agent.step(observation, state, picture, snapshot)
        seen = {
            _name(name): activation
            for name, activation in snapshot.activations.items()
            if not (name in state or name.rpartition(".")[2] in _STREAMS or _MIRROR in name)
        }
        return output, state, {**seen, **state, _MEAN: output.mean}

    def describe(self) -> tuple[Layer, ...]:
        """The layers, in the order in which they are computed."""
        shape = self._agent.picture_shape
        picture = torch.zeros(1, *shape, dtype=torch.uint8) if shape else None
        _, state, activity = self.step(torch.zeros(1, self._agent.observation_size), self._agent.initial(1), picture)
        return tuple(
            Layer(name, values.shape[1], _kind(name) if name in (*state, _MEAN) else _ACTIVATION)
            for name, values in activity.items()
        )


def _name(activation: str) -> str:
    """A layer's name of what a probe calls it."""
    part, dot, rest = activation.partition(".")
    return _READABLE.get(part, part) + dot + rest


def _kind(layer: str) -> str:
    return next(kind for ending, kind in _KINDS.items() if layer.endswith(ending))
