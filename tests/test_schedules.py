import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from dlbook import optimizers, schedules

LRS = [0.3, 0.07]  # base rates of the two parameter groups

number = st.floats(0.05, 1.0)
count = st.integers(1, 23)
# Each schedule with torch's class for it and settings that both understand.
TORCH = {
    "constant": (lr_scheduler.ConstantLR, {"factor": number, "total_iters": count}),
    "linear": (lr_scheduler.LinearLR, {"start_factor": number, "end_factor": number, "total_iters": count}),
    "exponential": (lr_scheduler.ExponentialLR, {"gamma": number}),
    "polynomial": (lr_scheduler.PolynomialLR, {"total_iters": count, "power": st.floats(0.3, 3.0)}),
    "step": (lr_scheduler.StepLR, {"step_size": count, "gamma": number}),
    "multi_step": (lr_scheduler.MultiStepLR, {"milestones": st.lists(st.integers(1, 37), max_size=5), "gamma": number}),
    "cosine": (lr_scheduler.CosineAnnealingLR, {"T_max": count, "eta_min": st.floats(0.0, 0.05)}),
    "cosine_restarts": (
        lr_scheduler.CosineAnnealingWarmRestarts,
        {"T_0": count, "T_mult": st.integers(1, 3), "eta_min": st.floats(0.0, 0.05)},
    ),
    "one_cycle": (
        lr_scheduler.OneCycleLR,
        {
            "max_lr": st.floats(0.1, 2.0),
            "total_steps": st.just(41),
            "pct_start": st.floats(0.05, 0.45),
            "anneal_strategy": st.sampled_from(["cos", "linear"]),
            "div_factor": st.floats(2.0, 50.0),
            "final_div_factor": st.floats(1.0, 1e4),
            "three_phase": st.booleans(),
        },
    ),
}
# Those that torch lacks, in closed form.
FORMULAS = {
    "lambda_": (lambda: schedules.lambda_(lambda step: 1 / (2 + step)), lambda t, lr: lr / (2 + t)),
    "piecewise_constant": (
        lambda: schedules.piecewise_constant([3, 11], [1.0, 0.5, 0.2]),
        lambda t, lr: lr * (1.0 if t < 3 else 0.5 if t < 11 else 0.2),
    ),
    "natural_exponential": (lambda: schedules.natural_exponential(0.7, 5), lambda t, lr: lr * math.exp(-0.7 * t / 5)),
    "natural_exponential in stairs": (
        lambda: schedules.natural_exponential(0.7, 5, staircase=True),
        lambda t, lr: lr * math.exp(-0.7 * (t // 5)),
    ),
    "inverse_time": (lambda: schedules.inverse_time(0.3, 7), lambda t, lr: lr / (1 + 0.3 * t / 7)),
    "inverse_time in stairs": (
        lambda: schedules.inverse_time(0.3, 7, staircase=True),
        lambda t, lr: lr / (1 + 0.3 * (t // 7)),
    ),
    "noam": (
        lambda: schedules.noam(96, warmup_steps=13),
        lambda t, lr: lr * 96**-0.5 * min((t + 1) ** -0.5, (t + 1) * 13**-1.5),
    ),
}
ALL = {
    "constant": lambda: schedules.constant(0.5, 7),
    "linear": lambda: schedules.linear(0.2, 0.9, 11),
    "exponential": lambda: schedules.exponential(0.93),
    "polynomial": lambda: schedules.polynomial(19, 2.0),
    "step": lambda: schedules.step(7, 0.3),
    "multi_step": lambda: schedules.multi_step([11, 5, 5], 0.3),
    "cosine": lambda: schedules.cosine(23, 0.01),
    "restarts": lambda: schedules.cosine_restarts(5, 2, 0.01),
    "equal restarts": lambda: schedules.cosine_restarts(5, 1, 0.01),
    "one_cycle": lambda: schedules.one_cycle(0.7, 37),
    "three phases": lambda: schedules.one_cycle(0.7, 37, 0.35, "linear", three_phase=True),
    "momentum": lambda: schedules.one_cycle_momentum(37),
    "warm-up": lambda: schedules.warmup(schedules.cosine(23, 0.01), 6, 0.1),
    "warm-up of a warm-up": lambda: schedules.warmup(schedules.warmup(schedules.constant(), 5), 6, 0.5),
} | {name: make for name, (make, _) in FORMULAS.items()}


def optimizer_of(kind=torch.optim.SGD, lrs=LRS, device="cpu", **options):
    groups = [{"params": [torch.ones(3, device=device, requires_grad=True)], "lr": lr} for lr in lrs]
    return kind(groups, lr=1.0, **options)


def followed(optimizer, scheduler, steps):
    """The rates of every group at each step; steps in the order in which training takes them."""
    rates = []
    for _ in range(steps):
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return torch.tensor(rates, dtype=torch.float64).T


# ------------------------------------------------------------------------------------------------------ against torch


@pytest.mark.parametrize("name", TORCH)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rates_are_those_of_torchs_schedulers(name, data):
    peer, strategies = TORCH[name]
    options = {key: data.draw(strategy, label=key) for key, strategy in strategies.items()}
    theirs = optimizer_of()
    extra = {"cycle_momentum": False} if name == "one_cycle" else {}
    expected = followed(theirs, peer(theirs, **options, **extra), 41)
    ours = optimizer_of()
    schedule = getattr(schedules, name)(**options)
    found = followed(ours, schedules.as_scheduler(ours, schedule), 41)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    steps = torch.arange(41, dtype=torch.float64)
    at_once = torch.stack([schedule(steps, lr) for lr in LRS])
    torch.testing.assert_close(at_once, expected, rtol=1e-9, atol=1e-12)


def test_arguments_come_in_torchs_order_with_torchs_defaults():
    for name, (peer, _) in TORCH.items():
        ours = inspect.signature(getattr(schedules, name)).parameters
        theirs = inspect.signature(peer).parameters
        shared = [key for key in theirs if key in ours]
        assert list(ours) == shared
        for key in shared:
            if name != "constant" and (name, key) != ("one_cycle", "total_steps"):
                assert ours[key].default == theirs[key].default, (name, key)
    ours = inspect.signature(schedules.ReduceOnPlateau).parameters
    theirs = inspect.signature(lr_scheduler.ReduceLROnPlateau).parameters
    assert [(key, p.default) for key, p in ours.items()] == [(key, p.default) for key, p in theirs.items()]


@pytest.mark.parametrize("start", [0.1, 0.5, 1.0])
def test_warm_up_is_a_line_and_then_the_schedule(start):
    theirs = optimizer_of()
    line = lr_scheduler.LinearLR(theirs, start, 1.0, total_iters=7)
    expected = followed(
        theirs, lr_scheduler.SequentialLR(theirs, [line, lr_scheduler.PolynomialLR(theirs, 13, 2.0)], [7]), 29
    )
    ours = optimizer_of()
    schedule = schedules.warmup(schedules.polynomial(13, 2.0), 7, start)
    torch.testing.assert_close(followed(ours, schedules.as_scheduler(ours, schedule), 29), expected)


def test_warm_up_leads_to_where_the_schedule_begins():
    cycle = schedules.one_cycle(0.8, 31)
    schedule = schedules.warmup(cycle, 5)
    assert [schedule(step) for step in range(6)] == pytest.approx([cycle(0) * step / 5 for step in range(6)])
    assert schedule(17) == cycle(12)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, optimizers.SGD, optimizers.AdamW])
@pytest.mark.parametrize("options", [{}, {"three_phase": True, "pct_start": 0.35}, {"anneal_strategy": "linear"}])
def test_momentum_goes_the_other_way_in_one_cycle(kind, options):
    def momenta(optimizer, scheduler):
        values = []
        for _ in range(31):
            group = optimizer.param_groups[1]
            values.append((group["lr"], group["betas"][0] if "betas" in group else group["momentum"]))
            optimizer.step()
            scheduler.step()
        return values

    extra = {"momentum": 0.9} if "SGD" in kind.__name__ else {}
    theirs = optimizer_of(getattr(torch.optim, kind.__name__), **extra)
    expected = momenta(theirs, lr_scheduler.OneCycleLR(theirs, 0.5, 31, **options))
    ours = optimizer_of(kind, **extra)
    rate, momentum = schedules.one_cycle(0.5, 31, **options), schedules.one_cycle_momentum(31, **options)
    found = momenta(ours, schedules.as_scheduler(ours, rate, momentum=momentum))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected))


