"""The weights that a run begins with where it is told to start from a policy (`init_from`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.agent import Agent
from policies.config import TrainConfig
from policies.environment import MakeEnv
from policies.modulated import ModulatedAgent
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.synergies import measure_synergies
from policies.transfer import copy_weights, keep_values, of_policy, rename_senses
from rodent.body import Body
from rodent.errors import UsageError
from rodent.symmetry import mirror_actions

_LASTING = ("experts", "learnt_to_tell", "runner")  # facts of a policy that stay true of what goes on from it


def take_weights(
    config: TrainConfig,
    agent: Agent,
    senses: ObservationSpec,
    means: Mapping[str, Any],
    body: Body,
    make_env: MakeEnv,
) -> dict[str, Any]:
    """Give an agent the weights of `config.init_from`, or let it modulate that policy if it is made for that.

    Args:
        config: of the run.
        agent: as made for `senses`.
        senses: what the run lets it read.
        means: `Learner.value_facts` of the run's learner.
        body: of the rat.
        make_env: makes the environments in which synergies are measured.

    Returns:
        What the card of whatever goes on from that policy tells of all the runs that led to it: `steps_before`, their
        environment steps, `training_seconds_before` and `physics_before`, and whom a modulated one modulates
        (`runner`); and of weights that go on learning also `learners_before`, and who taught them what (`experts`,
        `learnt_to_tell`).

    Raises:
        UsageError: it is of another agent or size, sees and the run does not (or the reverse), or reads senses that the
            run does not have.
    """
    source = Policy.load(str(config.init_from))
    source.senses = rename_senses(source.senses, config.init_senses)
    known = _spent(source)
    if isinstance(agent, ModulatedAgent) and source.agent.name == agent.runner.name:
        _copy_weights(config, source, agent.runner, senses, of_policy(senses))
        mirror = mirror_actions(body) if agent.symmetric else None
        agent.adopt(*measure_synergies(source, config.physics.split("+")[-1], make_env, config.threads, mirror))
        known |= {"runner": config.init_from}
    else:
        student = "distill" in (config.learner, *_learners(source))
        _copy_weights(config, source, agent, senses, senses, more=not student)
        keep_values(source, agent, means, config.task)
        taught = {name: source.facts[name] for name in _LASTING if name in source.facts}
        known |= {"learners_before": _learners(source)} | taught
    return known


def _spent(source: Policy) -> dict[str, Any]:
    """What a policy cost, and all that led to it."""
    facts = source.facts
    return {
        "steps_before": facts.get("steps", 0) + facts.get("steps_before", 0),
        "training_seconds_before": round(facts.get("training_seconds", 0) + facts.get("training_seconds_before", 0), 1),
        "physics_before": list(dict.fromkeys([*facts.get("physics_before", []), *facts.get("physics", [])])),
    }


def _learners(source: Policy) -> list[str]:
    """By what a policy learnt, in the order in which it began to."""
    learners = [*source.facts.get("learners_before", []), source.facts.get("learner")]
    return [name for name in dict.fromkeys(learners) if name]


def _copy_weights(
    config: TrainConfig,
    source: Policy,
    agent: Agent,
    offered: ObservationSpec,
    read: ObservationSpec,
    more: bool = True,
) -> None:
    """Take a policy's weights for an agent that reads some of what is offered; `more`: also what it does not know."""
    if source.agent.name != agent.name:
        raise UsageError(
            f"{config.init_from} is of agent {source.agent.name}, not {config.agent}: give --agent {source.agent.name}"
        )
    source.senses.check(dict(offered.senses), more)
    if source.senses.picture != offered.picture:
        advice = "give --vision" if source.senses.sees else "leave out --vision"
        raise UsageError(f"{config.init_from} and the run differ in what they see: {advice}")
    try:
        copy_weights(source, agent, read)
    except ValueError:
        raise UsageError(
            f"{config.init_from} is a network of other sizes: it has {source.settings}, the run {config.agent_settings}"
        ) from None
