"""Policies as files: published, found by name, and acting from ten lines of Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from policies.agent import Agent, AgentState
from policies.card import write_card
from policies.estimates import Estimates
from policies.observation import ObservationSpec
from policies.plain import build, to_plain
from policies.probe import NOTHING, Probe
from policies.registry import find_agent, make_agent_for
from policies.storage import DamagedFileError, read_tensors, remove_leftovers, write_atomically, write_tensors
from rodent.errors import UsageError
from rodent.seeds import check_seed
from rodent.vision import VisionSettings, training_vision

WEIGHTS_FILE = "policy.safetensors"
DESCRIPTION_FILE = "policy.json"
CARD_FILE = "README.md"
_FORMAT = 1
_SIGHT = {"picture_every": 1, "antialias": False, "shadows": False}  # how it sees, and how if it does not tell
# What an untrained network shares with the trained one, of what its card tells: the rest is of training.
_KEPT = ("tasks", "privileged", *_SIGHT, "discount", "reward_scale", "value_mean", "value_std")


@dataclass
class Policy:
    """A network that acts, and what is known about it.

    >>> policy = Policy.load("run")                                              # doctest: +SKIP
    >>> env = gymnasium.make_vec("rodent/Run-v0", num_envs=4)                    # doctest: +SKIP
    >>> observation, _ = env.reset(seed=0)                                       # doctest: +SKIP
    >>> state = None                                                             # doctest: +SKIP
    >>> for _ in range(100):                                                     # doctest: +SKIP
    ...     action, state = policy.act(observation, state)
    ...     observation, reward, terminated, truncated, info = env.step(action)
    """

    agent: Agent
    settings: Any
    """The agent's settings, an instance of its `settings_type`."""
    senses: ObservationSpec
    action_names: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    """What the card tells: tasks, physics, seed, steps, evaluations, ... (JSON-compatible)."""

    @property
    def tasks(self) -> list[str]:
        """The tasks that it was trained on.

        Raises:
            UsageError: the policy does not say.
        """
        tasks = self.facts.get("tasks")
        if not (isinstance(tasks, list) and tasks and all(isinstance(task, str) for task in tasks)):
            raise UsageError("the policy does not say what task it is for: give --task")
        return list(tasks)

    @property
    def task(self) -> str:
        """The first of its tasks; see `tasks`."""
        return self.tasks[0]

    @property
    def sight(self) -> bool | VisionSettings:
        """What an environment that it acts in is to be told of vision: that there be none, or how it looks."""
        every, *as_in_dm_control = (self.facts.get(name, default) for name, default in _SIGHT.items())
        return self.senses.sees and training_vision(every, *as_in_dm_control)

    def estimates(self, task: str) -> Estimates | None:
        """How its critic, given all that it reads, is read about a task; None where it has no estimate of it."""
        return Estimates.of(self.facts, task, self.agent.tasks)

    def initial(self, batch: int) -> AgentState:
        """Hidden state at the start of `batch` episodes."""
        return self.agent.initial(batch)

    @torch.inference_mode()
    def act(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: AgentState | None = None,
        *,
        deterministic: bool = True,
        generator: torch.Generator | None = None,
        probe: Probe = NOTHING,
    ) -> tuple[NDArray[np.float32], AgentState]:
        """Choose actions.

        Args:
            observation: senses by name, (n, d) each, and the picture of a policy that sees.
            state: hidden state, as the last call returned it; None at the start of episodes.
            deterministic: take the mean action; else sample.
            generator: of the samples (None: torch's own).
            probe: is handed every named activation, which it may change; see `policies.probe.Experiment`.

        Returns:
            Actions (n, A), clipped to [-1, 1], and the hidden state to pass in the next step.

        Raises:
            UsageError: a sense is missing or has another size; or the policy sees and there is no picture.
        """
        flat = self.senses.flatten(observation)
        state = self.initial(len(flat)) if state is None else state
        output, state = self.agent.step(flat, state, self.senses.look(observation), probe)
        action = output.mean if deterministic else output.sample(generator or torch.default_generator)
        return self.agent.controls(output, action).numpy(), state

    def untrained(self, seed: int) -> Policy:
        """The same architecture with fresh weights; what it senses is normalised and mirrored as before.

        Its values are read as the trained critic's, in the same unit, though it never learnt any.

        Args:
            seed: of the weights.

        Raises:
            UsageError: it is no seed, or a part of the network is a policy that was trained before it.
        """
        check_seed(seed, "the seed of an untrained network")
        agent = untrained_agent(
            self.senses, self.agent.name, len(self.action_names), self.settings, self.agent.tasks, seed
        )
        agent.load_state_dict(dict(self.agent.named_buffers()), strict=False)
        facts = {name: self.facts[name] for name in _KEPT if name in self.facts} | {"untrained_seed": seed}
        return Policy(agent.eval().requires_grad_(False), self.settings, self.senses, self.action_names, facts)

    def save(self, folder: Path | str) -> None:
        """Write `policy.safetensors`, `policy.json` and the card, each atomically.

        Raises:
            OSError: they could not be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().numpy() for name, value in self.agent.state_dict().items()}
        remove_leftovers(folder)
        write_tensors(folder / WEIGHTS_FILE, weights, {"format": _FORMAT, "agent": self.agent.name})
        write_atomically(folder / DESCRIPTION_FILE, json.dumps(self.describe(), indent=2) + "\n")
        write_atomically(folder / CARD_FILE, self.card())

    def describe(self) -> dict[str, Any]:
        """What `policy.json` holds."""
        return {
            "format": _FORMAT,
            "agent": self.agent.name,
            "settings": to_plain(asdict(self.settings)),
            **self.senses.to_json(),
            **({"values": self.agent.tasks} if self.agent.tasks > 1 else {}),
            "actions": list(self.action_names),
            "privileged": False,
            "mujoco": mujoco.__version__,
            **self.facts,
        }

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell this network's numbers from any other's."""
        weights = self.agent.state_dict()
        return hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()[:16]

    def card(self) -> str:
        """The model card, as Markdown."""
        frozen = sum(each.numel() for part in self.agent.PARTS for each in getattr(self.agent, part).parameters())
        parameters = sum(each.numel() for each in self.agent.parameters())
        return write_card(self.describe(), parameters, parameters - frozen)

    @classmethod
    def load(cls, policy: Path | str) -> Policy:
        """Load a policy folder, a run folder's policy, or a shipped policy by name. Nothing is unpickled.

        Raises:
            UsageError: there is none, or it is damaged, or of a format that this version does not know.
        """
        folder = find_policy(policy)
        description = _read_description(folder / DESCRIPTION_FILE)
        try:
            senses = ObservationSpec.from_json(
                description["senses"], description.get("critic_senses", ()), description.get("picture")
            )
            names = tuple(str(name) for name in description["actions"])
            settings = build(find_agent(description["agent"]).settings_type, description["settings"], "settings")
            values = int(description.get("values", 1))
            agent = make_agent_for(senses, description["agent"], len(names), settings, values)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DamagedFileError(f"{folder / DESCRIPTION_FILE} is damaged: {_reason(error)}") from None
        weights, _ = read_tensors(folder / WEIGHTS_FILE)
        try:
            agent.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        except RuntimeError:
            raise DamagedFileError(
                f"{folder / WEIGHTS_FILE} does not hold the network that policy.json describes"
            ) from None
        own = {"format", "agent", "settings", "senses", "critic_senses", "picture", "values", "actions"}
        facts = {name: value for name, value in description.items() if name not in own}
        loaded = cls(agent.eval().requires_grad_(False), settings, senses, names, facts)
        try:  # what it tells of itself now, rather than when an hour has been recorded
            loaded.card()
            for task in facts.get("tasks", []):
                loaded.estimates(task)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DamagedFileError(f"{folder / DESCRIPTION_FILE} is damaged: {_reason(error)}") from None
        return loaded