# -------------------------------------------------------------------------------------------------- schedules alone


@pytest.mark.parametrize("name", FORMULAS)
def test_rates_are_those_of_the_formula(name):
    make, formula = FORMULAS[name]
    for lr in LRS:
        expected = [formula(step, lr) for step in range(53)]
        assert [make()(step, lr) for step in range(53)] == pytest.approx(expected, rel=1e-12)


def test_values_by_hand():
    assert [schedules.cosine(4, 0.1)(step, 0.5) for step in (0, 2, 4)] == pytest.approx([0.5, 0.3, 0.1])
    assert schedules.noam(4, warmup_steps=4)(3) == pytest.approx(0.25)  # the peak, 1 / sqrt(4 · 4)
    assert schedules.exponential(0.5)(3, 0.8) == pytest.approx(0.1)
    assert schedules.polynomial(4, 2.0)(1) == pytest.approx(9 / 16)
    assert schedules.constant()(1000, 0.3) == 0.3
    assert schedules.one_cycle(1.0, 101, 0.3)(100) == pytest.approx(1 / 25 / 1e4)


@pytest.mark.parametrize("name", ALL)
def test_a_tensor_of_steps_is_that_many_calls(name, device):
    schedule = ALL[name]()
    expected = torch.tensor([[schedule(7 * row + column, 0.3) for column in range(7)] for row in range(11)])
    steps = torch.arange(77, device=device).reshape(11, 7)
    for given_steps in (steps, steps.float(), steps.T.contiguous().T):
        found = schedule(given_steps, 0.3)
        assert (found.dtype, found.device, found.shape) == (torch.float32, steps.device, steps.shape)
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-7)
    assert schedule(steps.double(), 0.3).dtype == torch.float64
    assert schedule(steps[:0], 0.3).shape == (0, 7)
    assert schedule(torch.tensor(5, device=device), 0.3).shape == ()


