"""Schedules at work: a schedule that moves an optimizer's rate, and one that waits for the loss to stop falling."""

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlbook._checks import check_option, check_range, check_whole
from dlbook.schedules._elementwise import Rate, Schedule, check_callable


def as_scheduler(
    optimizer: Optimizer,
    schedule: Schedule | Sequence[Schedule],
    last_epoch: int = -1,
    momentum: Schedule | None = None,
) -> LRScheduler:
    """Let an optimizer follow a schedule: call ``step()`` on what you get after each step of the optimizer.

    Each parameter group's own rate, as it is now, is the base rate of its schedule.

    Args:
        optimizer: Any of torch's or of this book's.
        schedule: One for all parameter groups, or one for each.
        last_epoch: Steps already taken, less one; -1 at the start. With another number the groups must hold the
            ``initial_lr`` that a checkpoint brings.
        momentum: A schedule of momentum (Adam's first beta), the same for all groups; ``one_cycle_momentum`` is one.

    Returns:
        A scheduler like torch's own, so that ``training.fit`` takes it. Its ``state_dict`` holds the step and the base
        rates; the schedule is code, and you bring it again.

    Raises:
        TypeError: If the optimizer is none or a schedule cannot be called.
        ValueError: If the schedules are not one for each group, or the optimizer has no momentum to move.

    Example:
        >>> from dlbook.schedules import exponential
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
        >>> scheduler = as_scheduler(optimizer, exponential(0.5))
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]

    Source: torch's ``LambdaLR``. Chapter: schedules.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected a torch.optim.Optimizer; got {type(optimizer).__name__}")
    groups = optimizer.param_groups
    schedules = list(schedule) if isinstance(schedule, Sequence) else [schedule] * len(groups)
    if len(schedules) != len(groups):
        raise ValueError(f"schedule: expected {len(groups)}, one for each parameter group; got {len(schedules)}")
    for each in schedules:
        check_callable("schedule", each)
    if momentum is not None:
        check_callable("momentum", momentum)
        if not all("momentum" in group or "betas" in group for group in groups):
            raise ValueError(f"momentum: expected an optimizer that has it; got {type(optimizer).__name__}")
    return _Following(optimizer, schedules, momentum, last_epoch)


class _Following(LRScheduler):
    """What ``as_scheduler`` gives: torch's base class does the counting and sets the rates."""

    def __init__(
        self, optimizer: Optimizer, schedules: list[Schedule], momentum: Schedule | None, last_epoch: int
    ) -> None:
        self.schedules, self.momentum = schedules, momentum
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        return [schedule(self.last_epoch, lr) for schedule, lr in zip(self.schedules, self.base_lrs, strict=True)]

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        if self.momentum is not None:
            value = self.momentum(self.last_epoch)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (value, *group["betas"][1:])
                else:
                    group["momentum"] = value

    def state_dict(self) -> dict[str, Any]:
        return {name: value for name, value in super().state_dict().items() if name not in ("schedules", "momentum")}


class ReduceOnPlateau(LRScheduler):
    r"""Lowers the rate when a measure has stopped getting better: the one schedule that watches the training.

    The measure m, seen once an epoch, is better than the best so far, b, if

    .. math:: m < b\,(1 - \theta) \quad\text{(rel)} \qquad\text{or}\qquad m < b - \theta \quad\text{(abs)}

    and the other way round with ``mode="max"``. After more than ``patience`` epochs in a row without a better one, each
    rate is multiplied by ``factor``.

    Args:
        optimizer: Any of torch's or of this book's.
        mode: ``"min"`` where lower is better, as for a loss; ``"max"`` where higher is, as for an accuracy.
        factor: By which the rate is multiplied; below 1.
        patience: How many epochs without a better measure are put up with.
        threshold: By how much a better measure must be better, θ.
        threshold_mode: ``"rel"`` for a share of the best measure, ``"abs"`` for the measure's own unit.
        cooldown: Epochs after a change that are not counted.
        min_lr: Lowest rate; one for all parameter groups, or one for each.
        eps: A change smaller than this is not made.

    Attributes:
        best: Best measure so far.
        num_bad_epochs: Epochs in a row without a better one.
        cooldown_counter: Epochs of the cooldown that are left.

    Raises:
        TypeError: If the optimizer is none.
        ValueError: If a number is out of range, a mode unknown, or ``min_lr`` has not one rate for each group.

    Example:
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
        >>> scheduler = ReduceOnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in (3.0, 2.0, 2.5, 2.1, 2.2):
        ...     scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.05]

    Source: torch's ``ReduceLROnPlateau``. Chapter: schedules.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        # torch's base class would take a first step here; this schedule has nothing to go by yet
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer: expected a torch.optim.Optimizer; got {type(optimizer).__name__}")
        check_option("mode", mode, ("min", "max"))
        check_option("threshold_mode", threshold_mode, ("rel", "abs"))
        check_range("factor", factor, 0, 1, open_high=True)
        check_whole("patience", patience)
        check_whole("cooldown", cooldown)
        check_range("eps", eps, 0)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lr, self.eps = min_lr, eps
        self._lowest()
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = self._rates()

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]
        """Take note of an epoch's measure, and lower the rate if it is time to."""
        self.last_epoch += 1
        measure = float(metrics)
        if self._better(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:  # so is NaN
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _better(self, measure: float) -> bool:
        share, margin = (self.threshold, 0.0) if self.threshold_mode == "rel" else (0.0, self.threshold)
        if self.mode == "min":
            return measure < self.best * (1 - share) - margin
        return measure > self.best * (1 + share) + margin

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self._lowest(), strict=True):
            lr = float(group["lr"])
            lower = max(lr * self.factor, lowest)
            if lr - lower > self.eps:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(lower)
                else:
                    group["lr"] = lower

    def _lowest(self) -> Sequence[float]:
        """The lowest rate of each group; groups may have been added since the last time."""
        groups = len(self.optimizer.param_groups)
        lowest = list(self.min_lr) if isinstance(self.min_lr, Sequence) else [self.min_lr] * groups
        if len(lowest) != groups:
            raise ValueError(f"min_lr: expected {groups}, one for each parameter group; got {len(lowest)}")
        return lowest

    def _rates(self) -> list[Rate]:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return [lr.clone() if isinstance(lr, torch.Tensor) else lr for lr in rates]
