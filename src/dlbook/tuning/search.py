"""Three ways to search a space: every point of a grid, points at random, points near those that did well."""

import contextlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from dlbook._checks import check_option, check_range, check_whole
from dlbook._progress import progress_bar
from dlbook.tuning.space import Choice, Range, read_space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler

Params = dict[str, Any]
DIRECTIONS = ("minimize", "maximize")
Failures = type[Exception] | tuple[type[Exception], ...]


class Trial(NamedTuple):
    """One set of parameters, what it was worth (NaN if it failed), and the budget spent on it, if there was one."""

    params: Params
    value: float
    budget: float | None = None


@dataclass(frozen=True, repr=False)
class Search:
    """What a search has found.

    Attributes:
        trials: All trials, in the order in which they were asked for.
        direction: ``"minimize"`` or ``"maximize"``.
        study: Optuna's record of the search, for its plots and importances. Where a value was chosen from a list it
            holds the value's place in the list.

    Source: Akiba et al. (2019), "Optuna". Chapter: tuning.
    """

    trials: tuple[Trial, ...]
    direction: str
    study: "Study"

    def __post_init__(self) -> None:
        check_option("direction", self.direction, DIRECTIONS)

    @property
    def params(self) -> list[Params]:
        """The parameters of all trials."""
        return [trial.params for trial in self.trials]

    @property
    def values(self) -> list[float]:
        """The values of all trials; NaN for those that failed."""
        return [trial.value for trial in self.trials]

    @property
    def best(self) -> Trial:
        """The first of the best trials.

        Raises:
            ValueError: If all trials failed.
        """
        found = [trial for trial in self.trials if not math.isnan(trial.value)]
        if not found:
            raise ValueError(f"expected one trial or more with a value; all {len(self.trials)} failed")
        return (min if self.direction == "minimize" else max)(found, key=lambda trial: trial.value)

    @property
    def best_params(self) -> Params:
        """The parameters of the best trial."""
        return self.best.params

    @property
    def best_value(self) -> float:
        """The value of the best trial."""
        return self.best.value

    @property
    def best_so_far(self) -> list[float]:
        """The best value up to and including each trial; NaN until one has succeeded."""
        better = min if self.direction == "minimize" else max

        def best(so_far: float, value: float) -> float:
            return so_far if math.isnan(value) else value if math.isnan(so_far) else better(so_far, value)

        return list(itertools.accumulate(self.values, best))

    def __repr__(self) -> str:
        failed = sum(map(math.isnan, self.values))
        found = "" if failed == len(self.trials) else f", best value {self.best_value:.4g} with {self.best_params}"
        return f"Search({len(self.trials)} trials{f', {failed} failed' * bool(failed)}{found})"


def grid(
    objective: Callable[..., Any],
    space: Mapping[str, Any],
    *,
    direction: str = "minimize",
    batch: int | None = None,
    catch: Failures = ArithmeticError,
) -> Search:
    """Try every combination of the values listed: thorough in each, and wasteful when few of them matter.

    Args:
        objective: Function of a dict of parameters, returning what it is worth, a number.
        space: For each parameter a list of values, or ``integers``.
        direction: Whether low values are good (``"minimize"``) or high ones (``"maximize"``).
        batch: If given, the objective gets a list of up to so many dicts and returns as many values.
        catch: Errors that make a trial fail instead of ending the search, ``training.Diverged`` among them. In a batch
            they make all its trials fail. A value that is NaN is a failure too.

    Returns:
        All combinations, the last parameter changing fastest, and the best of them.

    Raises:
        ValueError: If an argument is out of range, or a range has no list of values.
        TypeError: If an entry of the space is nothing that can be searched.

    Example:
        >>> found = grid(lambda p: (p["x"] - 1) ** 2 + p["y"], {"x": [0, 1, 2], "y": [3, 5]})
        >>> found.best_params, found.values
        ({'x': 1, 'y': 3}, [4.0, 6.0, 3.0, 5.0, 4.0, 6.0])

    Source: Bergstra and Bengio (2012). Chapter: tuning.
    """
    from optuna.samplers import RandomSampler

    asking = Asking(space, direction, RandomSampler(seed=0))
    every = []
    for name, entry in asking.space.items():
        try:
            every.append(entry.all())
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    points = list(itertools.product(*every))
    asking.queue([dict(zip(asking.space, point, strict=True)) for point in points])
    return asking.search(objective, len(points), batch, catch)


def random_search(
    objective: Callable[..., Any],
    space: Mapping[str, Any],
    *,
    trials: int = 32,
    seed: int | None = None,
    direction: str = "minimize",
    batch: int | None = None,
    catch: Failures = ArithmeticError,
) -> Search:
    """Try points drawn at random: of the parameters that matter, every trial tries another value.

    Args:
        objective: Function of a dict of parameters, returning what it is worth, a number.
        space: For each parameter a list, a pair ``(low, high)``, or what ``uniform``, ``log_uniform``, ``integers`` or
            ``choice`` makes.
        trials: How many points.
        seed: What settles the points; drawn from torch's global generator if not given.
        direction: Whether low values are good (``"minimize"``) or high ones (``"maximize"``).
        batch: If given, the objective gets a list of up to so many dicts and returns as many values.
        catch: Errors that make a trial fail instead of ending the search; see :func:`grid`.

    Returns:
        All trials and the best of them. The points do not depend on ``batch``.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an entry of the space is nothing that can be searched.

    Example:
        >>> found = random_search(lambda p: abs(p["x"] - 1), {"x": (0.0, 3.0)}, trials=100, seed=0)
        >>> found.best_value < 0.1
        True

    Source: Bergstra and Bengio (2012), "Random Search for Hyper-Parameter Optimization". Chapter: tuning.
    """
    from optuna.samplers import RandomSampler

    return Asking(space, direction, RandomSampler(seed=settled(seed))).search(objective, trials, batch, catch)


