"""Schedules that only ever go down, or that you write yourself: the base rate times a factor of the step."""

from collections.abc import Callable, Sequence

from dlbook._checks import check_range
from dlbook.schedules._elementwise import Rate, Schedule, Step, at_most, check_callable, exp, lookup, number


def lambda_(lr_lambda: Callable[[Step], Rate]) -> Schedule:
    r"""Any factor you like: the other schedules of this file are this one with a formula filled in.

    .. math:: \eta_t = \eta\,f(t)

    Args:
        lr_lambda: The factor as a function of the step. Arithmetic alone suits tensors of steps too; ``if`` does not.

    Returns:
        The schedule.

    Raises:
        TypeError: If ``lr_lambda`` cannot be called.

    Example:
        >>> schedule = lambda_(lambda step: 1 / (1 + step))
        >>> schedule(3), schedule(3, 0.1)
        (0.25, 0.025)

    Source: torch's ``LambdaLR``. Chapter: schedules.
    """
    check_callable("lr_lambda", lr_lambda)

    def schedule(step: Step, lr: Rate = 1.0) -> Rate:
        return lr * lr_lambda(number(step))

    return schedule


def constant(factor: float = 1.0, total_iters: int = 0) -> Schedule:
    r"""The base rate throughout; or a fraction of it for the first steps, all of it from then on.

    .. math:: \eta_t = \eta\cdot(c\text{ if } t < T\text{ else } 1)

    Args:
        factor: Fraction c for the first steps. (torch's class starts with a third for five steps unless told not to;
            this function leaves the rate alone.)
        total_iters: How many steps T those are.

    Returns:
        The schedule.

    Raises:
        ValueError: If a number is negative.

    Example:
        >>> [constant(0.5, 2)(step) for step in range(4)]
        [0.5, 0.5, 1.0, 1.0]

    Source: torch's ``ConstantLR``. Chapter: schedules.
    """
    check_range("factor", factor, 0)
    check_range("total_iters", total_iters, 0)
    return piecewise_constant([total_iters], [factor, 1.0])


def piecewise_constant(milestones: Sequence[int], factors: Sequence[float]) -> Schedule:
    """A staircase with steps of your choice: one factor up to each milestone, and one from the last on.

    Args:
        milestones: Steps at which the next factor begins, in increasing order.
        factors: One more than the milestones.

    Returns:
        The schedule.

    Raises:
        ValueError: If the milestones do not increase, or the factors are too few or too many.
        TypeError: If either is no list of numbers.

    Example:
        >>> schedule = piecewise_constant([2, 3], [1.0, 0.5, 0.1])
        >>> [schedule(step) for step in range(5)]
        [1.0, 1.0, 0.5, 0.1, 0.1]

    Source: Goodfellow et al. (2016), section 8.3.1. Chapter: schedules.
    """
    ordered, values = _numbers("milestones", milestones), _numbers("factors", factors)
    if sorted(set(ordered)) != ordered:
        raise ValueError(f"milestones: expected increasing steps; got {ordered}")
    if len(values) != len(ordered) + 1:
        raise ValueError(f"factors: expected {len(ordered) + 1}, one more than milestones; got {len(values)}")
    return lambda_(lambda step: lookup(step, ordered, values))


