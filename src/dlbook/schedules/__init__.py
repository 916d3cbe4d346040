"""Schedules: the learning rate as a function of the step.

A schedule is a function ``schedule(step, lr=1.0)``: the rate for step number ``step``, from 0, where ``lr`` is the base
rate, the one that the optimizer was made with. A schedule is told the base because not every rate is a multiple of it:
``eta_min`` and ``max_lr`` stand for themselves, as in torch. Without ``lr`` it shows its bare shape. The step may be a
number or a tensor of numbers, so that ten thousand steps are one call and one curve.

``cosine``, ``step``, ``warmup`` and the others make schedules, with the arguments of the classes in
``torch.optim.lr_scheduler`` and the same rates. ``as_scheduler`` lets an optimizer follow one. ``ReduceOnPlateau`` is
no function of the step: it watches the loss. ``range_test`` finds the base rate.
"""

from dlbook.schedules._elementwise import Schedule
from dlbook.schedules.decay import (
    constant,
    exponential,
    inverse_time,
    lambda_,
    linear,
    multi_step,
    natural_exponential,
    piecewise_constant,
    polynomial,
    step,
)
from dlbook.schedules.probing import range_test
from dlbook.schedules.scheduler import ReduceOnPlateau, as_scheduler
from dlbook.schedules.waves import cosine, cosine_restarts, noam, one_cycle, one_cycle_momentum, warmup

__all__ = [
    "ReduceOnPlateau",
    "Schedule",
    "as_scheduler",
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "inverse_time",
    "lambda_",
    "linear",
    "multi_step",
    "natural_exponential",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "piecewise_constant",
    "polynomial",
    "range_test",
    "step",
    "warmup",
]