def bayesian(
    objective: Callable[..., Any],
    space: Mapping[str, Any],
    *,
    trials: int = 32,
    seed: int | None = None,
    startup: int = 10,
    direction: str = "minimize",
    batch: int | None = None,
    catch: Failures = ArithmeticError,
) -> Search:
    r"""Try points where a model of the trials so far expects good values: Optuna's tree-structured Parzen estimator.

    It splits the trials into the good and the rest, estimates where in the space either kind lies, :math:`\ell(x)` and
    :math:`g(x)`, and tries the point with the largest :math:`\ell(x) / g(x)` of some drawn from :math:`\ell`. Points of
    one batch are kept apart by taking those that are still being tried for bad ones.

    Args:
        objective: Function of a dict of parameters, returning what it is worth, a number.
        space: For each parameter a list, a pair ``(low, high)``, or what ``uniform``, ``log_uniform``, ``integers`` or
            ``choice`` makes.
        trials: How many points.
        seed: What settles the points; drawn from torch's global generator if not given.
        startup: How many points are drawn at random before the model is asked.
        direction: Whether low values are good (``"minimize"``) or high ones (``"maximize"``).
        batch: If given, the objective gets a list of up to so many dicts and returns as many values. The model learns
            from a batch when all of it is done, so small batches search better.
        catch: Errors that make a trial fail instead of ending the search; see :func:`grid`.

    Returns:
        All trials and the best of them.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an entry of the space is nothing that can be searched.

    Example:
        >>> found = bayesian(lambda p: (p["x"] - 1) ** 2, {"x": (-100.0, 100.0)}, trials=60, seed=0)
        >>> abs(found.best_params["x"] - 1) < 5
        True

    Source: Bergstra et al. (2011), "Algorithms for Hyper-Parameter Optimization". Chapter: tuning.
    """
    from optuna.samplers import TPESampler

    check_whole("startup", startup, 1)
    with quiet():
        # All parameters as one point, rather than each for itself.
        sampler = TPESampler(n_startup_trials=startup, multivariate=True, constant_liar=True, seed=settled(seed))
    return Asking(space, direction, sampler).search(objective, trials, batch, catch)


class Asking:
    """Optuna asked for points and told their values, one batch after the other."""

    def __init__(self, space: Mapping[str, Any], direction: str, sampler: "BaseSampler") -> None:
        import optuna

        check_option("direction", direction, DIRECTIONS)
        self.space: dict[str, Range | Choice] = read_space(space)
        self.distributions = {name: entry.distribution() for name, entry in self.space.items()}
        with quiet():
            self.study = optuna.create_study(direction=direction, sampler=sampler)  # type: ignore[arg-type]
        self.direction, self.trials = direction, list[Trial]()

    def queue(self, points: list[Params]) -> None:
        """Have these points asked for next, each as Optuna writes it."""
        for point in points:
            self.study.enqueue_trial(point)

    def search(self, objective: Callable[..., Any], trials: int, batch: int | None, catch: Failures) -> Search:
        """So many trials, a batch at a time."""
        check_callable("objective", objective)
        check_whole("trials", trials, 1)
        check_whole("batch", 1 if batch is None else batch, 1)
        one = batch is None
        bar = progress_bar(trials, "searching", unit="trial")
        try:
            while len(self.trials) < trials:
                count = min(batch or 1, trials - len(self.trials))
                self.round((lambda params: [objective(params[0])]) if one else objective, count, catch)
                bar.update(count)
        finally:
            bar.close()
        return self.found()

    def round(
        self, objective: Callable[..., Any], count: int, catch: Failures, budget: float | None = None
    ) -> list[Params]:
        """So many trials at once; returns their points as Optuna writes them."""
        from optuna.trial import TrialState

        asked = [self.study.ask(self.distributions) for _ in range(count)]
        points = [trial.params for trial in asked]
        params = [{name: entry.value(point[name]) for name, entry in self.space.items()} for point in points]
        try:
            # The objective may change what it is given; the record stays.
            values = _numbers(objective([dict(each) for each in params]), count)
        except catch:
            values = [math.nan] * count
        for trial, value in zip(asked, values, strict=True):
            failed = math.isnan(value)
            self.study.tell(trial, None if failed else value, TrialState.FAIL if failed else None)
        self.trials += [Trial(each, value, budget) for each, value in zip(params, values, strict=True)]
        return points

    def found(self) -> Search:
        """What there is so far."""
        return Search(tuple(self.trials), self.direction, self.study)


def check_callable(name: str, value: object) -> None:
    """Raise ``TypeError`` unless ``value`` can be called."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function; got {type(value).__name__}")


def _numbers(values: Any, count: int) -> list[float]:
    """As many plain numbers as there were sets of parameters."""
    try:
        numbers = [float(value) for value in values]
    except TypeError as error:
        what = type(values[0] if isinstance(values, list) else values).__name__
        raise TypeError(f"objective: expected a number, or with batch a list of them; got {what}") from error
    if len(numbers) != count:
        raise ValueError(f"objective: expected {count} values, one for each dict; got {len(numbers)}")
    return numbers


def settled(seed: int | None) -> int:
    """The seed, or one that torch's global generator settles."""
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    check_whole("seed", seed)
    check_range("seed", seed, 0, 2**32 - 1)
    return seed


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's own messages off the page: what it logs, and that some of its options are experimental."""
    from optuna import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
