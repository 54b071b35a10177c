"""The agent of Merel et al. 2020, "Deep neuroethology of a virtual rodent", and what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from policies.agent import Agent, AgentState, Output, mlp, run_layers
from policies.cells import CELLS, Cell
from policies.pictures import latest_pictures
from policies.probe import NOTHING, Probe
from rodent.errors import UsageError

CellName = Literal["lstm", "gru", "rnn", "feedforward"]
Wiring = Literal["merel2020", "value-reads-policy", "shared"]
Run = Callable[[str, Tensor], Tensor]
"""What the cell of a name puts out for its inputs."""


@dataclass(frozen=True)
class Merel2020Settings:
    """Sizes of the `merel2020` agent, which the paper does not tell: these train on two cores (see `LARGE`)."""

    channels: tuple[int, ...] = (8, 16, 16)  # of each residual stage that looks at the picture and halves its sides
    vision: int = 64  # features of the picture
    proprioception: tuple[int, ...] = (128,)  # units of each layer before the core, for all senses but the picture
    core: int = 128  # units of the core
    critic: tuple[int, ...] = (64,)  # units of each layer between the core and the value
    policy: tuple[int, ...] = (64,)  # units of each layer of the policy, one to three
    skip: bool = True  # each layer of the policy reads what the first does, and the mean action reads each layer
    cell: CellName = "lstm"  # of the core and of the policy
    wiring: Wiring = "merel2020"  # see `Merel2020Agent`
    encoders: Literal["both", "value"] = "both"  # whose losses train the encoders: value and policy, or value alone
    initial_std: float = 0.4  # of the actions, whose range is [-1, 1]

    def __post_init__(self) -> None:
        for name, sizes in (("channels", self.channels), ("proprioception", self.proprioception)):
            if not sizes or min(sizes) < 1:
                raise UsageError(f"merel2020.{name} must name at least one layer of one unit, not {sizes}")
        if min(self.vision, self.core, *self.critic) < 1:
            raise UsageError(
                f"merel2020 needs at least one unit in each layer, not vision {self.vision}, core {self.core}, "
                f"critic {self.critic}"
            )
        if not (1 <= len(self.policy) <= 3 and min(self.policy) >= 1):
            raise UsageError(f"merel2020.policy must name one to three layers of one unit or more, not {self.policy}")
        choices = (("cell", tuple(CELLS)), ("wiring", ("merel2020", "value-reads-policy", "shared")),
                   ("encoders", ("both", "value")))  # fmt: skip
        for name, known in choices:
            if getattr(self, name) not in known:
                raise UsageError(f"merel2020.{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.encoders == "value" and self.wiring != "merel2020":
            raise UsageError(
                "merel2020.encoders is value under wiring merel2020 alone: the others have no path that only the value "
                f"trains (wiring is {self.wiring})"
            )
        if not 0 < self.initial_std < math.inf:
            raise UsageError(f"merel2020.initial_std must be above 0 and finite, not {self.initial_std}")


LARGE = Merel2020Settings(
    channels=(16, 32, 32), vision=256, proprioception=(256, 256), core=512, critic=(256,), policy=(256, 256, 256)
)
"""Sizes for a machine with many cores; `assets/configs/merel2020-large.yaml` holds the same."""


class Merel2020Agent(Agent):
    """A core that the value trains, and a policy that listens to it.

    The picture goes through a small residual network, the other senses through an MLP; their features enter the core.
    The value is read from the core, and the policy's loss does not reach it: the policy's layers read the senses as
    they are, the features, and the core through a stop-gradient. An agent without a camera has no visual branch.

    Wirings to compare with: `value-reads-policy`, where the policy's layers read no core, and the core reads the
    policy's layers through a stop-gradient and nothing else (Song, Yang & Wang 2017, but for the action, which their
    value network reads too); and `shared`, without the stop-gradient, so that both losses train the core.

    A probe sees `senses`, `proprioception.0` and up and `proprioception`, which is the last of them, `vision`, the
    parts of `core` and of `policy.0` and up (`core.h`, `core.c`, ...), `core_to_policy` or `policy_to_core`, `critic.0`
    and up, and `mean`. The state holds the parts of the cells.
    """

    name: ClassVar[str] = "merel2020"
    settings_type = Merel2020Settings
    sees = True
    ENCODERS = ("vision", "proprioception")

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        settings: Merel2020Settings,
        critic_size: int = 0,
        picture_shape: tuple[int, int, int] | None = None,
        tasks: int = 1,
    ) -> None:
        super().__init__(observation_size, action_size, settings.initial_std, critic_size, tasks)
        self.settings = settings
        self.picture_shape = picture_shape
        self.recurrent = bool(CELLS[settings.cell].PARTS)
        self.vision = PictureEncoder(picture_shape, settings.channels, settings.vision) if picture_shape else None
        self.proprioception = mlp((observation_size, *settings.proprioception))
        features = settings.proprioception[-1] + (settings.vision if picture_shape else 0)
        listens = settings.wiring != "value-reads-policy"
        first = features + (settings.core if listens else 0)
        layers = settings.policy
        make = CELLS[settings.cell]
        self.policy = nn.ModuleList(
            make(below + (first + observation_size if not below or settings.skip else 0), units)
            for below, units in pairwise((0, *layers))
        )
        out = sum(layers) if settings.skip else layers[-1]
        self.feature_size, self.hidden_size = features, out
        self.core = make(features if listens else out, settings.core)
        self.actor = mlp((out,), action_size, output_gain=0.01)
        self.critic = mlp((settings.core + critic_size, *settings.critic), tasks, output_gain=0.01)
        readers = range(len(layers) if settings.skip else 1)
        self.READS: Mapping[str, str] = {  # what is read of them stands last, hence the order in `_read_policy`
            "proprioception.0.weight": "policy",
            "critic.0.weight": "critic",
            **{f"policy.{layer}.input.weight": "policy" for layer in readers},
        }

    def initial(self, batch: int) -> AgentState:
        state: AgentState = {}
        for name, cell in self._cells().items():
            state |= cell.initial(batch, name)
        return state

    def step(
        self, observation: Tensor, state: AgentState, picture: Tensor | None = None, probe: Probe = NOTHING
    ) -> tuple[Output, AgentState]:
        cells, after = self._cells(), dict[str, Tensor]()

        def run(name: str, inputs: Tensor) -> Tensor:
            cell = cells[name]
            output, parts = cell.step(cell.drive(inputs), cell.parts(state, name), probe, name)
            after.update(cell.state(parts, name))
            return output

        return self._forward(observation, picture, run, probe), after

    def unroll(self, observations: Tensor, state: AgentState, starts: Tensor, pictures: Tensor | None = None) -> Output:
        cells = self._cells()

        def run(name: str, inputs: Tensor) -> Tensor:
            return cells[name].unroll(inputs, cells[name].parts(state, name), starts)

        return self._forward(observations, pictures, run, NOTHING)

    def features(self, observations: Tensor, pictures: Tensor | None = None) -> Tensor:
        return self._encode(self.normaliser(observations[..., : self.observation_size]), pictures, NOTHING)

    def trained_apart(self) -> list[list[nn.Parameter]]:
        """The policy's layers; core and critic; and, where both losses train them, the encoders."""
        settings = self.settings
        if settings.wiring == "shared":
            return super().trained_apart()
        encoders = self.encoder_parameters()
        value = [*self.core.parameters(), *self.critic.parameters()]
        both: list[nn.Parameter] = []
        if settings.encoders == "value":
            value += encoders
        elif settings.wiring == "merel2020":
            both = encoders
        policy = self.parameters_but(value + both)
        return [policy, value, both] if both else [policy, value]

    def _forward(self, observation: Tensor, picture: Tensor | None, run: Run, probe: Probe) -> Output:
        """The wiring."""
        senses = probe("senses", self.normaliser(observation[..., : self.observation_size]))
        features = self._encode(senses, picture, probe)
        heard = features if self.settings.encoders == "both" else features.detach()
        if self.settings.wiring == "value-reads-policy":
            policy = self._read_policy(heard, senses, run)
            core = run("core", probe("policy_to_core", policy.detach()))
        else:
            core = run("core", features)
            told = probe("core_to_policy", core if self.settings.wiring == "shared" else core.detach())
            policy = self._read_policy(torch.cat([heard, told], -1), senses, run)
        mean = probe("mean", self.actor(policy))
        value = self._read_value(core, observation, probe)
        return Output(mean, self.log_std.expand_as(mean), value, hidden=policy)

    def _encode(self, senses: Tensor, picture: Tensor | None, probe: Probe) -> Tensor:
        features = probe("proprioception", run_layers(self.proprioception, senses, "proprioception", probe))
        if self.vision is None:
            return features
        if picture is None:
            raise UsageError("the agent sees, and was given no picture: make the environment with vision")
        seen = self.vision(picture) if picture.ndim == 4 else self.vision.watch(picture)
        return torch.cat([probe("vision", seen), features], -1)

    def _read_policy(self, features: Tensor, senses: Tensor, run: Run) -> Tensor:
        """What the policy's layers say of features (..., n) and senses (..., D)."""
        first = [features, senses]
        outputs: list[Tensor] = []
        for layer in range(len(self.policy)):
            below = outputs[-1:]
            inputs = [*below, *first] if not below or self.settings.skip else below
            outputs.append(run(f"policy.{layer}", torch.cat(inputs, -1)))
        return torch.cat(outputs, -1) if self.settings.skip else outputs[-1]

    def _read_value(self, core: Tensor, observation: Tensor, probe: Probe) -> Tensor:
        if not self._critic_is_told(observation):
            return self._unknown_value(core)
        inputs = torch.cat([core, self._told_to_critic(observation)], -1)
        return self._as_value(run_layers(self.critic, inputs, "critic", probe))

    def _cells(self) -> dict[str, Cell]:
        policy = {f"policy.{layer}": cast(Cell, cell) for layer, cell in enumerate(self.policy)}
        return {"core": self.core, **policy}


