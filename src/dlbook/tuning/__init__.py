"""Tuning: choosing the numbers that training does not learn.

A *hyperparameter* is set before training and judged after it, on examples that the network was not trained on. To tune
is to try values and keep the best, and the question is which to try: every combination of a few (``grid``), points
drawn at random (``random_search``), or points near those that did well (``bayesian``); and whether to train them all to
the end or only those that start well (``successive_halving``). All take an objective, a function from parameters to a
number, and a space to search, and give back a ``Search``. With ``batch`` an objective gets several sets of parameters
at once, and ``training.fit_many`` trains them as one. Optuna does the asking, and keeps the record.
"""

from dlbook.tuning.halving import successive_halving
from dlbook.tuning.search import Search, Trial, bayesian, grid, random_search
from dlbook.tuning.space import choice, integers, log_uniform, uniform

__all__ = [
    "Search",
    "Trial",
    "bayesian",
    "choice",
    "grid",
    "integers",
    "log_uniform",
    "random_search",
    "successive_halving",
    "uniform",
]
