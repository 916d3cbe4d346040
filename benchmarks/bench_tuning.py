"""The searches beside plain Optuna: what they add to a trial whose objective costs nothing."""

from collections.abc import Callable

import optuna
import torch
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from timing import Case

from dlbook import tuning
from dlbook.tuning.search import quiet

SPACE = {"lr": tuning.log_uniform(1e-4, 1.0), "width": tuning.integers(8, 128), "rule": ["sgd", "adam"]}


def worth(params: dict) -> float:
    return params["lr"] * params["width"]


def plain(sampler: Callable[[], BaseSampler], trials: int) -> Callable[[], None]:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical("rule", ["sgd", "adam"])
        return trial.suggest_float("lr", 1e-4, 1.0, log=True) * trial.suggest_int("width", 8, 128)

    def run() -> None:
        with quiet():
            optuna.create_study(sampler=sampler()).optimize(objective, n_trials=trials)

    return run


def parzen() -> TPESampler:
    with quiet():
        return TPESampler(seed=0, multivariate=True, constant_liar=True)


def cases(device: torch.device) -> list[Case]:
    draw = lambda: tuning.random_search(worth, SPACE, trials=100, seed=0)  # noqa: E731
    at_once = lambda: tuning.random_search(  # noqa: E731
        lambda several: list(map(worth, several)), SPACE, trials=100, seed=0, batch=50
    )
    model = lambda: tuning.bayesian(worth, SPACE, trials=50, seed=0)  # noqa: E731
    random, bayes = plain(lambda: RandomSampler(seed=0), 100), plain(parzen, 50)
    return [
        Case("random_search", "100 trials", draw, random, peer_name="optuna", limit=2.0),
        Case("random_search", "100 trials in batches of 50", at_once, random, peer_name="optuna", limit=2.0),
        Case("bayesian", "50 trials", model, bayes, peer_name="optuna", limit=2.0),
    ]
