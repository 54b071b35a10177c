"""The control that every effect must beat: the same architecture, untrained, driven through the same episodes."""

from __future__ import annotations

from collections.abc import Mapping
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
    """What the layers of a fresh network do with the senses that were recorded.

    Its observations are normalised by the session's own mean and spread, as training would have come to do it. Mean
    actions are left out: those of a fresh network say nothing.

    Args:
        session: whole, not restricted.
        rows: (n,) ascending steps of the session to keep, counted over all trials.
        seed: of the weights; the next one where the network that was recorded is itself an untrained one of this seed.

    Returns:
        A layer's name to (n, units).

    Raises:
        UsageError: the network reads pictures or privileged senses, which sessions do not hold.
    """
    description = session.protocol["policy"]
    spec = ObservationSpec.from_json(
        description["senses"], description.get("critic_senses", ()), description.get("picture")
    )
    if spec.sees:
        raise UsageError("the network sees, and pictures are not recorded: nothing to drive an untrained one with")
    senses = {name: f"sense.{plain(name)}" for name, _ in spec.senses}
    if missing := [name for name, series in senses.items() if series not in session.behaviour]:
        raise UsageError(
            f"the session does not hold the sense {missing[0]}: nothing to drive an untrained network with"
        )
    observations = np.concatenate([_flat(session, series) for series in senses.values()], axis=1, dtype=np.float32)
    agent = _fresh(description, spec, seed + (description.get("untrained_seed") == seed))
    known = torch.from_numpy(observations)
    # What only the critic reads is not recorded, and nothing that is kept follows from it.
    agent.normaliser.update(torch.nn.functional.pad(known, (0, spec.critic_size)))
    return _drive(agent, known, session.trials["steps"].to_numpy(np.int64), rows)


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
    """All episodes side by side, step by step; an episode that is over repeats its last observation, unseen."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    place = np.full(int(lengths.sum()), -1)
    place[rows] = np.arange(len(rows))
    kept: dict[str, NDArray[np.float32]] = {}
    state = agent.initial(len(lengths))
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
