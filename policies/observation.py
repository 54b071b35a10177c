"""Senses as one flat vector: their order and sizes, and their running normalisation; and the picture beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from policies.distributed import ALONE, Ranks
from rodent.errors import UsageError
from rodent.senses import PRIVILEGED

Observation = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ObservationSpec:
    """The senses that a network reads: their names, in order, and the size of each."""

    senses: tuple[tuple[str, int], ...]
    """What the policy reads."""
    critic_senses: tuple[tuple[str, int], ...] = ()
    """What only its critic reads, in training, besides."""
    picture: tuple[str, tuple[int, int, int]] | None = None
    """Name and shape (rows, columns, colours) of the picture that it sees, uint8; None for one that does not see."""

    @classmethod
    def of(
        cls, space: gymnasium.Space[Any], privileged_critic: bool = False, privileged: bool = True, sees: bool = True
    ) -> ObservationSpec:
        """The spec of a single environment's Dict of flat Boxes and, where it gives one, a picture.

        Args:
            space: the environment's.
            privileged_critic: keep privileged senses to the critic.
            privileged: read privileged senses, if there are any and they are not the critic's.
            sees: read the picture, if there is one.
        """
        assert isinstance(space, gymnasium.spaces.Dict)
        flat = {name: box.shape or (1,) for name, box in space.spaces.items() if len(box.shape or ()) < 2}
        sizes = tuple((name, shape[0]) for name, shape in flat.items())
        pictures = {name: box.shape for name, box in space.spaces.items() if box.shape and len(box.shape) == 3}
        picture = next(((name, (rows, cols, colours)) for name, (rows, cols, colours) in pictures.items()), None)
        picture = picture if sees else None
        if privileged and not privileged_critic:
            return cls(sizes, picture=picture)
        critics = tuple(each for each in sizes if each[0].startswith(PRIVILEGED))
        published = tuple(each for each in sizes if each not in critics)
        return cls(published, critics if privileged_critic else (), picture)

    @classmethod
    def from_json(cls, senses: Any, critic_senses: Any = (), picture: Any = None) -> ObservationSpec:
        """The spec of pairs of name and size. Raises TypeError or ValueError for anything else."""
        if picture is not None:
            name, (rows, columns, colours) = picture
            picture = (str(name), (int(rows), int(columns), int(colours)))
        return cls(
            tuple((str(name), int(size)) for name, size in senses),
            tuple((str(name), int(size)) for name, size in critic_senses),
            picture,
        )

    def to_json(self) -> dict[str, list[Any]]:
        """Pairs of name and size, under `senses` and, where there are any, `critic_senses` and `picture`."""
        groups = {"senses": self.senses} | ({"critic_senses": self.critic_senses} if self.critic_senses else {})
        seen = {"picture": [self.picture[0], [*self.picture[1]]]} if self.picture else {}
        return {name: [[*pair] for pair in group] for name, group in groups.items()} | seen

    @property
    def names(self) -> list[str]:
        """What the policy reads, by name, the picture included."""
        return [name for name, _ in self.senses] + ([self.picture[0]] if self.picture else [])

    @property
    def privileged(self) -> bool:
        """Whether the policy has senses that no animal has."""
        return any(name.startswith(PRIVILEGED) for name, _ in self.senses)

    @property
    def sees(self) -> bool:
        """Whether the policy reads a picture."""
        return self.picture is not None

    @property
    def size(self) -> int:
        """D, the length of a flat observation."""
        return sum(size for _, size in self.senses)

    @property
    def critic_size(self) -> int:
        """P, the length of what the critic reads besides."""
        return sum(size for _, size in self.critic_senses)

    def units(self, sense: str) -> range:
        """Which numbers of a flat observation are of one sense that the policy reads.

        Raises:
            UsageError: it reads no such sense.
        """
        names = [name for name, _ in self.senses]
        if sense not in names:
            raise UsageError(f"the policy reads no sense {sense!r}: choose one of {', '.join(names)}")
        before = sum(size for _, size in self.senses[: names.index(sense)])
        return range(before, before + dict(self.senses)[sense])

    def numbers(self, reads: str) -> list[tuple[str, int]]:
        """The numbers that the `policy` reads, the `critic` alone, or `all`, each by its sense and its index in it."""
        groups = {"policy": self.senses, "all": self.senses + self.critic_senses, "critic": self.critic_senses}
        return [(name, i) for name, size in groups[reads] for i in range(size)]

    def flatten(self, observation: Observation, critic: bool = False) -> Tensor:
        """Concatenate senses of shape (n, d) each, by name, into (n, D) float32; with `critic`, into (n, D + P).

        Senses that the spec does not name are ignored: `check` says so beforehand where that would be a mistake.

        Raises:
            UsageError: a sense is missing or has another shape.
        """
        senses = self.senses + self.critic_senses if critic else self.senses
        try:
            flat = np.concatenate([observation[name] for name, _ in senses], axis=1, dtype=np.float32)
        except (KeyError, ValueError):
            flat = np.empty((0, 0), np.float32)
        if flat.shape[1] != self.size + critic * self.critic_size:
            self.check({name: np.shape(value)[-1] for name, value in observation.items() if np.ndim(value) == 2})
            raise UsageError("observations must have the shape (n, d) each, n the same for every sense")
        return torch.from_numpy(flat)

    def look(self, observation: Observation) -> Tensor | None:
        """The pictures (n, rows, columns, colours) uint8, or None of a policy that does not see.

        Raises:
            UsageError: there is none, or it has another shape.
        """
        if self.picture is None:
            return None
        name, shape = self.picture
        if name not in observation or observation[name].shape[1:] != shape:
            raise UsageError(_blind(name, shape))
        return torch.from_numpy(observation[name])

    def look_each(self, observations: np.ndarray) -> Tensor | None:
        """The pictures of a sequence of single observations, as in Gymnasium's `final_obs`."""
        if self.picture is None:
            return None
        return self.look({self.picture[0]: np.stack([each[self.picture[0]] for each in observations])})

    def flatten_each(self, observations: np.ndarray, critic: bool = False) -> Tensor:
        """Flatten a sequence of single observations, each a dict of (d,), as in Gymnasium's `final_obs`."""
        names = [name for name, _ in self.senses + self.critic_senses]
        stacked = {name: np.stack([each[name] for each in observations]) for name in names if name in observations[0]}
        return self.flatten(stacked, critic)

    def critic_hears(self, offered: ObservationSpec) -> bool:
        """Whether all that the critic alone reads is offered to it, each sense with its size."""
        return set(self.critic_senses) <= set(offered.critic_senses)

    def check(self, offered: ObservationSpec | Mapping[str, int], more: bool = False) -> None:
        """Compare what the policy reads with what is offered.

        Args:
            offered: a spec, or the sizes of senses alone by name, which says nothing of pictures.
            more: whether more may be offered. By a spec, a picture that the policy doesn't see and privileged senses
                that a task had not when it was trained may always be.

        Raises:
            UsageError: a sense is missing, is not known here, or has another size; or the policy sees and can't here.
        """
        here = dict(self.senses)
        if isinstance(offered, ObservationSpec):
            if self.picture and offered.picture != self.picture:
                raise UsageError(_blind(*self.picture))
            there = {name: size for name, size in offered.senses if name in here or not name.startswith(PRIVILEGED)}
        else:
            there = dict(offered)
        faults = [f"{name} is missing" for name in here if name not in there]
        faults += [f"{name} is not one the policy knows" for name in there if name not in here and not more]
        faults += [
            f"{name} has {there[name]} numbers where the policy reads {size}"
            for name, size in self.senses
            if name in there and there[name] != size
        ]
        if faults:
            raise UsageError(f"these senses do not fit the policy: {'; '.join(faults)}")


def _blind(name: str, shape: tuple[int, ...]) -> str:
    size = "x".join(map(str, shape))
    return f"the policy sees, and the environment gives no picture {name} of {size}: make it with vision=True"


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

    def forward(self, observation: Tensor, first: int = 0) -> Tensor:
        """Normalise (..., D), or some of its numbers (..., d), from number `first` on."""
        these = slice(first, first + observation.shape[-1])
        scale = (self.variance[these] + 1e-8).rsqrt().to(observation.dtype)
        return ((observation - self.mean[these].to(observation.dtype)) * scale).clamp(-self.CLIP, self.CLIP)

    @torch.no_grad()
    def update(self, observations: Tensor, ranks: Ranks = ALONE) -> None:
        """Merge observations (..., D), all ranks', into the statistics."""
        count, mean, variance = ranks.moments(observations.reshape(-1, observations.shape[-1]).double())
        total = self.count + count
        share = count / total
        shift = mean - self.mean
        self.variance.lerp_(variance, share).add_(shift.square() * share * (1 - share))
        self.mean.add_(shift * share)
        self.count.copy_(total)
