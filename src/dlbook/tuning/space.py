"""What a search may try: for each hyperparameter a range of numbers, or a list of values of any kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from dlbook._checks import check_range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest number.
        high: Largest number.
        log: Whether equal ratios are equally likely, and not equal differences.
        whole: Whether only whole numbers count.

    Source: Bergstra and Bengio (2012), section 2.2, for the logarithm. Chapter: tuning.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        check_range("low", self.low, 0 if self.log else -float("inf"), open_low=True)
        check_range("high", self.high, self.low, float("inf"), open_high=True)
        if self.whole and not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise TypeError(f"low, high: expected whole numbers; got {self.low!r}, {self.high!r}")

    def distribution(self) -> "BaseDistribution":
        """What Optuna draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        return (IntDistribution if self.whole else FloatDistribution)(self.low, self.high, log=self.log)  # type: ignore

    def value(self, drawn: Any) -> Any:
        """What the objective sees of what was drawn: the number itself."""
        return drawn

    def all(self) -> list[int]:
        """Every number that Optuna may draw, if that is a finite number of numbers.

        Raises:
            ValueError: If it is not.
        """
        if not self.whole:
            raise ValueError(f"expected a list of values for a grid; got every number from {self.low} to {self.high}")
        return list(range(int(self.low), int(self.high) + 1))


@dataclass(frozen=True)
class Choice:
    """One of several values, of any kind and in no order.

    Attributes:
        values: The values.

    Source: Bergstra et al. (2011), section 2. Chapter: tuning.
    """

    values: tuple

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values: expected one or more; got none")

    def distribution(self) -> "BaseDistribution":
        """What Optuna draws from: the values' places, for it takes numbers and texts only."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.all())

    def value(self, drawn: Any) -> Any:
        """The value at the place that was drawn."""
        return self.values[drawn]

    def all(self) -> list[int]:
        """Every place."""
        return list(range(len(self.values)))


def uniform(low: float, high: float) -> Range:
    """Any number between two; in a space, a pair ``(low, high)`` says the same.

    Args:
        low: Smallest number.
        high: Largest number.

    Raises:
        ValueError: If ``high`` is below ``low``, or one is infinite.

    Example:
        >>> uniform(0.0, 0.9)
        Range(low=0.0, high=0.9, log=False, whole=False)

    Source: Bergstra and Bengio (2012). Chapter: tuning.
    """
    return Range(low, high)


def log_uniform(low: float, high: float) -> Range:
    """Any number between two, each power of ten as likely as the next: right for learning rates.

    Args:
        low: Smallest number, above 0.
        high: Largest number.

    Raises:
        ValueError: If ``low`` is not above 0, ``high`` is below ``low``, or one is infinite.

    Example:
        >>> log_uniform(1e-4, 1e-1)
        Range(low=0.0001, high=0.1, log=True, whole=False)

    Source: Bergstra and Bengio (2012), section 2.2. Chapter: tuning.
    """
    return Range(low, high, log=True)


def integers(low: int, high: int, log: bool = False) -> Range:
    """Any whole number from ``low`` to ``high``, both included.

    Args:
        low: Smallest number.
        high: Largest number.
        log: Whether equal ratios are equally likely: right for widths and batch sizes.

    Raises:
        TypeError: If a bound is not whole.
        ValueError: If ``high`` is below ``low``, or ``low`` not above 0 with ``log``.

    Example:
        >>> integers(1, 3)
        Range(low=1, high=3, log=False, whole=True)

    Source: Bergstra and Bengio (2012). Chapter: tuning.
    """
    return Range(low, high, log, whole=True)


def choice(*values: Any) -> Choice:
    """One of several values of any kind; in a space, a list says the same.

    Args:
        *values: The values: numbers, names, functions, layers' widths.

    Raises:
        ValueError: If there are none.

    Example:
        >>> choice("relu", "tanh")
        Choice(values=('relu', 'tanh'))

    Source: Bergstra et al. (2011). Chapter: tuning.
    """
    return Choice(values)


def read_space(space: Mapping[str, Any]) -> dict[str, Range | Choice]:
    """A space as it is written, as a range or a choice for each name.

    Raises:
        ValueError: If the space is empty.
        TypeError: If it is no dict, or an entry is nothing that can be searched.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"space: expected a dict of what to try for each hyperparameter; got {type(space).__name__}")
    if not space:
        raise ValueError("space: expected one hyperparameter or more; got none")
    return {name: _read(name, entry) for name, entry in space.items()}


def _read(name: str, entry: Any) -> Range | Choice:
    if isinstance(entry, (Range, Choice)):
        return entry
    if isinstance(entry, tuple) and len(entry) == 2 and all(isinstance(end, Real) for end in entry):
        return uniform(*entry)
    if isinstance(entry, (Tensor, np.ndarray)):
        entry = entry.tolist()
    if isinstance(entry, (list, range)):
        return choice(*entry)
    raise TypeError(f"{name}: expected a list of values, a pair (low, high), or what uniform makes; got {entry!r}")
