"""The control that every effect must beat: the same architecture, untrained, driven through the same episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.nwb_channels import plain
from analysis.nwb_layers import Layers
from analysis.recording import Session
from policies.agent import Agent
from policies.observation import ObservationSpec
from policies.plain import build
from policies.registry import find_agent, make_agent
from rodent.errors import UsageError


def untrained_activity(session: Session, rows: NDArray[np.int64], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """What the layers of a fresh network do with the senses that were recorded: the first of `untrained_activities`."""
    return next(untrained_activities(session, rows, (seed,)))


def untrained_activities(
    session: Session, rows: NDArray[np.int64], seeds: Iterable[int]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """What the layers of fresh networks do with the senses that were recorded, one network after the other.

    Their observations are normalised by the session's own mean and spread, as training would have come to do it. Mean
    actions are left out: those of a fresh network say nothing. Only the episodes of `rows` are driven.

    Args:
        session: whole, not restricted.
        rows: (n,) ascending steps of the session to keep, counted over all trials.
        seeds: of the weights; where the network that was recorded is itself an untrained one, those from its seed on
            are one greater: no network is its own control, and none is drawn twice.

    Yields:
        Of each seed, a layer's name to (n, units).

    Raises:
        UsageError: the network reads pictures or privileged senses, which sessions do not hold.
    """
    description = session.protocol["policy"]
    spec = ObservationSpec.from_json(
        description["senses"], description.get("critic_senses", ()), description.get("picture")
    )
    known = torch.from_numpy(_observations(session, spec))
    lengths, own = session.trials["steps"].to_numpy(np.int64), description.get("untrained_seed")
    for seed in seeds:
        agent = _fresh(description, spec, seed + (own is not None and seed >= own))
        # What only the critic reads is not recorded, and nothing that is kept follows from it.
        agent.normaliser.update(torch.nn.functional.pad(known, (0, spec.critic_size)))
        yield _drive(agent, known, lengths, rows)


def _observations(session: Session, spec: ObservationSpec) -> NDArray[np.float32]:
    """(steps, senses) of all episodes, in the order in which the network reads them."""
    if spec.sees:
        raise UsageError("the network sees, and pictures are not recorded: nothing to drive an untrained one with")
    senses = {name: f"sense.{plain(name)}" for name, _ in spec.senses}
    if missing := [name for name, series in senses.items() if series not in session.behaviour]:
        raise UsageError(
            f"the session does not hold the sense {missing[0]}: nothing to drive an untrained network with"
        )
    return np.concatenate([_flat(session, series) for series in senses.values()], axis=1, dtype=np.float32)


def _flat(session: Session, series: str) -> NDArray[Any]:
    values = session.behaviour[series].read()
    return values if values.ndim == 2 else values[:, None]


def _fresh(description: Mapping[str, Any], spec: ObservationSpec, seed: int) -> Agent:
    settings = build(find_agent(description["agent"]).settings_type, description["settings"], "settings")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        agent = make_agent(description["agent"], spec.size, len(description["actions"]), settings, spec.critic_size)
    return agent.eval().requires_grad_(False)


def _drive(
    agent: Agent, observations: torch.Tensor, lengths: NDArray[np.int64], rows: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """The episodes of these rows side by side, step by step; one that is over repeats its last observation, unseen."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    place = np.full(int(lengths.sum()), -1)
    place[rows] = np.arange(len(rows))
    driven = np.unique(np.searchsorted(offsets, rows, side="right") - 1)
    offsets, lengths = offsets[driven], lengths[driven]
    kept: dict[str, NDArray[np.float32]] = {}
    state = agent.initial(len(driven))
    layers = Layers(agent)
    for step in range(int(lengths.max(initial=0))):
        at = offsets + np.minimum(step, lengths - 1)
        _, state, seen = layers.step(observations[at], state)
        wanted = np.flatnonzero((step < lengths) & (place[at] >= 0))
        for name, values in seen.items():
            if name != "policy.mean" and len(wanted):
                room = kept.setdefault(name, np.empty((len(rows), values.shape[1]), np.float32))
                room[place[at[wanted]]] = values[wanted].numpy()
    return kept