@pytest.mark.parametrize("name", ALL)
def test_a_base_rate_may_be_a_tensor_too(name, device):
    schedule = ALL[name]()
    lrs = torch.tensor([[0.1], [0.2], [0.7]], dtype=torch.float64, device=device)
    steps = torch.arange(41, dtype=torch.float64, device=device)
    found = schedule(steps, lrs)
    for lr, row in zip(lrs[:, 0].tolist(), found.expand(3, 41), strict=True):
        torch.testing.assert_close(row, schedule(steps, lr))


@pytest.mark.parametrize("name", ALL)
def test_ten_thousand_steps_and_far_beyond_stay_finite(name):
    schedule = ALL[name]()
    rates = schedule(torch.arange(10_000), 0.3)
    assert rates.shape == (10_000,)
    assert (rates >= 0).all()
    assert rates.isfinite().all()
    assert 0 <= schedule(10**9, 0.3) <= 1


def test_restarts_find_their_place_at_every_boundary():
    """The start of the k-th descent is T_0 (m^k - 1) / (m - 1): a logarithm would miss some by rounding."""
    for T_0, T_mult in ((1, 2), (3, 2), (7, 3), (10, 10)):
        schedule = schedules.cosine_restarts(T_0, T_mult)
        for k in range(1, 7):
            start = T_0 * (T_mult**k - 1) // (T_mult - 1)
            before, at = schedule(start - 1), schedule(start)
            assert at == 1.0
            assert before == pytest.approx((1 - math.cos(math.pi / (T_0 * T_mult ** (k - 1)))) / 2)
            assert schedule(torch.tensor([start - 1, start]))[1] == 1.0


