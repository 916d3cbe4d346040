"""Successive halving: many short runs, and long ones only for those that start well."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlbook._checks import check_whole
from dlbook._progress import progress_bar
from dlbook.tuning.search import Asking, Params, Search, Trial, check_callable, settled


def successive_halving(
    train: Callable[[list[Params], int], Sequence[float]],
    space: Mapping[str, Any],
    *,
    trials: int = 27,
    budget: int = 1,
    reduction: int = 3,
    seed: int | None = None,
    direction: str = "minimize",
) -> Search:
    r"""Train many candidates a little, keep the best, train those longer, and so on until one is left.

    .. math:: n,\; \lceil n/\eta \rceil,\; \lceil n/\eta^2 \rceil,\; \dots,\; 1
        \quad\text{candidates get}\quad b,\; b\eta,\; b\eta^2,\; \dots \quad\text{each}

    Every rung costs about as much as the first, so that with 27 candidates and :math:`\eta = 3` the four rungs cost
    108 budgets where training all to the end would cost 729. What it bets on: that the ranking after a short training
    says something about the ranking at the end.

    Args:
        train: ``train(params, budget)``, from a list of dicts and a budget such as epochs to a value for each: trained
            to that budget, anew or on from where the last rung left them. NaN is a failure.
        space: As for ``random_search``, which the candidates come from.
        trials: Number of candidates :math:`n`.
        budget: What each candidate of the first rung gets, :math:`b`.
        reduction: The factor :math:`\eta`: one candidate in so many goes on, with so many times the budget.
        seed: What settles the candidates; drawn from torch's global generator if not given.
        direction: Whether low values are good (``"minimize"``) or high ones (``"maximize"``).

    Returns:
        All trials, rung after rung, with their budgets; the best of them, most often of the last rung.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an entry of the space is nothing that can be searched.

    Example:
        >>> found = successive_halving(lambda params, budget: [abs(p["x"]) + 1 / budget for p in params], {"x": (0, 9)},
        ...                            trials=9, seed=0)
        >>> [trial.budget for trial in found.trials]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 9]

    Source: Jamieson and Talwalkar (2016), "Non-stochastic Best Arm Identification". Chapter: tuning.
    """
    from optuna.samplers import RandomSampler

    check_callable("train", train)
    for name, value, low in (("trials", trials, 1), ("budget", budget, 1), ("reduction", reduction, 2)):
        check_whole(name, value, low)
    asking = Asking(space, direction, RandomSampler(seed=settled(seed)))
    counts = [trials]
    while counts[-1] > 1:
        counts.append(math.ceil(counts[-1] / reduction))
    bar = progress_bar(len(counts), "searching", unit="rung")
    try:
        for rung, count in enumerate(counts):
            spent = budget * reduction**rung
            points = asking.round(lambda params, spent=spent: train(params, spent), count, (), spent)
            asking.queue(
                [points[i] for i in _ranking(asking.trials[-count:], direction)[: math.ceil(count / reduction)]]
            )
            bar.update()
    finally:
        bar.close()
    return asking.found()


def _ranking(trials: Sequence[Trial], direction: str) -> list[int]:
    """The places of the trials from best to worst, those that failed last."""
    sign = 1 if direction == "minimize" else -1
    return sorted(range(len(trials)), key=lambda i: (math.isnan(trials[i].value), sign * trials[i].value))