class PictureEncoder(nn.Module):
    """A small residual network: stages of a convolution that halves the sides and of a residual block, then a layer.

    The stages are those of IMPALA's deep network (Espeholt et al. 2018) with one block instead of two, and a stride
    instead of pooling, which costs a quarter.

    Args:
        shape: rows, columns and colours of a picture.
        channels: of each stage.
        features: how many numbers it makes of a picture.
    """

    def __init__(self, shape: tuple[int, int, int], channels: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.channels = channels
        rows, columns, colours = shape
        stages = [_Stage(before, after) for before, after in pairwise((colours, *channels))]
        for _ in stages:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        self.stages = nn.Sequential(*stages)
        self.out = mlp((channels[-1] * rows * columns, features))

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (..., n) of pictures (..., rows, columns, colours), uint8."""
        flat = pictures.reshape(-1, *pictures.shape[-3:]).permute(0, 3, 1, 2)
        seen = self.stages(flat.float() / 255 - 0.5).relu().flatten(1)
        features: Tensor = self.out(seen)
        return features.view(*pictures.shape[:-3], features.shape[-1])

    def watch(self, pictures: Tensor) -> Tensor:
        """Features (time, batch, n) of pictures (time, batch, ...), as `forward` has them; one that stays counts once.

        Where pictures come at every k-th control step, that spares all of them but one in k.
        """
        latest = latest_pictures(pictures)
        fresh = latest == torch.arange(len(latest), device=latest.device).unsqueeze(1)
        if fresh.all():
            return self(pictures)
        numbers = (fresh.flatten().cumsum(0) - 1).view_as(fresh).gather(0, latest)
        features: Tensor = self(pictures[fresh])[numbers]
        return features


class _Stage(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.first = nn.Conv2d(after, after, 3, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.halve(x)
        added: Tensor = self.second(self.first(x.relu()).relu())
        return x + added
