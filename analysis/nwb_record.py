"""Records a policy's network and body through episodes of one or several tasks: what `rodent record` does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from analysis.nwb_channels import skeleton
from analysis.nwb_film import film_episode
from analysis.nwb_parts import Part, Parts
from analysis.nwb_rollout import Conditions, play_and_record
from analysis.nwb_session import About, join
from policies.plain import to_plain
from policies.play import check_playing
from policies.policy import Policy
from policies.storage import explain_disk_errors
from rodent.errors import UsageError
from rodent.physics import find_physics
from rodent.tasks import Task, episode_rng, make_task
from rodent.vision import describe_vision, vision_settings

# What was measured of a policy: its card may be measured anew without a change to anything that it does.
_MEASURED = ("evaluations", "comparisons")


def record(
    policy: str | Path | Policy,
    output: Path,
    tasks: Sequence[str | Task] = (),
    episodes: int = 25,
    seed: int = 0,
    physics: str = "paper",
    sample: bool = False,
    steps: int | None = None,
    threads: int = 0,
    film: bool = False,
    spikes: float | None = None,
    untrained: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Path:
    """Record the first episodes of a seed of each task as one session; docs/recordings.md says what it holds.

    Each episode is a file of its own until all are there and are joined. The same call, after one that was killed,
    goes on from the episodes that are whole.

    Args:
        policy: a policy, or what `Policy.load` takes.
        output: .nwb; must not be there yet.
        tasks: tasks or their names (none: all that the policy was trained on).
        episodes: how many of each task.
        seed: of the worlds, and of the actions' noise if there is any.
        physics: a preset's name; only what is done under `paper` is science.
        sample: sample actions instead of taking their mean.
        steps: cut episodes after so many control steps.
        threads: worker threads, 0 for every core; nothing recorded depends on it.
        film: draw each episode, too, into the folder NAME_films beside the session.
        spikes: add synthetic spikes with this mean rate, Hz.
        untrained: let an untrained network of the policy's architecture act instead, with fresh weights of this seed.
        progress: called with the share that is done, 0 to 1.

    Raises:
        UsageError: whatever of these cannot be used; it is found out before anything is simulated.
    """
    _check(output, film, spikes)
    check_playing(episodes, seed, steps, threads)
    name = "policy" if isinstance(policy, Policy) else Path(policy).resolve().name
    actor = policy if isinstance(policy, Policy) else Policy.load(policy)
    if untrained is not None:
        name, actor = f"{name}-untrained-{untrained}", actor.untrained(untrained)
    chosen = [make_task(task) if isinstance(task, str) else task for task in tasks or actor.tasks]
    if len({task.name for task in chosen}) < len(chosen):
        raise UsageError(f"each task can be recorded once: {', '.join(task.name for task in chosen)} repeats one")
    find_physics(physics)
    conditions = Conditions(seed, physics, not sample, steps)
    protocol = {
        "policy": {fact: told for fact, told in actor.describe().items() if fact not in _MEASURED},
        "weights_sha256": _digest(actor),
        "tasks": {task.name: to_plain(asdict(task)) for task in chosen},
        **asdict(conditions),
        **({"vision": describe_vision(sight)} if (sight := vision_settings(actor.sight)) else {}),
    }
    then = "give the same command again, which goes on from the episodes that are whole"
    with closing(Parts(output, protocol)) as parts, explain_disk_errors(f"record to {output}", then):
        try:
            for i, task in enumerate(chosen):
                play_and_record(actor, task, episodes, conditions, parts, threads, _share(progress, i, len(chosen)))
        except UsageError:
            parts.remove([])
            raise
        found = [(task, parts.find(task.name, k)) for task in chosen for k in range(episodes)]
        whole = [(task, part) for task, part in found if part is not None]
        films = [_film(task, part, output) for task, part in whole] if film else []
        about = About(name, actor.card(), protocol, _remarks(actor, whole, conditions))
        edges = skeleton(chosen[0].world(episode_rng(chosen[0], seed, 0)))
        joined = [part for _, part in whole]
        join(joined, about, output, films, edges, spikes)
        parts.remove(joined)
    return output


def _share(progress: Callable[[float], None], index: int, count: int) -> Callable[[float], None]:
    """The progress of one of several equal pieces of work."""
    return lambda share: progress((index + share) / count)


def _check(output: Path, film: bool, spikes: float | None) -> None:
    if output.suffix != ".nwb":
        raise UsageError(f"cannot record to {output}: its name must end with .nwb")
    if not output.parent.is_dir():
        raise UsageError(f"cannot record to {output}: there is no folder {output.parent}")
    if output.exists():
        raise UsageError(f"{output} is there already: remove it, or give another -o")
    if film and (films := _films(output)).exists() and not films.is_dir():
        raise UsageError(f"cannot film into {films}: it is a file; move it away, or give another -o")
    if spikes is not None and not 0 < spikes <= 1000:
        raise UsageError(f"the mean rate of spikes must be above 0 and at most 1000 Hz, not {spikes}")


def _remarks(policy: Policy, recorded: Sequence[tuple[Task, Part]], conditions: Conditions) -> list[str]:
    """What a reader of the session must know."""
    action = "Actions are the policy's means." if conditions.deterministic else "Actions are sampled."
    remarks = [f"Physics preset {conditions.physics}.", action]
    if "untrained_seed" in policy.facts:
        remarks.append(
            f"The network never learnt anything: fresh weights of seed {policy.facts['untrained_seed']}, the trained "
            "one's normalisation of the senses. Its values are those of an untrained critic."
        )
    if conditions.physics != "paper":
        remarks.append("Only behaviour under the preset paper is meant for science.")
    if policy.senses.privileged:
        remarks.append("The policy reads privileged senses, which no animal has: never analyse it as one.")
    if getattr(policy.settings, "symmetric", False):
        remarks.append("The network also looks at the mirror image of its senses; activations are of the plain view.")
    if told := policy.facts.get("learnt_to_tell"):
        remarks.append(f"The network also learnt to tell {told}: what it represents is not only what acting needs.")
    return remarks + _on_values(policy, recorded)


def _on_values(policy: Policy, recorded: Sequence[tuple[Task, Part]]) -> list[str]:
    """What the critic's values are of, and why there are none of a task."""
    tasks = dict.fromkeys(task.name for task, _ in recorded)
    valued = {task.name for task, part in recorded if any(series.name == "value" for series in part.series)}
    learnt = [task for task in tasks if policy.estimates(task)]
    remarks = []
    if policy.senses.critic_size:
        senses = ", ".join(name for name, _ in policy.senses.critic_senses)
        remarks.append(f"The critic also reads what no animal senses ({senses}), so that its layers are left out.")
    if deaf := [task for task in learnt if task not in valued]:
        why = "the task does not offer what the critic reads"
        remarks.append(f"Value and prediction error are left out in {', '.join(deaf)}: {why}.")
    if strange := [task for task in tasks if task not in learnt]:
        remarks.append(f"Value and prediction error are left out in {', '.join(strange)}: the critic never learnt it.")
    read = [estimates for task in tasks if task in valued and (estimates := policy.estimates(task))]
    if any(estimates.discount is None for estimates in read):
        remarks.append("The prediction error is left out: the policy's card does not tell discount and reward scale.")
    if any(estimates.normalised for estimates in read):
        remarks.append("Values are denormalised, task by task: they are discounted sums of the task's own rewards.")
    return remarks


def _film(task: Task, part: Part, output: Path) -> Path:
    folder = _films(output)
    folder.mkdir(exist_ok=True)
    path = folder / f"{task.name}-{part.facts.episode:06d}.mp4"
    states = {each.name: part.read(each.name) for each in part.series if each.of_states}
    film_episode(task, part.facts.seed, part.facts.episode, states, path)
    return path


def _films(output: Path) -> Path:
    """The folder of a session's films."""
    return output.with_name(f"{output.stem}_films")


def _digest(policy: Policy) -> str:
    """SHA-256 of the network's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(policy.agent.state_dict().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()
