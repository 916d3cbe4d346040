"""Schedules at work on optimizers: as_scheduler, ReduceOnPlateau, range_test."""

import copy
import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

from dlbook import optimizers, schedules, training

LRS = [0.3, 0.07]


def optimizer_of(kind=torch.optim.SGD, lrs=LRS, **options):
    groups = [{"params": [torch.ones(3, requires_grad=True)], "lr": lr} for lr in lrs]
    return kind(groups, lr=1.0, **options)


def rates(optimizer):
    return [float(group["lr"]) for group in optimizer.param_groups]


def take(optimizer, scheduler, steps):
    found = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        found.append(rates(optimizer))
    return found


def reloaded(state):
    """The state as a checkpoint gives it back: nothing but tensors, numbers and text is unpickled."""
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


# ------------------------------------------------------------------------------------------------------ as_scheduler


@pytest.mark.parametrize("kind", [torch.optim.SGD, optimizers.SGD, optimizers.Adam, optimizers.Lion])
def test_each_group_follows_from_its_own_base_rate(kind):
    optimizer = optimizer_of(kind)
    scheduler = schedules.as_scheduler(optimizer, schedules.cosine(11, eta_min=0.05))
    assert isinstance(scheduler, lr_scheduler.LRScheduler)
    assert rates(optimizer) == scheduler.get_last_lr() == LRS
    for step, found in enumerate(take(optimizer, scheduler, 11), start=1):
        wave = (1 + math.cos(math.pi * step / 11)) / 2
        assert found == pytest.approx([0.05 + (lr - 0.05) * wave for lr in LRS])


def test_each_group_may_have_a_schedule_of_its_own():
    optimizer = optimizer_of()
    scheduler = schedules.as_scheduler(optimizer, [schedules.exponential(0.5), schedules.one_cycle(0.8, 7)])
    cycle = schedules.one_cycle(0.8, 7)
    assert rates(optimizer) == [0.3, cycle(0)]
    assert take(optimizer, scheduler, 3)[-1] == pytest.approx([0.3 / 8, cycle(3)])


def test_any_function_of_step_and_rate_will_do():
    optimizer = optimizer_of()
    scheduler = schedules.as_scheduler(optimizer, lambda step, lr: lr / (1 + step) ** 2)
    assert take(optimizer, scheduler, 2)[-1] == pytest.approx([lr / 9 for lr in LRS])


def test_a_rate_that_is_a_tensor_stays_the_same_tensor():
    optimizer = torch.optim.Adam([torch.ones(3, requires_grad=True)], lr=torch.tensor(0.4))
    lr = optimizer.param_groups[0]["lr"]
    scheduler = schedules.as_scheduler(optimizer, schedules.warmup(schedules.exponential(0.5), 2, 0.5))
    found = take(optimizer, scheduler, 4)
    assert [lr for (lr,) in found] == pytest.approx([0.3, 0.4, 0.2, 0.1])
    assert optimizer.param_groups[0]["lr"] is lr


def test_it_composes_with_torchs_own():
    optimizer = optimizer_of()
    first = schedules.as_scheduler(optimizer, schedules.constant(0.5, 100))
    second = schedules.as_scheduler(optimizer, schedules.exponential(0.5))
    scheduler = lr_scheduler.SequentialLR(optimizer, [first, second], milestones=[3])
    found = take(optimizer, scheduler, 5)
    assert [lr / LRS[1] for _, lr in found] == pytest.approx([0.5, 0.5, 1.0, 0.5, 0.25])


@pytest.mark.parametrize("momentum", [None, schedules.one_cycle_momentum(29)])
def test_a_resumed_schedule_goes_on_where_it_was(momentum):
    def setting():
        optimizer = optimizer_of(torch.optim.Adam)
        return optimizer, schedules.as_scheduler(optimizer, schedules.cosine_restarts(5, 2), momentum=momentum)

    optimizer, scheduler = setting()
    take(optimizer, scheduler, 7)
    saved = reloaded({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})
    expected = take(optimizer, scheduler, 6), optimizer.param_groups[0]["betas"]
    optimizer, scheduler = setting()
    optimizer.load_state_dict(saved["optimizer"])
    scheduler.load_state_dict(saved["scheduler"])
    assert (take(optimizer, scheduler, 6), optimizer.param_groups[0]["betas"]) == expected


