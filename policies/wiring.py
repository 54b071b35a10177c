"""An agent's wiring, read off the agent itself: what each activation is made of, and which loss trains which layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from policies.agent import Agent
from policies.cells import Cell
from policies.merel2020 import PictureEncoder
from policies.probe import Probe

INPUT, PICTURE, VALUE = "observation", "picture", "value"
_BEFORE = "@before"  # marks what a cell kept from the step before


@dataclass(frozen=True)
class Node:
    """A named activation, or the layers that belong to one module together."""

    name: str
    detail: str
    """What makes it, in words."""
    trained_by: tuple[str, ...]
    """Of `policy` and `value`, the losses whose gradients reach its weights."""
    recurrent: bool = False
    """Whether it reads what it was itself in the step before."""


@dataclass(frozen=True)
class Edge:
    """One node reads another."""

    source: str
    target: str
    stopped: bool
    """Whether no gradient goes back this way."""


@dataclass(frozen=True)
class Wiring:
    """What an agent is, as a graph; sources come before what reads them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def read_wiring(agent: Agent) -> Wiring:
    """Let an agent take a step and unroll another, and see what it does.

    Edges are followed through every operation of torch from one named activation to the next; a stop-gradient is seen
    where it happens. Training is seen by the gradients of a policy's and of a value's loss.
    """
    made_of = _trace(agent)
    names = dict.fromkeys(name for name in made_of if not name.endswith(_BEFORE))
    recurrent = {_node(name) for name, sources in made_of.items() if f"{_node(name)}{_BEFORE}" in sources}
    edges: dict[tuple[str, str], bool] = {}
    for target, sources in made_of.items():
        for source, passes in sources.items():
            pair = (_node(source), _node(target))
            if not source.endswith(_BEFORE) and pair[0] != pair[1]:
                edges[pair] = edges.get(pair, False) or passes
    reached = {loss: _reached(agent, loss) for loss in ("policy", "value")}
    units = agent.layers()
    nodes = {}
    for name in names:
        node = _node(name)
        module = _module(agent, node)
        trained = tuple(loss for loss, modules in reached.items() if module in modules)
        nodes[node] = Node(node, _describe(agent, node, module, units.get(name)), trained, node in recurrent)
    return Wiring(tuple(nodes.values()), tuple(Edge(*pair, stopped=not passes) for pair, passes in edges.items()))


class _Follow(TorchFunctionMode):
    """Keeps of each tensor which named ones it was made of, and whether a gradient would find the way back."""

    def __init__(self) -> None:
        super().__init__()
        self._sources: dict[int, dict[str, bool]] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the same identity

    def mark(self, tensor: Tensor, sources: Mapping[str, bool]) -> None:
        self._sources[id(tensor)] = dict(sources)
        self._kept.append(tensor)

    def sources(self, tensor: Tensor) -> dict[str, bool]:
        return self._sources.get(id(tensor), {})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sources: dict[str, bool] = {}
        for tensor in _tensors([args, kwargs]):
            for name, passes in self.sources(tensor).items() if tensor.numel() else ():
                sources[name] = sources.get(name, False) or passes
        if func is Tensor.detach:
            sources = dict.fromkeys(sources, False)
        if sources:
            for tensor in _tensors(result):
                self.mark(tensor, sources)
        return result


class _Name(Probe):
    """Writes down what each named activation was made of, and lets what follows be made of it."""

    def __init__(self, follow: _Follow) -> None:
        self._follow = follow
        self.made_of: dict[str, dict[str, bool]] = {}

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        self.made_of[name] = self._follow.sources(activation)
        self._follow.mark(activation, {name: True})
        return activation


@torch.no_grad()
def _trace(agent: Agent) -> dict[str, dict[str, bool]]:
    """What each named activation of a step is made of: name -> source -> whether the gradient passes."""
    follow = _Follow()
    name = _Name(follow)
    observation, picture = _inputs(agent, ())
    state = agent.initial(1)
    with follow:
        name(INPUT, observation)
        if picture is not None:
            name(PICTURE, picture)
        for part, value in state.items():
            follow.mark(value, {f"{_node(part)}{_BEFORE}": True})
        output, _ = agent.step(observation, state, picture, name)
        name(VALUE, output.value)
    return name.made_of


def _reached(agent: Agent, loss: str) -> set[nn.Module | None]:
    """The modules with a name of their own whose weights a loss trains."""
    observations, pictures = _inputs(agent, (2,))
    starts = torch.zeros(2, 1, dtype=torch.bool)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        output = agent.unroll(torch.randn_like(observations), agent.initial(1), starts, pictures)
        told = output.log_prob(torch.randn_like(output.mean)) if loss == "policy" else output.value
        weights = {name: p for name, p in agent.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(told.sum(), list(weights.values()), allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    trained = [name for name, gradient in pairs if gradient is not None and gradient.any()]
    modules = dict(agent.named_modules())
    return {modules.get(name[:end]) for name in trained for end in range(len(name)) if name[end] == "."}


def _inputs(agent: Agent, time: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
    size = agent.observation_size + agent.critic_size
    shape = agent.picture_shape
    return torch.zeros(*time, 1, size), None if shape is None else torch.zeros(*time, 1, *shape, dtype=torch.uint8)


def _node(name: str) -> str:
    """The node that an activation belongs to: a cell's parts are one, and so are the layers of an MLP."""
    before, _, last = name.removesuffix(_BEFORE).rpartition(".")
    return before if last in ("h", "c") or (last.isdigit() and "policy" not in before) else name.removesuffix(_BEFORE)


def _module(agent: Agent, node: str) -> nn.Module | None:
    """The module that makes a node, if one does alone; mean and value are what actor and critic put out."""
    name = {"mean": "actor", VALUE: "critic"}.get(node, node.removeprefix("mirror."))
    return dict(agent.named_modules()).get(name)


def _describe(agent: Agent, node: str, module: nn.Module | None, units: tuple[int, ...] | None) -> str:
    if node == INPUT:
        more = f" and {agent.critic_size} for the critic alone" if agent.critic_size else ""
        return f"{agent.observation_size} numbers{more}"
    if node == PICTURE and agent.picture_shape:
        return "x".join(map(str, agent.picture_shape))
    if node == VALUE:
        return "1 number" if agent.tasks == 1 else f"{agent.tasks} numbers, one a task"
    if isinstance(module, PictureEncoder):
        return f"ResNet {'-'.join(map(str, module.channels))}, {units[0] if units else 0}"
    if isinstance(module, Cell):
        return f"{type(module).__name__.removesuffix('Cell')}, {module.units}"
    if node == "mean" or not isinstance(module, nn.Sequential):
        return f"{units[0] if units else 0} numbers"
    sizes = [layer.out_features for layer in module if isinstance(layer, nn.Linear)]
    hidden = sizes[:-1] if isinstance(module[-1], nn.Linear) else sizes
    return f"MLP, {'-'.join(map(str, hidden))}"


def _tensors(values: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
