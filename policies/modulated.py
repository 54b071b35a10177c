"""The modulated agent: a frozen network that runs, and a small one that bends its stride to what lies ahead."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from policies.agent import Output, mlp
from policies.mlp import WHERE, FeedForwardAgent, MLPAgent, MLPSettings, mean_of
from policies.observation import ObservationSpec
from policies.probe import NOTHING, Probe
from rodent.errors import UsageError
from rodent.senses import PRIVILEGED
from rodent.symmetry import Mirror

_PHASES = 2  # the leading synergies, whose direction is the phase of the stride
_SLOWEST = 0.3  # the runner's drive along these, in standard deviations, below which the phase fades out
_LEAST_STD = 0.01  # of a control, where an expert's distribution is told by controls


@dataclass(frozen=True)
class ModulatedSettings:
    """Settings of the `modulated` agent."""

    hidden: tuple[int, ...] = (64, 32)  # units of each layer of what modulates, of the actor and of the critic
    initial_std: float = 0.15  # of the commands, whose range is [-1, 1]
    symmetric: bool = False  # modulate alike on the left and on the right, by construction
    synergies: int = 8  # how many leading ones have a command
    sideways: int = 0  # and how many more of those that are their mirror images' opposites, which turn the rat
    reach: float = 2.2  # how far a command of 1 moves the controls along the leading synergy
    sideways_reach: float = 5.0  # what `reach` is to those that turn: more, as they disturb the stride less
    taper: float = 0.5  # exponent of the runner's spread by which weaker synergies reach less (0: all alike)
    senses: tuple[str, ...] = ()  # what it reads besides privileged senses and what the runner does (none: every one)
    withheld: tuple[str, ...] = ()  # senses that mean another thing here than to the runner, which is told their mean
    runner: MLPSettings = field(default_factory=MLPSettings)  # the network of the policy to modulate, see `init_from`

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(f"modulated.hidden must name at least one layer of one unit, not {self.hidden}")
        if self.synergies < _PHASES:
            raise UsageError(f"modulated.synergies must be {_PHASES} or more, not {self.synergies}")
        if self.sideways < 0:
            raise UsageError(f"modulated.sideways must be 0 or more, not {self.sideways}")
        if self.sideways and not self.symmetric:
            raise UsageError("modulated.sideways needs to know what a mirror does: give --modulated.symmetric as well")
        for name in ("initial_std", "reach", "sideways_reach"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"modulated.{name} must be above 0 and finite, not {getattr(self, name)}")
        if not 0 <= self.taper <= 1:
            raise UsageError(f"modulated.taper must lie in [0, 1], not {self.taper}")


class ModulatedAgent(FeedForwardAgent):
    """A runner that never learns, and a modulator whose action is a command to each of the runner's synergies.

    Synergies are the principal components of the runner's own controls while it runs (d'Avella & Bizzi 2005, for
    muscles). What the actuators are told is what the runner says, and what the commands, each clipped to [-1, 1], add
    along them: residual learning (Silver et al. 2018; Johannink et al. 2019) in a space of few dimensions.

    The modulator reads how strongly the runner drives each synergy, and with it where in its stride it is: the
    direction of the two leading ones. What lies ahead, the privileged senses, it reads three times: as it is, times
    the cosine and times the sine of that phase. For where to leap from depends on both, as a product.
    """

    name: ClassVar[str] = "modulated"
    settings_type = ModulatedSettings
    reads_by_name: ClassVar[bool] = True
    READS: Mapping[str, str] = {}  # see `inputs`
    PARTS = ("runner",)

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        settings: ModulatedSettings,
        critic_size: int = 0,
        tasks: int = 1,
        senses: ObservationSpec | None = None,
    ) -> None:
        count = min(settings.synergies + settings.sideways, action_size)
        super().__init__(observation_size, action_size, settings.initial_std, critic_size, tasks, commands=count)
        self.runner = MLPAgent(observation_size, action_size, settings.runner).requires_grad_(False)
        senses = senses or _nameless(observation_size, critic_size)
        self._plain, self._ahead = _sort_senses(settings.senses, senses)
        self._withheld = [i for name in settings.withheld for i in senses.units(name)]
        features = count + len(self._plain) + (1 + _PHASES) * len(self._ahead)
        self.actor = mlp((features, *settings.hidden), count, output_gain=0.01)
        self.critic = mlp((features + critic_size, *settings.hidden), tasks, output_gain=0.01)
        self._sideways, self._taper = settings.sideways, settings.taper
        reaches = [settings.reach] * (count - settings.sideways) + [settings.sideways_reach] * settings.sideways
        self.register_buffer("reach", torch.tensor(reaches), persistent=False)
        self.symmetric = settings.symmetric or settings.runner.symmetric
        self.register_buffer("synergies", torch.eye(action_size, count))
        self.register_buffer("spread", torch.ones(count))
        if settings.symmetric:
            self.look_twice()

    synergies: Tensor
    """(A, C), a unit vector each."""
    reach: Tensor
    """(C,), what a command of 1 would move the controls by if the runner used every synergy as much as the leading."""
    spread: Tensor
    """(C,), standard deviations of the runner's controls along them."""

    def adopt(self, synergies: Tensor, spread: Tensor) -> None:
        """Take from synergies (A, n), and the runner's spread along them (n,), those that have a command.

        Raises:
            UsageError: there are not as many.
        """
        leading = self.command_size - self._sideways
        chosen = list(range(leading))
        if self._sideways:
            turning = torch.nonzero(self._parity(synergies) < 0).flatten().tolist()
            chosen += [k for k in turning if k >= leading][: self._sideways]
        if len(chosen) < self.command_size:
            raise UsageError(
                f"the runner has {len(chosen) - leading} more synergies that turn: lower modulated.sideways"
            )
        self.synergies.copy_(synergies[:, chosen])
        self.spread.copy_(spread[chosen])

    def reflect(self, senses: Mirror, actions: Mirror) -> None:
        own = self.observation_size
        if self.runner.symmetric:
            self.runner.reflect(Mirror(senses.index[:own], senses.sign[:own]), actions)
        if self.looks_twice:
            super().reflect(senses, actions)

    def controls(self, output: Output, action: Tensor) -> Tensor:
        assert output.drive is not None
        return (output.drive + action.clamp(-1, 1) @ self._moves.T).clamp(-1, 1)

    def over_controls(self, output: Output) -> tuple[Tensor, Tensor]:
        variance = (2 * output.log_std).exp() @ self._moves.square().T
        return self.controls(output, output.mean), 0.5 * (variance + _LEAST_STD**2).log()

    def inputs(self, senses: ObservationSpec) -> Mapping[str, list[Hashable]]:
        numbers = senses.numbers("policy")
        labels: list[Hashable] = [numbers[i] for i in self._plain]
        labels += [(*numbers[i], phase) for phase in range(1 + _PHASES) for i in self._ahead]
        return {"actor.0.weight": labels, "critic.0.weight": [*labels, *senses.numbers("critic")]}

    def value(self, observations: Tensor) -> Tensor:
        views = self.views(observations)
        return self._value(self._features(self.senses(views, NOTHING), self._driven(observations)), views)

    @property
    def _moves(self) -> Tensor:
        """(A, C), what a command of 1 adds to the controls.

        Least along synergies that the runner uses least: by the `taper`, between what it would be if all were moved
        alike (0) and if the runner's own proportions held (1).
        """
        return self.synergies * self.reach * (self.spread / self.spread[0]) ** self._taper

    def _parity(self, synergies: Tensor) -> Tensor:
        """Of synergies (A, n): 1 of one that is its own mirror image, -1 of one that is its opposite's. (n,)."""
        return (synergies[self.action_index] * self.action_sign[:, None] * synergies).sum(0).sign()

    @torch.no_grad()
    def _driven(self, observation: Tensor, probe: Probe = NOTHING) -> Tensor:
        """What the runner says (..., A), clipped as the actuators do."""
        within = probe if probe is NOTHING else _Within("runner.", probe)
        senses = observation[..., : self.observation_size]
        if self._withheld:
            senses = senses.clone()
            senses[..., self._withheld] = self.runner.normaliser.mean[self._withheld].to(senses.dtype)
        return self.runner.step(senses, {}, probe=within)[0].mean.clamp(-1, 1)

    def say(self, observation: Tensor, probe: Probe = NOTHING) -> Output:
        drive, views = self._driven(observation, probe), self.views(observation)
        features = self._features(self.senses(views, probe), drive)
        seen = [probe(f"{where}features", each) for where, each in zip(WHERE, features, strict=False)]
        commands = self.run_on("actor", seen, probe)
        if self.looks_twice:
            commands[1] = commands[1] * self._parity(self.synergies)
        mean = probe("mean", mean_of(commands))
        told = self._critic_is_told(observation)
        value = self._value(seen, views, probe) if told else self._unknown_value(mean)
        return Output(mean, self.log_std.expand_as(mean), value, drive)

    def _value(self, seen: list[Tensor], views: list[Tensor], probe: Probe = NOTHING) -> Tensor:
        more = [view[..., self.observation_size :] for view in views]
        return self.mean_value([torch.cat(pair, -1) for pair in zip(seen, more, strict=True)], probe)

    def _features(self, senses: list[Tensor], drive: Tensor) -> list[Tensor]:
        """What the modulator reads (..., features) of what is sensed as it is and, in a mirror, of a symmetric one."""
        strength = drive @ self.synergies / self.spread
        strengths = [strength, strength * self._parity(self.synergies)] if self.looks_twice else [strength]
        return [self._bind(*pair) for pair in zip(senses, strengths, strict=True)]

    def _bind(self, senses: Tensor, strength: Tensor) -> Tensor:
        phase = strength[..., :_PHASES]
        phase = phase / phase.norm(dim=-1, keepdim=True).clamp(min=_SLOWEST)
        ahead = senses[..., self._ahead]
        by_phase = [ahead * phase[..., i : i + 1] for i in range(_PHASES)]
        return torch.cat([strength, senses[..., self._plain], ahead, *by_phase], -1)


class _Within(Probe):
    """Hands on the activations of a part under the name of the part."""

    def __init__(self, prefix: str, probe: Probe) -> None:
        self._prefix, self._probe = prefix, probe

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        return self._probe(self._prefix + name, activation)


def _sort_senses(chosen: tuple[str, ...], senses: ObservationSpec) -> tuple[list[int], list[int]]:
    """Which numbers of an observation are read as they are, and which by the phase of the stride.

    Raises:
        UsageError: a chosen sense is not there.
    """
    for name in chosen:
        senses.units(name)
    own = [name for name, _ in senses.senses if not name.startswith(PRIVILEGED) and (not chosen or name in chosen)]
    ahead = [name for name, _ in senses.senses if name.startswith(PRIVILEGED)]

    def numbers(names: list[str]) -> list[int]:
        return [i for name in names for i in senses.units(name)]

    return numbers(own), numbers(ahead)


def _nameless(observation_size: int, critic_size: int) -> ObservationSpec:
    return ObservationSpec((("senses", observation_size),), (("critic", critic_size),) if critic_size else ())