def test_a_run_may_begin_later():
    optimizer = optimizer_of()
    take(optimizer, schedules.as_scheduler(optimizer, schedules.exponential(0.5)), 4)
    later = schedules.as_scheduler(optimizer, schedules.exponential(0.5), last_epoch=4)
    assert rates(optimizer) == later.get_last_lr() == pytest.approx([lr / 32 for lr in LRS])


def test_fit_trains_with_it_and_resumes(tmp_path):
    def run(epochs, checkpoint):
        torch.manual_seed(3)
        net = nn.Linear(2, 3)
        optimizer = optimizers.SGD(net.parameters(), lr=0.5, momentum=0.9)
        schedule, momentum = schedules.one_cycle(0.5, 12), schedules.one_cycle_momentum(12)
        scheduler = schedules.as_scheduler(optimizer, schedule, momentum=momentum)
        x, y = torch.randn(20, 2), torch.randint(3, (20,))
        training.fit(
            net, (x, y), F.cross_entropy, optimizer, epochs=epochs, batch_size=5, scheduler=scheduler,
            checkpoint=checkpoint,
        )  # fmt: skip
        return net.weight.detach(), rates(optimizer)

    whole, lr = run(3, None)
    run(1, tmp_path / "run")
    resumed, lr_resumed = run(3, tmp_path / "run")
    assert lr == lr_resumed == [schedules.one_cycle(0.5, 12)(12)]
    assert torch.equal(resumed, whole)


@pytest.mark.bad_input
def test_as_scheduler_names_a_bad_argument():
    schedule = schedules.constant()
    with pytest.raises(TypeError, match=r"optimizer: expected a torch.optim.Optimizer; got list"):
        schedules.as_scheduler([torch.ones(1)], schedule)
    with pytest.raises(ValueError, match="schedule: expected 2, one for each parameter group; got 3"):
        schedules.as_scheduler(optimizer_of(), [schedule] * 3)
    with pytest.raises(ValueError, match="momentum: expected an optimizer that has it; got Adagrad"):
        schedules.as_scheduler(optimizer_of(torch.optim.Adagrad), schedule, momentum=schedule)


# --------------------------------------------------------------------------------------------------- ReduceOnPlateau

SETTINGS = {
    "mode": st.sampled_from(["min", "max"]),
    "factor": st.floats(0.1, 0.9),
    "patience": st.integers(0, 3),
    "threshold": st.sampled_from([0.0, 1e-4, 0.1, 0.5]),
    "threshold_mode": st.sampled_from(["rel", "abs"]),
    "cooldown": st.integers(0, 3),
    "min_lr": st.sampled_from([0.0, 0.05, [0.2, 0.0]]),
    "eps": st.sampled_from([1e-8, 0.03]),
}
MEASURES = st.lists(st.one_of(st.floats(-3, 3), st.sampled_from([math.nan, math.inf, -math.inf])), max_size=30)


@settings(max_examples=100, deadline=None)
@given(options=st.fixed_dictionaries(SETTINGS), measures=MEASURES)
def test_plateaus_are_torchs(options, measures):
    ours, theirs = optimizer_of(), optimizer_of()
    mine = schedules.ReduceOnPlateau(ours, **options)
    peer = lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for measure in measures:
        mine.step(measure)
        peer.step(measure)
        assert rates(ours) == rates(theirs) == mine.get_last_lr()
        for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
            assert getattr(mine, name) == getattr(peer, name)


