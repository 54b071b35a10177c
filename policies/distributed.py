"""One training run by several processes, or by one: which environments are whose, and what they tell each other.

`torchrun` starts the processes, called ranks. All hold the same weights and draw the same random numbers. Each steps
its share of the environments and learns from it, so that together they do what one process with all environments does,
up to the order in which floating-point numbers are added. The first rank alone reads and writes files.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rodent.errors import UsageError

T = TypeVar("T")
Number = TypeVar("Number", float, Tensor)


@dataclass(frozen=True)
class Share:
    """The environments of a run that one rank owns: from `start` on, but not `stop`, of `total`."""

    start: int
    stop: int
    total: int

    @property
    def size(self) -> int:
        """How many they are."""
        return self.stop - self.start

    def of(self, everyone: Sequence[T]) -> Sequence[T]:
        """Their entries of a sequence with one for each environment of the run."""
        return everyone[self.start : self.stop]

    def noise(self, size: int, generator: torch.Generator) -> Tensor:
        """Standard normal numbers (envs, size) for each of them.

        All of the run's are drawn, so that what an environment gets does not depend on how many ranks there are.
        """
        return torch.randn(self.total, size, generator=generator)[self.start : self.stop]

    def own(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Which of some (time x total) places are theirs.

        Args:
            index: (n,) places in flat tensors of all environments, (time, total) or (total,).

        Returns:
            Where their places stand in `index`, (m,), and what these are in flat tensors of their own, (time, size)
            or (size,): (m,).
        """
        if self.size == self.total:
            return torch.arange(len(index)), index
        time, env = index // self.total, index % self.total
        where = ((env >= self.start) & (env < self.stop)).nonzero().squeeze(1)
        return where, (time * self.size + env - self.start)[where]


