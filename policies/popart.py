"""PopArt: values of any size are learnt at size one, and a change of scale changes no value."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policies.distributed import ALONE, Ranks
from policies.multitask import Tasks


class PopArt(nn.Module):
    """Running mean and standard deviation of returns, with the critic's last layer kept in step (Hessel et al. 2018).

    The critic says normalised values. Whenever the statistics move, its last layer is rescaled so that the values that
    it means stay what they were. A layer of several outputs has one a task, each with statistics of its own.

    Args:
        layer: the critic's last, changed in place.
        rate: share of the newest returns in the statistics, once there have been 1 / rate updates; a plain mean before.
        smallest: floor of the standard deviation.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, layer: nn.Linear, rate: float, smallest: float = 1e-4) -> None:
        super().__init__()
        self._layer = (layer,)  # the agent's, not this module's
        self.rate = rate
        self.smallest = smallest
        tasks = layer.out_features
        self.register_buffer("mean", torch.zeros(tasks))
        self.register_buffer("square", torch.ones(tasks))
        self.register_buffer("count", torch.zeros(tasks))

    @property
    def std(self) -> Tensor:
        """(tasks,)."""
        return (self.square - self.mean.square()).clamp(min=self.smallest**2).sqrt()

    def normalise(self, values: Tensor, task: int | Tensor = 0) -> Tensor:
        """What the critic should say for values (...) of a task, or of tasks (...) each."""
        return (values - self.mean[task]) / self.std[task]

    def denormalise(self, normalised: Tensor, task: int | Tensor = 0) -> Tensor:
        """The values (...) that the critic means, of a task or of tasks (...) each."""
        return normalised * self.std[task] + self.mean[task]

    def update_each(self, returns: Tensor, tasks: Tensor, ranks: Ranks = ALONE) -> None:
        """`update` each task by its own returns (time, envs), where `tasks` (envs,) says which they are."""
        for task in range(len(self.mean)):  # all of them: a rank may own no environments of a task
            self.update(returns[:, tasks == task], task, ranks)

    @torch.no_grad()
    def update(self, returns: Tensor, task: int = 0, ranks: Ranks = ALONE) -> None:
        """Move a task's statistics towards those of all ranks' returns (...), and its row of the layer with them."""
        mean, std = self.mean[task].clone(), self.std[task].clone()
        self.count[task] += 1
        rate = max(self.rate, 1 / float(self.count[task]))
        self.mean[task].lerp_(ranks.mean(returns), rate)
        self.square[task].lerp_(ranks.mean(returns.square()), rate)
        (layer,) = self._layer
        layer.weight[task] *= std / self.std[task]
        layer.bias[task] = (std * layer.bias[task] + mean - self.mean[task]) / self.std[task]

    def facts(self, scale: float = 1.0) -> dict[str, list[float]]:
        """What values mean, of each task: value x `value_std` + `value_mean` is the critic's estimate of the return.

        Args:
            scale: what rewards are multiplied by before anything else.
        """
        return {"value_mean": (self.mean / scale).tolist(), "value_std": (self.std / scale).tolist()}

    def figures(self, tasks: Tasks) -> dict[str, float]:
        """The statistics, for the log."""
        means, stds = self.mean.tolist(), self.std.tolist()
        return tasks.label([{"return_mean": m, "return_std": s} for m, s in zip(means, stds, strict=True)])