def test_a_plateau_by_hand():
    optimizer = optimizer_of()
    scheduler = schedules.ReduceOnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, min_lr=[0.1, 0.0])
    seen = []
    for loss in (1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        scheduler.step(torch.tensor(loss))
        seen.append(rates(optimizer)[0])
    # one bad epoch is put up with, the second lowers the rate, one is not counted, two more lower it again
    assert seen == [0.3, 0.3, 0.15, 0.15, 0.15, 0.1, 0.1]
    assert rates(optimizer)[1] == pytest.approx(0.07 / 4)


def test_a_plateau_remembers_and_takes_torchs_memory():
    losses = [1.0, 0.9, 0.95, 0.94, 0.93, 0.96, 0.97, 0.5, 0.6, 0.7, 0.8]
    options = {"factor": 0.5, "patience": 2, "cooldown": 1}
    for kind in (schedules.ReduceOnPlateau, lr_scheduler.ReduceLROnPlateau):
        first = optimizer_of()
        scheduler = kind(first, **options)
        for loss in losses[:4]:
            scheduler.step(loss)
        second = optimizer_of()
        resumed = schedules.ReduceOnPlateau(second, **options)
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        resumed.load_state_dict(reloaded(scheduler.state_dict()))
        for loss in losses[4:]:
            scheduler.step(loss)
            resumed.step(loss)
            assert rates(second) == rates(first) == resumed.get_last_lr()


def test_a_plateau_knows_groups_that_come_later_and_rates_that_are_tensors():
    optimizer = torch.optim.Adam([torch.ones(3, requires_grad=True)], lr=torch.tensor(0.4))
    lr = optimizer.param_groups[0]["lr"]
    scheduler = schedules.ReduceOnPlateau(optimizer, factor=0.5, patience=0)
    optimizer.add_param_group({"params": [torch.ones(2, requires_grad=True)], "lr": 0.8})
    for loss in (1.0, 2.0):
        scheduler.step(loss)
    assert rates(optimizer) == pytest.approx([0.2, 0.4])
    assert optimizer.param_groups[0]["lr"] is lr
    assert scheduler.get_last_lr()[0] is not lr
    listed = schedules.ReduceOnPlateau(optimizer, patience=0, min_lr=[0.0, 0.1])
    optimizer.add_param_group({"params": [torch.ones(2, requires_grad=True)], "lr": 0.8})
    listed.step(1.0)
    with pytest.raises(ValueError, match="min_lr: expected 3, one for each parameter group; got 2"):
        listed.step(2.0)


@pytest.mark.bad_input
def test_a_plateau_names_a_bad_argument():
    for options, message in [
        ({"mode": "lowest"}, "mode: expected one of 'min', 'max'; got 'lowest'"),
        ({"threshold_mode": "share"}, "threshold_mode: expected one of 'rel', 'abs'; got 'share'"),
        ({"factor": 1.0}, r"factor: expected a number in \[0, 1\); got 1.0"),
        ({"patience": -1}, "patience: .*got -1"),
        ({"cooldown": -1}, "cooldown: .*got -1"),
        ({"eps": -1.0}, "eps: .*got -1"),
        ({"min_lr": [0.1]}, "min_lr: expected 2, one for each parameter group; got 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            schedules.ReduceOnPlateau(optimizer_of(), **options)
    with pytest.raises(TypeError, match=r"optimizer: expected a torch.optim.Optimizer; got int"):
        schedules.ReduceOnPlateau(3)


# --------------------------------------------------------------------------------------------------------- range_test


def classifier(device, kind=optimizers.Adam):
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(2, 11), nn.BatchNorm1d(11), nn.Dropout(0.2), nn.ReLU(), nn.Linear(11, 3)).to(device)
    x = torch.randn(101, 2, device=device)
    return net, (x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()), kind(net.parameters(), lr=0.02)


def everything(net, optimizer):
    state = optimizer.state_dict()
    tensors = [*net.state_dict().values(), *(p.grad for p in net.parameters() if p.grad is not None)]
    numbers = [[m.training for m in net.modules()], state["param_groups"], torch.get_rng_state().tolist()]
    moments = [value for entry in state["state"].values() for value in entry.values()]
    return copy.deepcopy(([*tensors, *(m for m in moments if isinstance(m, torch.Tensor))], numbers))


@pytest.mark.parametrize("kind", [torch.optim.SGD, optimizers.Adam])
@pytest.mark.parametrize("trained", [False, True])
def test_a_range_test_leaves_everything_as_it_was(device, kind, trained):
    net, data, optimizer = classifier(device, kind)
    net[1].eval()
    if trained:
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(net(data[0]), data[1]).backward()
            optimizer.step()
    scheduler = schedules.as_scheduler(optimizer, schedules.exponential(0.5))
    tensors, numbers = everything(net, optimizer)
    schedules.range_test(net, data, F.cross_entropy, optimizer, steps=29, batch_size=7)
    after, numbers_after = everything(net, optimizer)
    assert numbers == numbers_after
    assert len(tensors) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))
    optimizer.step()
    scheduler.step()
    assert rates(optimizer) == [0.01]


