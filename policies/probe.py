"""Looks into an agent while it acts, and interferes: what changes inside a step changes its action and its memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rodent.errors import UsageError


class Probe:
    """What an agent hands each named activation (batch, units) to, the moment it is computed, and goes on with.

    This one gives every activation back as it is.
    """

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        return activation


NOTHING = Probe()
"""Neither records nor interferes."""


@dataclass(frozen=True)
class Intervention:
    """A change of one layer's activation, made by `clamp`, `scale`, `add`, `replace` or `silence`."""

    layer: str
    kind: Literal["clamp", "scale", "add", "replace"]
    value: Tensor
    """(), (units,) or (envs, units) of those named below; to replace, (time,) and then any of these."""
    units: tuple[int, ...] | None
    """Of the layer; None for all."""
    envs: tuple[int, ...] | None
    """Rows of the batch; None for all."""
    start: int
    """The first control step, counted as `Experiment.at` is told."""
    stop: int | None
    """The control step before which it ends; None for never."""

    def acts_at(self, time: int) -> bool:
        """Whether it is on in a control step."""
        return self.start <= time and (self.stop is None or time < self.stop)

    def apply(self, activation: Tensor, time: int) -> Tensor:
        """The activation (batch, units) with the change made.

        Raises:
            UsageError: the batch has no such environment, or not as many as there are values for.
        """
        batch, units = activation.shape
        if self.envs is not None and max(self.envs) >= batch:
            raise UsageError(f"there is no environment {max(self.envs)} among {batch}, which are 0 to {batch - 1}")
        rows = torch.tensor(self.envs if self.envs is not None else range(batch), device=activation.device)[:, None]
        columns = torch.tensor(self.units if self.units is not None else range(units), device=activation.device)
        before = activation[rows, columns]
        value = self.value[time - self.start] if self.kind == "replace" else self.value
        if value.ndim == 2 and len(value) not in (1, len(rows)):
            raise UsageError(
                f"an intervention on {self.layer} has values for {len(value)} environments, and there are {len(rows)}: "
                "give one row for all, or as many"
            )
        value = value.to(activation)
        after = {"scale": before * value, "add": before + value}.get(self.kind, value.expand_as(before))
        changed = activation.clone()
        changed[rows, columns] = after
        return changed


Selection = Iterable[int] | None
Value = Tensor | float


def clamp(
    layer: str, value: Value, units: Selection = None, envs: Selection = None, start: int = 0, stop: int | None = None
) -> Intervention:
    """Hold activations at a value; see `Intervention` for shapes and selections. The others here likewise."""
    return _make(layer, "clamp", value, units, envs, start, stop)


def scale(
    layer: str, value: Value, units: Selection = None, envs: Selection = None, start: int = 0, stop: int | None = None
) -> Intervention:
    """Multiply activations."""
    return _make(layer, "scale", value, units, envs, start, stop)


def add(
    layer: str, value: Value, units: Selection = None, envs: Selection = None, start: int = 0, stop: int | None = None
) -> Intervention:
    """Add to activations."""
    return _make(layer, "add", value, units, envs, start, stop)


def replace(
    layer: str, trajectory: Tensor, units: Selection = None, envs: Selection = None, start: int = 0
) -> Intervention:
    """Overwrite activations with a trajectory, (time, units) or (time, envs, units), from step `start` to its end."""
    return _make(layer, "replace", trajectory, units, envs, start, start + len(trajectory))


def silence(
    layer: str, units: Selection = None, envs: Selection = None, start: int = 0, stop: int | None = None
) -> Intervention:
    """Set activations to zero, of an input stream (`senses`, `vision`, `proprioception`, `core_to_policy`) or a layer.

    Senses are normalised, so that their zero is their mean over training; `ObservationSpec.units` tells which numbers
    are of one sense.
    """
    return clamp(layer, 0.0, units, envs, start, stop)


def _make(
    layer: str,
    kind: Literal["clamp", "scale", "add", "replace"],
    value: Value,
    units: Selection,
    envs: Selection,
    start: int,
    stop: int | None,
) -> Intervention:
    def choose(selection: Selection, what: str) -> tuple[int, ...] | None:
        chosen = None if selection is None else tuple(selection)
        if chosen is not None and not (chosen and all(int(each) == each >= 0 for each in chosen)):
            raise UsageError(
                f"an intervention on {layer} needs at least one {what}, a whole number from 0, not {chosen}"
            )
        return chosen and tuple(map(int, chosen))

    chosen = choose(units, "unit"), choose(envs, "environment")
    if start < 0 or (stop is not None and stop <= start):
        raise UsageError(
            f"an intervention on {layer} must begin at step 0 or later and last a step, "
            f"not begin at {start}" + ("" if stop is None else f" and end before {stop}")
        )
    return Intervention(layer, kind, torch.as_tensor(value), *chosen, start, stop)


class Experiment:
    """Interventions on an agent, checked beforehand against what it has.

    >>> experiment = Experiment(agent.layers(), [silence("core.h", start=50)])          # doctest: +SKIP
    >>> for t in range(100):                                                            # doctest: +SKIP
    ...     probe = experiment.at(t)
    ...     output, state = agent.step(observation, state, probe=probe)
    ...     probe.activations["policy.0.h"]                                             # (batch, units)

    Args:
        layers: the shape of each activation, as `Agent.layers` gives them.
        interventions: made in this order.

    Raises:
        UsageError: a layer or a unit that is not there, or values of a shape that does not fit.
    """

    def __init__(self, layers: Mapping[str, tuple[int, ...]], interventions: Iterable[Intervention] = ()) -> None:
        self.interventions = tuple(interventions)
        for intervention in self.interventions:
            _check(intervention, layers)

    def at(self, time: int) -> Snapshot:
        """The probe of one control step, the number `time` of the experiment."""
        return Snapshot([each for each in self.interventions if each.acts_at(time)], time)


class Snapshot(Probe):
    """Records every activation of one step, after what interventions made of it."""

    def __init__(self, interventions: Iterable[Intervention] = (), time: int = 0) -> None:
        self.activations: dict[str, Tensor] = {}
        """By name, (batch, units) each."""
        self._interventions = tuple(interventions)
        self._time = time

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        for intervention in self._interventions:
            if intervention.layer == name:
                activation = intervention.apply(activation, self._time)
        self.activations[name] = activation
        return activation


def _check(intervention: Intervention, layers: Mapping[str, tuple[int, ...]]) -> None:
    layer, units = intervention.layer, intervention.units
    if layer not in layers:
        raise UsageError(f"the agent has no layer {layer!r}: choose one of {', '.join(layers)}")
    (size,) = layers[layer]
    if units is not None and max(units) >= size:
        raise UsageError(f"layer {layer} has no unit {max(units)}: its {size} units are 0 to {size - 1}")
    count = size if units is None else len(units)
    given = tuple(intervention.value.shape[intervention.kind == "replace" :])
    envs = None if intervention.envs is None else len(intervention.envs)
    fits = (
        len(given) <= 2 and given[-1:] in ((), (1,), (count,)) and (envs is None or given[:-1] in ((), (1,), (envs,)))
    )
    if not fits:
        raise UsageError(
            f"an intervention on {count} units of {layer} takes one value, {count}, or {count} an environment, "
            f"not values of shape {given}"
        )
