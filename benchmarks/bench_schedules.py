"""Schedules beside torch's: a hundred steps of a scheduler over three parameter groups, and a curve of 10,000 steps."""

from collections.abc import Callable

import torch
from timing import Case
from torch.optim import Optimizer, lr_scheduler

from dlbook import schedules

FOREVER = 10**9
PAIRS = {
    "exponential": (schedules.exponential(0.999), lambda o: lr_scheduler.ExponentialLR(o, 0.999)),
    "multi_step": (schedules.multi_step([30, 60]), lambda o: lr_scheduler.MultiStepLR(o, [30, 60])),
    "cosine": (schedules.cosine(FOREVER), lambda o: lr_scheduler.CosineAnnealingLR(o, FOREVER)),
    "cosine_restarts": (
        schedules.cosine_restarts(100, 2),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 100, 2),
    ),
    "one_cycle": (
        schedules.one_cycle(0.1, FOREVER),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, FOREVER, cycle_momentum=False),
    ),
}


def optimizer() -> Optimizer:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.01, 0.001)]
    return torch.optim.SGD(groups)


def stepping(make: Callable[[Optimizer], lr_scheduler.LRScheduler], *measure: float) -> Callable[[], None]:
    """A hundred steps, so that the clock has something to measure."""
    moved = optimizer()
    scheduler = make(moved)
    moved.step()  # a scheduler that moves first warns

    def run() -> None:
        for _ in range(100):
            scheduler.step(*measure)

    return run


def curve() -> None:
    moved = optimizer()
    scheduler = lr_scheduler.CosineAnnealingLR(moved, 10_000)
    moved.step()
    rates = []
    for _ in range(10_000):
        rates.append(moved.param_groups[0]["lr"])
        scheduler.step()


def cases(device: torch.device) -> list[Case]:
    size = "100 steps, 3 groups"
    rows = [
        Case(name, size, stepping(lambda o, s=ours: schedules.as_scheduler(o, s)), stepping(peer))
        for name, (ours, peer) in PAIRS.items()
    ]
    ours, peer = stepping(schedules.ReduceOnPlateau, 1.0), stepping(lr_scheduler.ReduceLROnPlateau, 1.0)
    steps = torch.arange(10_000, device=device)
    return [
        *rows,
        Case("ReduceOnPlateau", size, ours, peer),
        Case("cosine", "10,000 steps drawn", lambda: schedules.cosine(10_000)(steps, 0.1), curve),
    ]
