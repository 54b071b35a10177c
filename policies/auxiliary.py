"""What a student learns besides its expert's actions: to tell what the expert senses and it does not."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from policies.agent import Agent, Output
from policies.distributed import ALONE, Ranks
from policies.multitask import ONE_TASK, Tasks
from policies.observation import Normaliser
from policies.rollout import Minibatch, Rollout

_VARIES = 1e-6  # variance


class PrivilegedReadouts(nn.Module):
    """Linear readouts of the privileged senses from an agent's features and from its policy's layers.

    Their errors shape the encoders, which the actions of an expert alone hardly do where little of what it does depends
    on what is seen. Nothing else reads the readouts, and no policy file holds them (auxiliary losses: Jaderberg et al.
    2017, "Reinforcement learning with unsupervised auxiliary tasks"; of what is privileged: Chen et al. 2020, "Learning
    by cheating").

    Args:
        agent: one with `READOUTS`, whose critic reads the privileged senses.
        tasks: of the run. A sense that a task does not have, or that never varies in it, is not asked for there.
        ranks: learn together.
    """

    def __init__(self, agent: Agent, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE) -> None:
        super().__init__()
        self._first = agent.observation_size
        self._ranks = ranks
        self.normalisers = nn.ModuleList(Normaliser(agent.critic_size) for _ in tasks.names)
        self.heads = nn.ModuleList(nn.Linear(size, agent.critic_size) for size in agent.readouts)
        for parameter in self.heads.parameters():
            nn.init.zeros_(parameter)  # the same on every rank

    def update(self, rollout: Rollout) -> None:
        """Learn of what size the privileged senses are in each task."""
        for task, normaliser in enumerate(self._of_tasks):
            normaliser.update(rollout.observations[:, rollout.tasks == task, self._first :], self._ranks)

    def errors(self, batch: Minibatch, output: Output) -> Tensor:
        """Mean square of what the readouts are off, in variances of the privileged senses' numbers, (time, batch).

        It is 1 on average of readouts that know nothing, and 0 in tasks without any.
        """
        senses = batch.observations[..., self._first :]
        told, varies = torch.zeros_like(senses), torch.zeros_like(senses)
        for task, normaliser in enumerate(self._of_tasks):
            mine = batch.tasks == task
            told[mine] = normaliser(senses[mine])
            varies[mine] = (normaliser.variance > _VARIES).to(varies.dtype)
        off = [(head(said) - told).square() for head, said in zip(self.heads, output.readouts, strict=True)]
        return (torch.stack(off).mean(0) * varies).sum(-1) / varies.sum(-1).clamp(min=1)

    @property
    def _of_tasks(self) -> list[Normaliser]:
        return cast(list[Normaliser], [*self.normalisers])