def step(step_size: int, gamma: float = 0.1) -> Schedule:
    r"""A staircase of equal steps: the rate shrinks by a factor every so often.

    .. math:: \eta_t = \eta\,\gamma^{\lfloor t / s \rfloor}

    Args:
        step_size: Steps s between two changes.
        gamma: Factor of each change.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``step_size`` is below 1 or ``gamma`` negative.

    Example:
        >>> [step(2, 0.5)(t) for t in range(6)]
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

    Source: torch's ``StepLR``. Chapter: schedules.
    """
    check_range("step_size", step_size, 1)
    check_range("gamma", gamma, 0)
    return lambda_(lambda step: gamma ** (step // step_size))


def multi_step(milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    r"""The rate shrinks by a factor at each milestone.

    .. math:: \eta_t = \eta\,\gamma^{\,|\{m : m \le t\}|}

    Args:
        milestones: Steps m, in any order; one that is there twice counts twice.
        gamma: Factor of each change.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``gamma`` is negative.
        TypeError: If the milestones are no list of numbers.

    Example:
        >>> [multi_step([2, 3], 0.5)(step) for step in range(5)]
        [1.0, 1.0, 0.5, 0.25, 0.25]

    Source: torch's ``MultiStepLR``; He et al. (2016) train residual networks so. Chapter: schedules.
    """
    check_range("gamma", gamma, 0)
    ordered = sorted(_numbers("milestones", milestones))
    factors = [gamma**passed for passed in range(len(ordered) + 1)]
    return lambda_(lambda step: lookup(step, ordered, factors))


def linear(start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Schedule:
    r"""A straight line from one fraction of the base rate to another, flat from then on.

    .. math:: \eta_t = \eta\left(a + (b - a)\,\frac{\min(t, T)}{T}\right)

    Args:
        start_factor: Fraction a at step 0.
        end_factor: Fraction b at the end.
        total_iters: Steps T that the line takes.

    Returns:
        The schedule.

    Raises:
        ValueError: If a factor is outside [0, 1] or ``total_iters`` below 1.

    Example:
        >>> [linear(0.0, 1.0, 2)(step) for step in range(4)]
        [0.0, 0.5, 1.0, 1.0]

    Source: torch's ``LinearLR``. Chapter: schedules.
    """
    check_range("start_factor", start_factor, 0, 1)
    check_range("end_factor", end_factor, 0, 1)
    check_range("total_iters", total_iters, 1)
    return lambda_(lambda step: start_factor + (end_factor - start_factor) * at_most(step, total_iters) / total_iters)


def polynomial(total_iters: int = 5, power: float = 1.0) -> Schedule:
    r"""Down to zero along a power of the time that is left; along a straight line with power 1.

    .. math:: \eta_t = \eta\left(1 - \frac{\min(t, T)}{T}\right)^p

    Args:
        total_iters: Steps T until zero.
        power: Exponent p; above 1 the rate falls fast at first.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``total_iters`` is below 1 or ``power`` negative.

    Example:
        >>> [polynomial(4, power=2.0)(step) for step in range(6)]
        [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]

    Source: torch's ``PolynomialLR``; Chen et al. (2017), DeepLab. Chapter: schedules.
    """
    check_range("total_iters", total_iters, 1)
    check_range("power", power, 0)
    return lambda_(lambda step: (1.0 - at_most(step, total_iters) / total_iters) ** power)


def exponential(gamma: float) -> Schedule:
    r"""The same factor at every step.

    .. math:: \eta_t = \eta\,\gamma^t

    Args:
        gamma: Factor of each step; a little below 1. Above 1 the rate grows, as a range test wants it.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``gamma`` is negative.

    Example:
        >>> [exponential(0.5)(step) for step in range(4)]
        [1.0, 0.5, 0.25, 0.125]

    Source: torch's ``ExponentialLR``. Chapter: schedules.
    """
    check_range("gamma", gamma, 0)
    return lambda_(lambda step: gamma**step)


def natural_exponential(decay_rate: float, decay_steps: int = 1, staircase: bool = False) -> Schedule:
    r"""Exponential decay written with e, as for radioactive matter; the same as ``exponential(exp(-k / s))``.

    .. math:: \eta_t = \eta\,e^{-k\,t / s}

    Args:
        decay_rate: Decay k; the rate falls to 1/e within s/k steps.
        decay_steps: Steps s that the decay is stated for.
        staircase: Whether t/s is rounded down, so that the rate changes every s steps only.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``decay_rate`` is negative or ``decay_steps`` below 1.

    Example:
        >>> [round(natural_exponential(1.0, 10)(step), 3) for step in (0, 10, 20)]
        [1.0, 0.368, 0.135]

    Source: the ``natural_exp_decay`` of TensorFlow 1. Chapter: schedules.
    """
    check_range("decay_rate", decay_rate, 0)
    check_range("decay_steps", decay_steps, 1)
    return lambda_(lambda step: exp(-decay_rate * (step // decay_steps if staircase else step / decay_steps)))


def inverse_time(decay_rate: float, decay_steps: int = 1, staircase: bool = False) -> Schedule:
    r"""Down like one over the time: slow enough that the steps still add up to any distance.

    .. math:: \eta_t = \frac{\eta}{1 + k\,t / s}

    Args:
        decay_rate: Decay k; the rate is halved after s/k steps, at a third after two times as many.
        decay_steps: Steps s that the decay is stated for.
        staircase: Whether t/s is rounded down, so that the rate changes every s steps only.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``decay_rate`` is negative or ``decay_steps`` below 1.

    Example:
        >>> [inverse_time(1.0, 10)(step) for step in (0, 10, 30)]
        [1.0, 0.5, 0.25]

    Source: Robbins and Monro (1951); Bottou (2012). Chapter: schedules.
    """
    check_range("decay_rate", decay_rate, 0)
    check_range("decay_steps", decay_steps, 1)
    return lambda_(lambda step: 1 / (1 + decay_rate * (step // decay_steps if staircase else step / decay_steps)))


def _numbers(name: str, values: Sequence[float]) -> list[float]:
    """The values as a list, once they are known to be numbers."""
    if not isinstance(values, Sequence):
        raise TypeError(f"{name}: expected a list of numbers; got {values!r}")
    for index, value in enumerate(values):
        check_range(f"{name}[{index}]", value)
    return list(values)
