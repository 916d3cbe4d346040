"""Schedules that also go up: cosine and its restarts, warm-up before any other, Noam, one cycle with its momentum."""

import math
from collections.abc import Sequence

from dlbook._checks import check_option, check_range, check_whole
from dlbook.schedules._elementwise import Rate, Schedule, Step, at_least, at_most, check_callable, cos, lookup, number
from dlbook.schedules.decay import lambda_, linear


def cosine(T_max: int, eta_min: float = 0.0) -> Schedule:
    r"""Half a cosine wave from the base rate down to a smallest one: slow at both ends, fast between.

    .. math:: \eta_t = \eta_{\min} + \frac{\eta - \eta_{\min}}{2}\left(1 + \cos\frac{\pi t}{T}\right)

    After T steps the wave goes up again, as torch's does.

    Args:
        T_max: Steps T until the smallest rate.
        eta_min: Smallest rate; a rate, not a fraction of the base.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``T_max`` is below 1 or ``eta_min`` negative.

    Example:
        >>> [round(cosine(4)(step, 0.1), 4) for step in range(5)]
        [0.1, 0.0854, 0.05, 0.0146, 0.0]

    Source: torch's ``CosineAnnealingLR``; Loshchilov and Hutter (2017). Chapter: schedules.
    """
    check_range("T_max", T_max, 1)
    check_range("eta_min", eta_min, 0)

    def schedule(step: Step, lr: Rate = 1.0) -> Rate:
        return _half_wave(lr, eta_min, number(step) / T_max)

    return schedule


def cosine_restarts(T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    r"""Cosine descents one after the other; after each, the rate leaps back to the base.

    .. math::
        \eta_t = \eta_{\min} + \frac{\eta - \eta_{\min}}{2}\left(1 + \cos\frac{\pi\,(t - s_i)}{T_0\,m^i}\right),
        \qquad s_{i+1} = s_i + T_0\,m^i \text{ from } s_0 = 0

    Args:
        T_0: Steps of the first descent.
        T_mult: How many times longer each descent is than the one before, m.
        eta_min: Smallest rate; a rate, not a fraction of the base.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``T_0`` or ``T_mult`` is below 1, or ``eta_min`` is negative.
        TypeError: If ``T_0`` or ``T_mult`` is no whole number.

    Example:
        >>> [round(cosine_restarts(2, T_mult=2)(step), 3) for step in range(7)]
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]

    Source: torch's ``CosineAnnealingWarmRestarts``; Loshchilov and Hutter (2017). Chapter: schedules.
    """
    check_whole("T_0", T_0, 1)
    check_whole("T_mult", T_mult, 1)
    check_range("eta_min", eta_min, 0)
    starts, lengths = [0], [T_0]
    while T_mult > 1 and starts[-1] < 2**53:  # from there on, a float cannot count steps
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * T_mult)

    restarts = starts[1:]

    def schedule(step: Step, lr: Rate = 1.0) -> Rate:
        step = number(step)
        start = step - step % T_0 if T_mult == 1 else lookup(step, restarts, starts)
        return _half_wave(lr, eta_min, (step - start) / lookup(step, restarts, lengths))

    return schedule


def warmup(schedule: Schedule, steps: int, start: float = 0.0) -> Schedule:
    r"""A straight line up to where another schedule begins, then that schedule.

    .. math:: \eta_t = \left(a + (1 - a)\,\frac{\min(t, w)}{w}\right) \eta^{\text{after}}_{\max(t - w,\,0)}

    So a cosine that is to end at step 1000 after 100 steps of warm-up is ``warmup(cosine(T_max=900), 100)``.

    Args:
        schedule: What follows; its step 0 is step ``steps`` of the whole.
        steps: Steps w of the warm-up.
        start: Fraction a at step 0. With 0 the very first step changes nothing.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` is below 1 or ``start`` outside [0, 1].
        TypeError: If ``schedule`` cannot be called.

    Example:
        >>> [round(warmup(lambda_(lambda step: 0.5**step), 2)(step), 3) for step in range(6)]
        [0.0, 0.5, 1.0, 0.5, 0.25, 0.125]

    Source: Goyal et al. (2017). Chapter: schedules.
    """
    check_range("steps", steps, 1)
    check_range("start", start, 0, 1)
    check_callable("schedule", schedule)
    rise = linear(start, 1.0, steps)

    def warmed(step: Step, lr: Rate = 1.0) -> Rate:
        return rise(step, schedule(at_least(number(step) - steps, 0), lr))

    return warmed


def noam(d_model: int, warmup_steps: int = 4000) -> Schedule:
    r"""The Transformer's schedule: up in a straight line, then down like one over the root of the time.

    .. math:: \eta_t = \eta\,d^{-1/2}\,\min\left(n^{-1/2},\; n\,w^{-3/2}\right), \qquad n = t + 1

    The base rate is a mere factor here, 1 in the paper: give the optimizer ``lr=1.0``. The highest rate is
    :math:`\eta / \sqrt{d\,w}`.

    Args:
        d_model: Width d of the model.
        warmup_steps: Steps w until the highest rate.

    Returns:
        The schedule.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> round(noam(512)(3999), 6)
        0.000699

    Source: Vaswani et al. (2017), section 5.3; named after Noam Shazeer. Chapter: schedules.
    """
    check_range("d_model", d_model, 1)
    check_range("warmup_steps", warmup_steps, 1)
    return lambda_(lambda step: d_model**-0.5 * at_most((step + 1) ** -0.5, (step + 1) * warmup_steps**-1.5))