def test_a_range_test_undoes_itself_when_it_fails():
    net, data, optimizer = classifier("cpu")
    tensors, numbers = everything(net, optimizer)
    calls = []

    def fails(outputs, targets):
        calls.append(1)
        if len(calls) > 4:
            raise KeyError("no more")
        return F.cross_entropy(outputs, targets)

    with pytest.raises(KeyError):
        schedules.range_test(net, data, fails, optimizer)
    after, numbers_after = everything(net, optimizer)
    assert numbers == numbers_after
    assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))


def test_a_range_test_finds_the_edge_of_a_parabola(device):
    """Gradient descent on c/2 · w² is stable up to a rate of 2/c: from there on the loss grows."""
    for curvature in (0.5, 8.0, 100.0):
        w = nn.Linear(1, 1, bias=False, device=device)
        nn.init.ones_(w.weight)
        data = torch.full((3, 1), curvature**0.5, device=device), torch.zeros(3, 1, device=device)
        optimizer = torch.optim.SGD(w.parameters(), lr=1.0)
        half = lambda outputs, targets: F.mse_loss(outputs, targets) / 2  # noqa: E731
        lrs, losses = schedules.range_test(w, data, half, optimizer, 1e-6 / curvature, 100 / curvature, 200)
        edge = lrs[losses.argmin()] * curvature
        assert 1 < edge < 2.5
        assert len(lrs) == len(losses) < 200
        assert losses[-1] > 4 * losses.min()
        assert (losses[:-1] <= 4 * losses[:-1].cummin(0).values).all()
        assert w.weight.item() == 1.0


def test_a_range_tests_rates_are_evenly_spaced_in_logarithm():
    net, data, optimizer = classifier("cpu")
    lrs, losses = schedules.range_test(net, data, F.cross_entropy, optimizer, 1e-6, 1e-3, 31)
    torch.testing.assert_close(lrs, torch.logspace(-6, -3, 31, dtype=torch.float64))
    assert losses.shape == (31,)
    assert losses.isfinite().all()


def test_a_range_test_stops_at_nan_and_bears_negative_losses():
    net, data, optimizer = classifier("cpu", torch.optim.SGD)
    seen = []

    def breaks(outputs, targets):
        seen.append(len(targets))
        value = F.cross_entropy(outputs, targets) - 100
        return value * math.nan if len(seen) == 13 else value

    lrs, losses = schedules.range_test(net, data, breaks, optimizer, 1e-9, 1e-7, 50, batch_size=20)
    assert len(lrs) == 13
    assert losses[-1].isnan()
    assert set(seen) == {20}  # what is left over of an epoch makes no batch
    lrs, _ = schedules.range_test(net, data, F.cross_entropy, optimizer, 1e-9, 1e-7, 5, batch_size=1000)
    assert len(lrs) == 5


@pytest.mark.bad_input
def test_a_range_test_names_a_bad_argument():
    net, data, optimizer = classifier("cpu")
    usual = {"model": net, "data": data, "loss": F.cross_entropy, "optimizer": optimizer}
    for options, message in [
        ({"lr_min": 0.0}, "lr_min: .*got 0"),
        ({"lr_min": 0.1, "lr_max": 0.1}, "lr_max: .*got 0.1"),
        ({"steps": 1}, "steps: .*got 1"),
        ({"batch_size": 0}, "batch_size: .*got 0"),
        ({"divergence": 0.5}, "divergence: .*got 0.5"),
        ({"data": (data[0],)}, r"data: expected inputs and targets, equally many; got lengths \[101\]"),
        ({"data": (data[0], data[1][:7])}, r"got lengths \[101, 7\]"),
        ({"data": (data[0][:0], data[1][:0])}, r"got lengths \[0, 0\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            schedules.range_test(**usual | options)
    with pytest.raises(TypeError, match=r"data\[1\]: expected a torch.Tensor; got list"):
        schedules.range_test(**usual | {"data": (data[0], [1, 2])})
    with pytest.raises(TypeError, match=r"optimizer: expected a torch.optim.Optimizer; got str"):
        schedules.range_test(**usual | {"optimizer": "SGD"})