@pytest.mark.parametrize("pct_start", [0.0, 0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("total_steps", [1, 2, 10])
def test_one_cycle_holds_at_the_extremes(pct_start, three_phase, total_steps):
    schedule = schedules.one_cycle(1.0, total_steps, pct_start, three_phase=three_phase)
    rates = [schedule(step) for step in range(total_steps + 3)]
    assert all(0 < rate <= 1 for rate in rates)
    assert schedule(torch.arange(total_steps + 3)).tolist() == pytest.approx(rates, rel=1e-4)
    assert rates[-3:] == [rates[total_steps - 1]] * 3  # torch raises here; the rate stays where it was
    assert pct_start == 1.0 or rates[-1] == pytest.approx(1 / 25 / 1e4)


@pytest.mark.compile
@pytest.mark.parametrize("name", ALL)
def test_a_schedule_compiles(name):
    schedule = ALL[name]()
    steps = torch.arange(101)
    torch.compiler.reset()
    found = torch.compile(lambda steps: schedule(steps, 0.3), fullgraph=True, backend="eager")(steps)
    torch.testing.assert_close(found, schedule(steps, 0.3), rtol=1e-5, atol=1e-7)


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "message"), [
    (lambda: schedules.constant(-1.0), "factor: .*got -1"),
    (lambda: schedules.constant(0.5, -1), "total_iters: .*got -1"),
    (lambda: schedules.piecewise_constant([3, 3], [1, 2, 3]), r"milestones: expected increasing steps; got \[3, 3\]"),
    (lambda: schedules.piecewise_constant([3], [1.0]), "factors: expected 2, one more than milestones; got 1"),
    (lambda: schedules.step(0), "step_size: .*got 0"),
    (lambda: schedules.step(3, -0.1), "gamma: .*got -0.1"),
    (lambda: schedules.multi_step([3], -0.1), "gamma: .*got -0.1"),
    (lambda: schedules.linear(1.5), "start_factor: .*got 1.5"),
    (lambda: schedules.linear(0.5, -1), "end_factor: .*got -1"),
    (lambda: schedules.linear(total_iters=0), "total_iters: .*got 0"),
    (lambda: schedules.polynomial(0), "total_iters: .*got 0"),
    (lambda: schedules.polynomial(5, -1.0), "power: .*got -1"),
    (lambda: schedules.exponential(float("nan")), "gamma: .*got nan"),
    (lambda: schedules.natural_exponential(-1.0), "decay_rate: .*got -1"),
    (lambda: schedules.natural_exponential(1.0, 0), "decay_steps: .*got 0"),
    (lambda: schedules.inverse_time(-1.0), "decay_rate: .*got -1"),
    (lambda: schedules.inverse_time(1.0, 0), "decay_steps: .*got 0"),
    (lambda: schedules.cosine(0), "T_max: .*got 0"),
    (lambda: schedules.cosine(5, -0.1), "eta_min: .*got -0.1"),
    (lambda: schedules.cosine_restarts(0), "T_0: expected at least 1; got 0"),
    (lambda: schedules.cosine_restarts(5, 0), "T_mult: expected at least 1; got 0"),
    (lambda: schedules.cosine_restarts(5, 2, -1), "eta_min: .*got -1"),
    (lambda: schedules.warmup(schedules.constant(), 0), "steps: .*got 0"),
    (lambda: schedules.warmup(schedules.constant(), 5, 2.0), "start: .*got 2"),
    (lambda: schedules.noam(0), "d_model: .*got 0"),
    (lambda: schedules.noam(8, 0), "warmup_steps: .*got 0"),
    (lambda: schedules.one_cycle(-1.0, 10), "max_lr: .*got -1"),
    (lambda: schedules.one_cycle(1.0, 0), "total_steps: .*got 0"),
    (lambda: schedules.one_cycle(1.0, 10, 1.5), "pct_start: .*got 1.5"),
    (lambda: schedules.one_cycle(1.0, 10, anneal_strategy="log"), "anneal_strategy: expected one of 'cos', 'linear'"),
    (lambda: schedules.one_cycle(1.0, 10, div_factor=0), "div_factor: .*got 0"),
    (lambda: schedules.one_cycle(1.0, 10, final_div_factor=0), "final_div_factor: .*got 0"),
    (lambda: schedules.one_cycle_momentum(10, base_momentum=2.0), "base_momentum: .*got 2"),
    (lambda: schedules.one_cycle_momentum(10, max_momentum=-1.0), "max_momentum: .*got -1"),
])  # fmt: skip
def test_a_schedule_names_a_bad_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "message"), [
    (lambda: schedules.piecewise_constant(3, [1, 2]), r"milestones: expected a list of numbers; got 3"),
    (lambda: schedules.piecewise_constant([3], ["a", "b"]), r"factors\[0\]: expected a number; got 'a'"),
    (lambda: schedules.multi_step(None), "milestones: expected a list of numbers; got None"),
    (lambda: schedules.cosine_restarts(5, 1.5), "T_mult: expected a whole number; got 1.5"),
    (lambda: schedules.one_cycle(1.0, 10.5), "total_steps: expected a whole number; got 10.5"),
    (lambda: schedules.cosine("ten"), "T_max: expected a number; got 'ten'"),
])  # fmt: skip
def test_a_schedule_names_an_argument_of_another_kind(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.bad_input
def test_what_cannot_be_called_is_no_schedule():
    with pytest.raises(TypeError, match="lr_lambda: expected a function of the step; got float"):
        schedules.lambda_(0.5)
    with pytest.raises(TypeError, match="schedule: expected a function of the step; got float"):
        schedules.warmup(0.5, 10)
    with pytest.raises(TypeError, match="schedule: expected a function of the step; got int"):
        schedules.as_scheduler(optimizer_of(), [schedules.constant(), 3])
    with pytest.raises(TypeError, match="momentum: expected a function of the step; got float"):
        schedules.as_scheduler(optimizer_of(), schedules.constant(), momentum=0.9)
