"""Senses as one flat vector: their order and sizes, and their running normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from rodent.errors import UsageError
from rodent.senses import PRIVILEGED

Observation = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ObservationSpec:
    """The senses that a network reads: their names, in order, and the size of each."""

    senses: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, space: gymnasium.Space[Any]) -> ObservationSpec:
        """The spec of a single environment's Dict of flat Boxes."""
        assert isinstance(space, gymnasium.spaces.Dict)
        return cls(tuple((name, int(np.prod(box.shape or (1,)))) for name, box in space.spaces.items()))

    @classmethod
    def from_json(cls, data: Any) -> ObservationSpec:
        """The inverse of `to_json`. Raises TypeError or ValueError for anything else."""
        return cls(tuple((str(name), int(size)) for name, size in data))

    def to_json(self) -> list[list[Any]]:
        """Pairs of name and size."""
        return [[name, size] for name, size in self.senses]

    @property
    def privileged(self) -> bool:
        """Whether it has senses that no animal has."""
        return any(name.startswith(PRIVILEGED) for name, _ in self.senses)

    @property
    def size(self) -> int:
        """D, the length of a flat observation."""
        return sum(size for _, size in self.senses)

    def flatten(self, observation: Observation) -> Tensor:
        """Concatenate senses of shape (n, d) each, by name, into (n, D) float32.

        Senses that the spec does not name are ignored: `check` says so beforehand where that would be a mistake.

        Raises:
            UsageError: a sense is missing or has another shape.
        """
        try:
            flat = np.concatenate([observation[name] for name, _ in self.senses], axis=1, dtype=np.float32)
        except (KeyError, ValueError):
            flat = np.empty((0, 0), np.float32)
        if flat.shape[1] != self.size:
            self.check({name: np.shape(value)[-1] for name, value in observation.items() if np.ndim(value) == 2})
            raise UsageError("observations must have the shape (n, d) each, n the same for every sense")
        return torch.from_numpy(flat)

    def flatten_each(self, observations: np.ndarray) -> Tensor:
        """Flatten a sequence of single observations, each a dict of (d,), as in Gymnasium's `final_obs`: (n, D)."""
        return self.flatten({name: np.stack([each[name] for each in observations]) for name, _ in self.senses})

    def check(self, offered: ObservationSpec | Mapping[str, int]) -> None:
        """Compare with what an environment offers.

        Raises:
            UsageError: a sense is missing, is not known here, or has another size.
        """
        there = dict(offered.senses) if isinstance(offered, ObservationSpec) else dict(offered)
        here = dict(self.senses)
        faults = [f"{name} is missing" for name in here if name not in there]
        faults += [f"{name} is not one the policy knows" for name in there if name not in here]
        faults += [
            f"{name} has {there[name]} numbers where the policy reads {size}"
            for name, size in self.senses
            if name in there and there[name] != size
        ]
        if faults:
            raise UsageError(f"these senses do not fit the policy: {'; '.join(faults)}")


class Normaliser(nn.Module):
    """Scales each observed number by its running mean and variance, and clips at 10 standard deviations.

    Statistics are float64 and merged batch by batch (Chan, Golub & LeVeque 1983). They change in `update` alone, which
    only training calls, and are saved with the agent's weights.
    """

    CLIP = 10.0
    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, observation: Tensor) -> Tensor:
        """Normalise (..., D)."""
        scale = (self.variance + 1e-8).rsqrt().to(observation.dtype)
        return ((observation - self.mean.to(observation.dtype)) * scale).clamp(-self.CLIP, self.CLIP)

    @torch.no_grad()
    def update(self, observations: Tensor) -> None:
        """Merge observations (..., D) into the statistics."""
        batch = observations.reshape(-1, observations.shape[-1]).double()
        variance, mean = torch.var_mean(batch, dim=0, correction=0)
        total = self.count + len(batch)
        share = len(batch) / total
        shift = mean - self.mean
        self.variance.lerp_(variance, share).add_(shift.square() * share * (1 - share))
        self.mean.add_(shift * share)
        self.count.copy_(total)
