"""What a sweep's step consists of: a batch for each network, a step of the optimizer for all, and a tally."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dlbook._checks import check_ndim, check_option, check_range, check_whole
from dlbook.optimizers._grid import RULES, defaults, grid_optimizer
from dlbook.training.loop import check_data
from dlbook.training.stack import Stack, Weights, per_network

Numbers = float | Sequence[float] | Tensor
Schedule = Callable[[int, float], float]


class Batches:
    """Mini-batches for each of so many networks, in each network's own order or in one for all."""

    def __init__(
        self,
        name: str,
        data: Sequence[Tensor],
        size: int,
        count: int,
        rows: Tensor | None,
        seeds: int | Sequence[int] | None = None,
        shuffled: bool = True,
    ) -> None:
        check_data(name, data)
        prefix = "" if name == "train" else f"{name}_"
        if rows is None:
            rows = torch.arange(len(data[-1]), device=data[-1].device)[None]
        else:
            check_ndim(f"{prefix}rows", rows, [2], f"({count}, examples)")
            if len(rows) != count or rows.shape[1] == 0:
                raise ValueError(f"{prefix}rows: expected shape ({count}, examples); got {tuple(rows.shape)}")
        self.data, self.size, self.count, self.rows = data, size, count, rows
        self.generators = _generators(seeds, count, data[-1].device) if shuffled else []

    def __len__(self) -> int:
        return math.ceil(self.rows.shape[1] / self.size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        """One epoch of batches, ``(count, batch, ...)``; what is one for all is stored once."""
        order = self.rows
        if self.generators:
            examples = order.shape[1]
            shuffles = [torch.randperm(examples, generator=g, device=g.device) for g in self.generators]
            several = max(len(order), len(shuffles))
            order = order.expand(several, -1).gather(1, torch.stack(shuffles).expand(several, -1))
        for rows in order.split(self.size, dim=1):
            picked = [tensor.index_select(0, rows.flatten()).unflatten(0, rows.shape) for tensor in self.data]
            yield [tensor.expand(self.count, *tensor.shape[1:]) for tensor in picked]


def _generators(seeds: int | Sequence[int] | None, count: int, device: torch.device) -> list[torch.Generator]:
    """One source of shuffles for all networks, or one for each, as ``fit`` makes its own."""
    if seeds is None:
        starts = [torch.randint(2**31, ())]
    else:
        several = [seeds] if isinstance(seeds, int) else list(seeds)
        if not isinstance(seeds, int) and len(several) != count:
            raise ValueError(f"seeds: expected one number, or {count}, one for each network; got {len(several)}")
        for seed in several:
            check_whole("seeds", seed)
            check_range("seeds", seed, 0, 2**32 - 1)
        starts = [torch.randint(2**31, (), generator=torch.Generator().manual_seed(int(seed))) for seed in several]
    return [torch.Generator(device).manual_seed(int(start)) for start in starts]


class Learner:
    """One of this book's optimizers, moving every network of a stack with numbers of its own."""

    def __init__(
        self,
        stack: Stack,
        optimizer: str,
        hyper: dict[str, Any],
        schedule: Schedule | Sequence[Schedule] | None,
        max_norm: Numbers | None,
        strength: Numbers,
    ) -> None:
        check_option("optimizer", optimizer, RULES)
        known, count = defaults(optimizer), len(stack)
        self.stack, self.points = stack, stack.points()
        grid = {name: _argument(name, value, known.get(name), count) for name, value in hyper.items()}
        self.rule = grid_optimizer(optimizer, self.points, grid)
        self.group = self.rule.param_groups[0]
        self.lr, self.steps = self.group["lr"], 0
        self.schedules = self._one_each(schedule) if schedule is not None else []
        self.strength = stack.numbers("strength", strength)
        self.max_norm = None if max_norm is None else stack.numbers("max_norm", max_norm)

    def step(self, results: Weights) -> None:
        """Move every network once, against the gradient of its own loss and penalty."""
        total = results["loss"]
        if "penalty" in results:
            total = total + self.strength * results["penalty"]
        # The sum's gradient is each network's own, for a network acts on its own loss alone.
        grads = torch.autograd.grad(total.sum(), list(self.stack.trained.values()), allow_unused=True)
        for point, grad in zip(self.points, grads, strict=True):
            point.grad = None if grad is None else grad.reshape(point.shape)
        if self.max_norm is not None:
            self._clip(self.max_norm)
        if self.schedules:
            self.group["lr"] = self._rate()
        self.rule.step()
        self.steps += 1

    def _clip(self, max_norm: Tensor) -> None:
        """Shorten each network's gradient to its greatest norm, as ``clip_grad_norm_`` does."""
        grads = [point.grad for point in self.points if point.grad is not None]
        norm = torch.stack([grad.square().sum(1) for grad in grads]).sum(0).sqrt()
        scale = (max_norm / (norm + 1e-6)).clamp(max=1)[:, None]
        for grad in grads:
            grad.mul_(scale)

    def _one_each(self, schedule: Schedule | Sequence[Schedule]) -> list[Schedule]:
        count = len(self.stack)
        if not callable(schedule) and len(schedule) != count:
            raise ValueError(f"schedule: expected one function, or {count}, one for each network; got {len(schedule)}")
        if not callable(schedule):
            return list(schedule)
        # One rate for all is computed once.
        return [schedule] * (count if isinstance(self.lr, Tensor) else 1)

    def _rate(self) -> Tensor:
        """Learning rates at this step, each network's schedule applied to its own."""
        rates = self.lr.flatten().tolist() if isinstance(self.lr, Tensor) else [self.lr] * len(self.schedules)
        now = [float(each(self.steps, lr)) for each, lr in zip(self.schedules, rates, strict=True)]
        return torch.tensor(now, dtype=torch.float64).to(self.points[0])[:, None]


def _argument(name: str, value: Any, default: Any, count: int) -> Any:
    """One of the optimizer's arguments, for all networks or one for each; a pair of such for ``betas``."""
    if not isinstance(default, tuple):
        return per_network(name, value, count)
    if not isinstance(value, (tuple, list)) or len(value) != len(default):
        raise ValueError(f"{name}: expected {len(default)} values, each a number or {count}; got {value!r}")
    return tuple(per_network(f"{name}[{i}]", each, count) for i, each in enumerate(value))


class Tally:
    """Losses and accuracies of the batches, kept on the device: a GPU is waited for once an epoch."""

    def __init__(self) -> None:
        self.results: list[Weights] = []
        self.sizes: list[int] = []

    def add(self, results: Weights, size: int) -> None:
        """Note one batch of so many examples."""
        self.results.append({name: value.detach() for name, value in results.items()})
        self.sizes.append(size)

    def column(self, name: str) -> Tensor:
        """One row for each batch, one column for each network."""
        return torch.stack([results[name] for results in self.results]).cpu().double()

    def means(self, prefix: str) -> dict[str, Tensor]:
        """Means over the examples, the last and smaller batch weighted as it should be."""
        weights = torch.tensor(self.sizes, dtype=torch.float64)[:, None] / sum(self.sizes)
        names = [name for name in ("loss", "accuracy") if name in self.results[0]]
        return {f"{prefix}_{name}": (weights * self.column(name)).sum(0) for name in names}