def untrained_agent(
    senses: ObservationSpec, name: str, action_size: int, settings: Any, tasks: int, seed: int
) -> Agent:
    """An agent with fresh weights of a seed; see `make_agent_for`.

    Raises:
        UsageError: a part of such an agent is a policy that was trained before it.
    """
    if parts := find_agent(name).PARTS:
        raise UsageError(
            f"agent {name} is built on a trained {' and '.join(parts)}, without which it is another architecture: "
            f"give the policy that its {parts[0]} was made of"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_agent_for(senses, name, action_size, settings, tasks)


def find_policy(policy: Path | str) -> Path:
    """The folder in which a policy lies: a policy folder, a run folder, or the name of a shipped policy.

    Raises:
        UsageError: there is none.
    """
    given = Path(policy)
    try:
        for folder in (given, given / "policy"):
            if (folder / DESCRIPTION_FILE).is_file():
                return folder
        runs = sorted(run.name for run in given.glob("seed-*"))
    except OSError as error:
        raise UsageError(f"cannot read a policy at {given}: {error.strerror}") from None
    if runs:
        raise UsageError(
            f"{given} holds runs of several seeds: name one of them, {', '.join(str(given / r) for r in runs)}"
        )
    shipped = shipped_policies()
    if str(policy) in shipped:
        return shipped[str(policy)]
    raise UsageError(
        f"no policy at {given}: give a policy folder (with {DESCRIPTION_FILE}), a run folder, "
        f"or the name of a shipped policy ({', '.join(shipped) or 'none is installed'})"
    )


def shipped_policies() -> dict[str, Path]:
    """Folders of the policies that come with this software, by name: from the wheel or from the source tree."""
    here = Path(__file__).parent
    found: dict[str, Path] = {}
    for home in (here / "shipped", here.parent / "assets" / "policies"):
        for description in sorted(home.glob(f"*/{DESCRIPTION_FILE}")):
            found.setdefault(description.parent.name, description.parent)
    return found


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged: {_reason(error)}") from None
    if not isinstance(description, dict):
        raise DamagedFileError(f"{path} is damaged: it holds no object")
    if description.get("format") != _FORMAT:
        raise UsageError(f"{path} has format {description.get('format')!r}; this version reads format {_FORMAT}")
    return description


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return (str(error) or type(error).__name__).splitlines()[0]