def one_cycle(
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    r"""Up to a rate that would be too high for long, then down to almost nothing: one cycle is the whole training.

    The rate goes from ``max_lr / div_factor`` to ``max_lr`` and then to ``max_lr / div_factor / final_div_factor``,
    where it stays. The base rate plays no part. ``one_cycle_momentum`` is what momentum does meanwhile.

    Args:
        max_lr: Highest rate.
        total_steps: Steps of the cycle; the last of them is number ``total_steps - 1``.
        pct_start: Share of the steps on the way up.
        anneal_strategy: ``"cos"`` for half waves, ``"linear"`` for straight lines.
        div_factor: How many times lower than the highest rate the first one is.
        final_div_factor: How many times lower than the first rate the last one is.
        three_phase: Whether the rate first comes down to where it began, in as many steps as it went up, and from there
            to its lowest in the steps that are left.

    Returns:
        The schedule.

    Raises:
        ValueError: If a number is out of range or the strategy unknown.

    Example:
        >>> schedule = one_cycle(1.0, total_steps=11, pct_start=0.5, anneal_strategy="linear", div_factor=10)
        >>> [round(schedule(step), 2) for step in (0, 2, 4, 7, 10)]
        [0.1, 0.5, 0.9, 0.55, 0.0]

    Source: torch's ``OneCycleLR``; Smith and Topin (2019). Chapter: schedules.
    """
    check_range("max_lr", max_lr, 0)
    check_range("div_factor", div_factor, 0, open_low=True)
    check_range("final_div_factor", final_div_factor, 0, open_low=True)
    first = max_lr / div_factor
    rates = [first, max_lr, first, first / final_div_factor]
    return _cycle(rates, total_steps, pct_start, anneal_strategy, three_phase)


def one_cycle_momentum(
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    three_phase: bool = False,
) -> Schedule:
    r"""What momentum does during ``one_cycle``: down while the rate goes up, up again while it comes down.

    Hand it to ``as_scheduler`` as ``momentum``, with the same numbers as the rate's schedule has.

    Args:
        total_steps: Steps of the cycle.
        pct_start: Share of the steps until the lowest momentum.
        anneal_strategy: ``"cos"`` for half waves, ``"linear"`` for straight lines.
        base_momentum: Lowest momentum, where the rate is highest.
        max_momentum: Momentum at both ends.
        three_phase: Whether the way up takes as many steps as the way down, and nothing changes from then on.

    Returns:
        The schedule, of momentum in place of a rate.

    Raises:
        ValueError: If a number is out of range or the strategy unknown.

    Example:
        >>> schedule = one_cycle_momentum(total_steps=11, pct_start=0.5)
        >>> [round(schedule(step), 3) for step in (0, 5, 10)]
        [0.95, 0.852, 0.95]

    Source: torch's ``OneCycleLR``; Smith (2018). Chapter: schedules.
    """
    check_range("base_momentum", base_momentum, 0, 1)
    check_range("max_momentum", max_momentum, 0, 1)
    momenta = [max_momentum, base_momentum, max_momentum, max_momentum]
    return _cycle(momenta, total_steps, pct_start, anneal_strategy, three_phase)


def _cycle(values: Sequence[float], steps: int, pct_start: float, strategy: str, three_phase: bool) -> Schedule:
    """From the first value to the second, back to the third in as many steps, and to the fourth in the rest.

    Without ``three_phase`` the third is left out.
    """
    check_whole("total_steps", steps, 1)
    check_range("pct_start", pct_start, 0, 1)
    check_option("anneal_strategy", strategy, ("cos", "linear"))
    knots = [0.0, pct_start * steps - 1, 2 * pct_start * steps - 2, steps - 1.0]
    if not three_phase:
        values, knots = [*values[:2], values[3]], [*knots[:2], knots[3]]
    inner, columns = knots[1:-1], (values[:-1], values[1:], knots[:-1], knots[1:])
    anneal = _half_wave if strategy == "cos" else _line

    def schedule(step: Step, lr: Rate = 1.0) -> Rate:
        step = at_most(number(step), steps - 1)
        first, last, start, end = (lookup(step, inner, column) for column in columns)
        # a phase without a step has no length to divide by
        return anneal(first, last, (step - start) / at_least(end - start, 1e-9))

    return schedule


def _half_wave(first: Rate, last: Rate, share: Rate) -> Rate:
    """From one value to another along half a cosine wave, as the share of the way goes from 0 to 1."""
    return last + (first - last) * (1 + cos(math.pi * share)) / 2


def _line(first: Rate, last: Rate, share: Rate) -> Rate:
    return first + (last - first) * share