class Ranks:
    """The processes of a run. This is one alone, which has nobody to tell; `ManyRanks` are several.

    A *part* is what this rank adds to a number of all ranks: the parts of all sum to it.
    """

    rank = 0
    count = 1

    @property
    def writes(self) -> bool:
        """Whether this is the rank that reads and writes files, evaluates, and talks to the user."""
        return self.rank == 0

    def share(self, envs: int) -> Share:
        """Which of so many environments this rank owns: rank r of N has r n to (r + 1) n, n = envs / N.

        Raises:
            UsageError: they do not divide by the ranks.
        """
        if envs % self.count:
            below = envs // self.count * self.count
            likely = f"{below} or {below + self.count}" if below else f"{self.count}"
            raise UsageError(f"{envs} environments do not divide by {self.count} ranks: give --envs {likely}, say")
        size = envs // self.count
        return Share(self.rank * size, (self.rank + 1) * size, envs)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of all ranks' values, any number of any shape: ()."""
        return values.mean()

    def var(self, values: Tensor) -> Tensor:
        """Their variance, with Bessel's correction: ()."""
        return values.var()

    def std(self, values: Tensor) -> Tensor:
        """Their standard deviation, with Bessel's correction: ()."""
        return values.std()

    def moments(self, values: Tensor) -> tuple[int, Tensor, Tensor]:
        """Of all ranks' rows (n, D) float64: how many, their mean (D,), and their variance (D,) without correction."""
        variance, mean = torch.var_mean(values, dim=0, correction=0)
        return len(values), mean, variance

    def part(self, common: Number) -> Number:
        """The part of this rank in a number that all ranks know."""
        return common

    def sum(self, part: Tensor) -> Tensor:
        """The sum of all ranks' parts, entry by entry, without gradient; the same on every rank to the bit."""
        return part

    def sum_gradients(self, parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
        """Make the gradients of parts of a loss the gradients of their sum, in place. Returns the sum, ()."""
        return loss.detach()

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank."""
        return flag

    def first(self, make: Callable[[], T]) -> T:
        """What the first rank makes, which it alone does, on every rank.

        Raises:
            UsageError: making it did; the other ranks end in silence.
        """
        return make()

    def deal(self, make: Callable[[], Sequence[T]]) -> T:
        """Like `first`, of one thing for each rank, which gets its own."""
        (own,) = make()
        return own

    def gather(self, own: T) -> list[T]:
        """Every rank's, in their order, on the first one; on the others their own alone."""
        return [own]

    def check_alike(self, state: Mapping[str, Tensor]) -> None:
        """Compare what must be the same on every rank.

        Raises:
            UsageError: it is not; on the first rank.
        """


ALONE = Ranks()


class ManyRanks(Ranks):
    """The ranks of torch's default process group. Every method is called by all of them, in the same order.

    Raises:
        UsageError: (any method) another rank has gone.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.count = dist.get_world_size()

    def mean(self, values: Tensor) -> Tensor:
        return self.moments(_column(values))[1].to(values.dtype).squeeze(0)

    def var(self, values: Tensor) -> Tensor:
        count, _, variance = self.moments(_column(values))
        return (variance * count / (count - 1)).to(values.dtype).squeeze(0)

    def std(self, values: Tensor) -> Tensor:
        return self.var(values.double()).sqrt().to(values.dtype)

    def moments(self, values: Tensor) -> tuple[int, Tensor, Tensor]:
        sums = self.sum(torch.cat([values.sum(0), values.new_tensor([len(values)])]))
        mean, count = sums[:-1] / sums[-1], int(sums[-1])
        return count, mean, self.sum((values - mean).square().sum(0)) / count

    def part(self, common: Number) -> Number:
        return common / self.count

    def sum(self, part: Tensor) -> Tensor:
        total = part.detach().clone()
        with self._contact():
            dist.all_reduce(total)
        return total

    def sum_gradients(self, parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        own = [loss.detach(), *gradients]
        total, *sums = self.sum(torch.cat([part.flatten() for part in own])).split([part.numel() for part in own])
        for gradient, summed in zip(gradients, sums, strict=True):
            gradient.copy_(summed.view_as(gradient))
        return total.view(())

    def any(self, flag: bool) -> bool:
        return bool(self.sum(torch.tensor(int(flag))))

    def first(self, make: Callable[[], T]) -> T:
        told: list[Any] = [self._make(make)]
        with self._contact():
            dist.broadcast_object_list(told)
        return told[0]

    def deal(self, make: Callable[[], Sequence[T]]) -> T:
        dealt: list[Any] = [None]
        made = self._make(make)
        with self._contact():
            dist.scatter_object_list(dealt, None if made is None else [*made])
        return dealt[0]

    def gather(self, own: T) -> list[T]:
        gathered: list[Any] = [None] * self.count
        with self._contact():
            dist.gather_object(own, gathered if self.writes else None)
        return gathered if self.writes else [own]

    def check_alike(self, state: Mapping[str, Tensor]) -> None:
        digest = hashlib.sha256()
        for value in state.values():
            digest.update(value.cpu().numpy().tobytes())
        if len(set(self.gather(digest.hexdigest()))) > 1:
            raise UsageError(
                "the ranks no longer have the same weights: run all of them on processors of one kind, "
                "and go on from the last checkpoint with --resume"
            )

    def _make(self, make: Callable[[], T]) -> T | None:
        """What is made, on the first rank; where that fails, every rank ends."""
        made: T | None = None
        error: UsageError | None = None
        if self.writes:
            try:
                made = make()
            except UsageError as caught:
                error = caught
        if self.any(error is not None):
            if error is not None:
                raise error
            sys.exit(2)
        return made

    @contextmanager
    def _contact(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            what = str(error).splitlines()[0].split("] ", 1)[-1].split(". ")[0]  # gloo: [file:line] what. And hints
            raise UsageError(
                f"rank {self.rank} has lost another rank ({what}): torchrun --max-restarts starts all of them again, "
                "and with --resume they go on from the last checkpoint"
            ) from None


def started_by_torchrun() -> bool:
    """Whether this process is one that `torchrun` started, and starts again if it fails."""
    return dist.is_available() and dist.is_torchelastic_launched()


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """The ranks that this process is one of: those of a process group that is there, or of `torchrun`; else it alone.

    Training is on processors, and gloo sends all of it. A CUDA device's tensors would be nccl's; there are none.
    """
    if not dist.is_available():
        yield ALONE
    elif dist.is_initialized():
        yield ManyRanks()
    elif not started_by_torchrun() or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
    else:
        cuda = torch.cuda.is_available() and dist.is_nccl_available()
        from torch.distributed.rendezvous import rendezvous  # not there in every build of torch

        store, rank, count = next(rendezvous("env://"))
        store = meet(store, rank, count)
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", store=store, rank=rank, world_size=count)
        try:
            yield ManyRanks()
        finally:
            dist.destroy_process_group()


def meet(store: dist.Store, rank: int, count: int, timeout: float = 300) -> dist.Store:
    """A part of a store that the ranks of this attempt share, and that those of earlier attempts have not written to.

    The store of `torchrun` outlives an attempt (pytorch/pytorch#135712). Ranks that are started again would find the
    addresses of the dead ones there, and either fail to connect or wait for them for ever. The number of restarts does
    not tell attempts apart, since each machine counts its own. So the first rank gives the attempt a name, and tells
    it to every rank that says a word nobody has said before.

    Args:
        store: what all ranks write to.
        rank: which one this is, from 0 on.
        count: how many there are.
        timeout: seconds for which the ranks wait for one another.

    Raises:
        UsageError: a rank did not come.
    """
    word, until = uuid.uuid4().hex, time.monotonic() + timeout

    def wait_for(others: str, arrived: Callable[[], bool]) -> None:
        while not arrived():
            if time.monotonic() > until:
                raise UsageError(f"rank {rank} waited {timeout:.0f} s for {others}: are all machines started?")
            time.sleep(0.02)

    def heard(key: str) -> str:
        return store.get(key).decode() if store.check([key]) else ""

    if rank:
        store.set(f"word/{rank}", word)
        wait_for("rank 0", lambda: store.check([f"attempt/{word}"]))
        attempt = heard(f"attempt/{word}")
        store.set(f"joined/{rank}", attempt)
        return dist.PrefixStore(attempt, store)

    def answer(other: int) -> bool:
        store.set(f"attempt/{heard(f'word/{other}')}", word)
        return heard(f"joined/{other}") == word

    for other in range(1, count):
        wait_for(f"rank {other}", partial(answer, other))
    return dist.PrefixStore(word, store)


def _column(values: Tensor) -> Tensor:
    return values.double().reshape(-1, 1)
