"""The control that every effect must beat: the same architecture, untrained, driven through the same episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.nwb_channels import plain
from analysis.nwb_layers import Layers
from analysis.nwb_sight import Sight
from analysis.recording import Session
from policies.agent import Agent
from policies.observation import ObservationSpec
from policies.plain import build
from policies.policy import untrained_agent
from policies.registry import find_agent
from rodent.errors import UsageError


def untrained_activity(session: Session, rows: NDArray[np.int64], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """What the layers of a fresh network do with the senses that were recorded: the first of `untrained_activities`."""
    return next(untrained_activities(session, rows, (seed,)))


def untrained_activities(
    session: Session, rows: NDArray[np.int64], seeds: Iterable[int]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """What the layers of fresh networks do with the senses that were recorded, one network after the other.

    Their observations are normalised by the session's own mean and spread, as training would have come to do it. Mean
    actions are left out: those of a fresh network say nothing. Only the episodes of `rows` are driven. A network that
    sees is shown the pictures of these episodes, which are drawn again from their states, once while a session is open
    (docs/report.md says what that costs).

    Args:
        session: whole, not restricted.
        rows: (n,) ascending steps of the session to keep, counted over all trials.
        seeds: of the weights; where the network that was recorded is itself an untrained one, those from its seed on
            are one greater: no network is its own control, and none is drawn twice.

    Yields:
        Of each seed, a layer's name to (n, units).

    Raises:
        UsageError: a sense that the network reads is not in the session; it sees, and pictures cannot be drawn here; or
            a part of it is a policy that was trained before it, so that there is no untrained one.
    """
    description = session.protocol["policy"]
    spec = ObservationSpec.from_json(
        description["senses"], description.get("critic_senses", ()), description.get("picture")
    )
    known = torch.from_numpy(_observations(session, spec))
    driven = _Driven.of(session, known, rows, _sight(session) if spec.sees else None)
    for agent in _fresh_networks(description, spec, seeds):
        # What only the critic reads is not recorded, and nothing that is kept follows from it.
        agent.normaliser.update(torch.nn.functional.pad(known, (0, spec.critic_size)))
        yield driven.through(agent)


def _fresh_networks(description: Mapping[str, Any], spec: ObservationSpec, seeds: Iterable[int]) -> Iterator[Agent]:
    name, own = description["agent"], description.get("untrained_seed")
    settings = build(find_agent(name).settings_type, description["settings"], "settings")
    for seed in seeds:
        chosen = seed + (own is not None and seed >= own)
        agent = untrained_agent(
            spec, name, len(description["actions"]), settings, int(description.get("values", 1)), chosen
        )
        yield agent.eval().requires_grad_(False)


def _observations(session: Session, spec: ObservationSpec) -> NDArray[np.float32]:
    """(steps, senses) of all episodes, in the order in which the network reads them."""
    senses = {name: f"sense.{plain(name)}" for name, _ in spec.senses}
    if missing := [name for name, series in senses.items() if series not in session.behaviour]:
        raise UsageError(
            f"the session does not hold the sense {missing[0]}: nothing to drive an untrained network with"
        )
    return np.concatenate([_flat(session, series) for series in senses.values()], axis=1, dtype=np.float32)


def _flat(session: Session, series: str) -> NDArray[Any]:
    values = session.behaviour[series].read()
    return values if values.ndim == 2 else values[:, None]


def _sight(session: Session) -> Sight:
    """What the network saw; the same for all who ask while the session is open, so that nothing is drawn twice."""
    if session not in _SIGHTS:
        _SIGHTS[session] = Sight(session)
    return _SIGHTS[session]


_SIGHTS: WeakKeyDictionary[Session, Sight] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Driven:
    """The episodes that networks are driven through, side by side.

    Attributes:
        observations: (steps, senses) of the whole session.
        sight: what was seen in them; None of a network that does not see.
        trials: (episodes,) which of the session's they are.
        offsets, lengths: (episodes,) their first steps in the session, and how many steps they have.
        place: (steps,) of the whole session, where what is done in a step is kept; -1 where it is not.
        kept: how many steps are kept.
    """

    observations: torch.Tensor
    sight: Sight | None
    trials: NDArray[np.int64]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    place: NDArray[np.int64]
    kept: int

    @classmethod
    def of(cls, session: Session, observations: torch.Tensor, rows: NDArray[np.int64], sight: Sight | None) -> _Driven:
        lengths = session.trials["steps"].to_numpy(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        place = np.full(int(lengths.sum()), -1)
        place[rows] = np.arange(len(rows))
        trials = np.unique(np.searchsorted(offsets, rows, side="right") - 1)
        if sight:
            sight.draw(session, trials.tolist())
        return cls(observations, sight, trials, offsets[trials], lengths[trials], place, len(rows))

    def through(self, agent: Agent) -> dict[str, NDArray[np.float32]]:
        """What an agent's layers do, step by step; an episode that is over repeats its last observation, unseen."""
        kept: dict[str, NDArray[np.float32]] = {}
        state, layers = agent.initial(len(self.trials)), Layers(agent)
        for step in range(int(self.lengths.max(initial=0))):
            steps = np.minimum(step, self.lengths - 1)
            at = self.offsets + steps
            picture = self.sight.at(self.trials, steps) if self.sight else None
            _, state, seen = layers.step(self.observations[at], state, picture)
            wanted = np.flatnonzero((step < self.lengths) & (self.place[at] >= 0))
            for name, values in seen.items():
                if name != "policy.mean" and len(wanted):
                    room = kept.setdefault(name, np.empty((self.kept, values.shape[1]), np.float32))
                    room[self.place[at[wanted]]] = values[wanted].numpy()
        return kept
