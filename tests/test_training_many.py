"""``fit_many`` is held to as many runs of ``fit``, and to loops written out in torch."""

import copy
import sys
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlbook import activations, convolution, losses, neurons, normalization, optimizers, recurrent, schedules, training
from dlbook import regularization as reg
from dlbook.training import fit_many

N, SEEDS = 3, [5, 3, 11]
ALIKE = {"rtol": 1e-9, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _double():
    """Where rounding is small, "equal within rounding" says something."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def classes(device, count=23):
    return torch.randn(count, 5, device=device), torch.randint(4, (count,), device=device)


def perceptron():
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4))


def pick(value, i):
    """The i-th network's own."""
    if isinstance(value, tuple):
        return tuple(pick(entry, i) for entry in value)
    return value[i] if isinstance(value, list) else value


def separately(models, data, loss, rule, hyper, *, validation=None, seeds=SEEDS, epochs=2, scheduler=None, hook=None):
    """The same runs, one after the other; loss, rows of data, schedule and hook may be functions of the network."""
    histories = []
    for i, model in enumerate(models):
        training.seed_everything(seeds[i])
        optimizer = rule(model.parameters(), **{name: pick(value, i) for name, value in hyper.items()})
        if hook:
            optimizer.register_step_pre_hook(hook(i))
        options = {"validation": validation and validation(i), "scheduler": scheduler and scheduler(optimizer, i)}
        history = training.fit(model, data(i), loss(i, model), optimizer, epochs=epochs, batch_size=7, **options)
        histories.append(history)
    return histories


def compare(models, twins, history, histories):
    for i, (model, twin) in enumerate(zip(models, twins, strict=True)):
        torch.testing.assert_close(model.state_dict(), twin.state_dict(), **ALIKE)
        assert not model.training
        assert all(parameter.grad is None for parameter in model.parameters())
        assert set(histories[i]) == set(history) - {"step_loss", "diverged"}
        for name in set(histories[i]) - {"seconds"}:
            mine = history[name] if name == "epoch" else history[name][:, i]
            torch.testing.assert_close(mine.double(), torch.tensor(histories[i][name]).double(), **ALIKE)


def held_to_fit(make, data, loss=F.cross_entropy, optimizer="SGD", validation=None, **hyper):
    """Train together and apart, and compare all there is to compare."""
    models = [make() for _ in range(N)]
    twins = copy.deepcopy(models)
    hyper = hyper or {"lr": [0.05, 0.2, 0.1]}
    validation = validation or tuple(tensor[:11] for tensor in data)
    history = fit_many(models, data, loss, optimizer.lower(), epochs=2, batch_size=7, validation=validation,
                       seeds=SEEDS, **hyper)  # fmt: skip
    apart = separately(twins, lambda i: data, lambda i, model: loss, getattr(optimizers, optimizer), hyper,
                       validation=lambda i: validation)  # fmt: skip
    compare(models, twins, history, apart)
    return history


# --------------------------------------------------------------------------------------------- as many runs of fit


RULES = [
    ("SGD", {"lr": [0.1, 0.01, 0.3]}),
    ("SGD", {"lr": 0.1, "momentum": [0.0, 0.5, 0.9], "weight_decay": [0.1, 0.0, 0.01], "dampening": 0.2}),
    ("SGD", {"lr": [0.1, 0.01, 0.3], "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": [0.1, 0.01, 0.03], "betas": ([0.0, 0.5, 0.9], [0.9, 0.99, 0.999]), "eps": [1e-8, 1e-3, 1e-5]}),
    ("Adam", {"lr": 0.03, "amsgrad": True, "weight_decay": [0.0, 0.1, 1.0], "maximize": True}),
    ("AdamW", {"weight_decay": [0.0, 0.5, 3.0], "betas": (0.8, 0.95), "lr": 0.05}),
    ("NAdam", {"lr": [0.1, 0.01, 0.03], "betas": ([0.2, 0.5, 0.9], 0.99), "momentum_decay": [0.0, 0.01, 0.3]}),
    ("RMSprop", {"lr": [0.1, 0.01, 0.03], "alpha": [0.9, 0.99, 0.5], "momentum": 0.5, "centered": True}),
    ("Adagrad", {"lr_decay": [0.0, 0.1, 1.0], "initial_accumulator_value": [0.0, 1.0, 0.1], "lr": 0.1}),
    ("Adadelta", {"rho": [0.9, 0.5, 0.1], "lr": [1.0, 3.0, 0.1]}),
    ("Lion", {"lr": [0.01, 0.03, 0.001], "betas": (0.9, [0.9, 0.99, 0.5])}),
    ("Lion", {}),
]


@pytest.mark.parametrize(("optimizer", "hyper"), RULES)
def test_every_rule_does_what_separate_runs_do(optimizer, hyper, device):
    held_to_fit(lambda: perceptron().to(device), classes(device), optimizer=optimizer, **hyper)


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor])
def test_numbers_come_in_any_sequence(kind):
    data, models = classes("cpu"), [perceptron() for _ in range(N)]
    twins = copy.deepcopy(models)
    fit_many(models, data, F.cross_entropy, lr=kind([0.1, 0.2, 0.3]), seeds=1, epochs=1)
    fit_many(twins, data, F.cross_entropy, lr=[0.1, 0.2, 0.3], seeds=[1, 1, 1], epochs=1)
    for model, twin in zip(models, twins, strict=True):
        torch.testing.assert_close(model.state_dict(), twin.state_dict(), **ALIKE)


def test_full_batch_steps_are_those_of_loops_written_out(device):
    x, y = torch.randn(13, 5, device=device), torch.randn(13, 4, device=device)
    models = [perceptron().to(device) for _ in range(N)]
    twins = copy.deepcopy(models)
    history = fit_many(models, (x, y), F.mse_loss, "adam", lr=[0.1, 0.01, 0.001], epochs=7, batch_size=13)
    for i, (model, twin) in enumerate(zip(models, twins, strict=True)):
        optimizer = torch.optim.Adam(twin.parameters(), lr=[0.1, 0.01, 0.001][i])
        for epoch in range(7):
            optimizer.zero_grad()
            loss = F.mse_loss(twin(x), y)
            loss.backward()
            optimizer.step()
            torch.testing.assert_close(history["train_loss"][epoch, i], loss.detach().cpu(), **ALIKE)
        torch.testing.assert_close(model.state_dict(), twin.state_dict(), **ALIKE)
    assert "train_accuracy" not in history


def test_without_seeds_all_networks_see_the_batches_that_fit_would_show():
    data, models = classes("cpu"), [perceptron() for _ in range(N)]
    twins = copy.deepcopy(models)
    torch.manual_seed(7)
    history = fit_many(models, data, F.cross_entropy, lr=0.1, epochs=2, batch_size=7)
    apart = separately(twins, lambda i: data, lambda i, model: F.cross_entropy, optimizers.SGD, {"lr": 0.1},
                       seeds=[7] * N)  # fmt: skip
    compare(models, twins, history, apart)


def test_single_precision_agrees_within_its_rounding(device):
    torch.set_default_dtype(torch.float32)
    x, y = classes(device)
    models = [perceptron().to(device) for _ in range(N)]
    twins = copy.deepcopy(models)
    hyper = {"lr": [0.01, 0.1, 0.001], "betas": ([0.9, 0.5, 0.0], 0.999)}
    fit_many(models, (x, y), F.cross_entropy, "adam", seeds=SEEDS, epochs=2, batch_size=7, **hyper)
    separately(twins, lambda i: (x, y), lambda i, model: F.cross_entropy, optimizers.Adam, hyper)
    for model, twin in zip(models, twins, strict=True):
        torch.testing.assert_close(model.state_dict(), twin.state_dict(), rtol=1e-4, atol=1e-5)


# -------------------------------------------------------------------------------------------------- layers and losses


class Last(nn.Module):
    """The last step's output of a recurrent layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.out = layer, nn.Linear(3, 4)

    def forward(self, signal):
        return self.out(self.layer(signal)[0][:, -1])


class Applied(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.out = neurons.Embedding(13, 3), nn.Linear(3, 4)

    def forward(self, words):
        return self.out(self.table(words).mean(1))


def between(layer):
    return lambda: nn.Sequential(nn.Linear(5, 6), layer(), nn.Linear(6, 4))


def picture_net(make):
    return lambda: nn.Sequential(
        make.Conv2d(2, 3, 3, padding=1), normalization.BatchNorm2d(3), nn.ReLU(), make.MaxPool2d(2), nn.Flatten(),
        nn.Linear(27, 4))  # fmt: skip


NETS = {
    "batch norm": (between(lambda: normalization.BatchNorm1d(6)), (5,)),
    "batch norm, plain mean": (between(lambda: normalization.BatchNorm1d(6, momentum=None)), (5,)),
    "torch's batch norm": (between(lambda: nn.BatchNorm1d(6)), (5,)),
    "layer norm": (between(lambda: normalization.LayerNorm(6)), (5,)),
    "group norm": (between(lambda: normalization.GroupNorm(2, 6)), (5,)),
    "relu": (between(lambda: Applied(activations.relu)), (5,)),
    "convolution": (picture_net(convolution), (2, 7, 7)),
    "torch's convolution": (picture_net(nn), (2, 7, 7)),
    "lstm": (lambda: Last(recurrent.LSTM(2, 3, batch_first=True)), (7, 2)),
    "gru": (lambda: Last(recurrent.GRU(2, 3, batch_first=True)), (7, 2)),
    "embedding": (Bag, None),
}


@pytest.mark.parametrize("name", NETS)
def test_layers_of_every_kind_buffers_included(name, device):
    make, shape = NETS[name]
    x = torch.randint(13, (23, 2), device=device) if shape is None else torch.randn(23, *shape, device=device)
    held_to_fit(lambda: make().to(device), (x, torch.randint(4, (23,), device=device)))


def test_running_statistics_are_each_networks_own():
    data, models = classes("cpu"), [between(lambda: normalization.BatchNorm1d(6))() for _ in range(N)]
    fit_many(models, data, F.cross_entropy, epochs=3, batch_size=23)
    means = torch.stack([model[1].running_mean for model in models])
    assert means.std(0).min() > 1e-3
    assert [model[1].num_batches_tracked.item() for model in models] == [3] * N


def test_a_buffer_that_is_replaced_and_not_changed_in_place():
    class Count(nn.Linear):
        def __init__(self):
            super().__init__(5, 4)
            self.register_buffer("seen", torch.tensor(0.0))

        def forward(self, x):
            if self.training:
                self.seen = self.seen + len(x)
            return super().forward(x)

    models = [Count() for _ in range(N)]
    fit_many(models, classes("cpu"), F.cross_entropy, epochs=2)
    assert [model.seen.item() for model in models] == [46.0] * N


LOSSES = {
    "cross_entropy": losses.cross_entropy,
    "label smoothing": lambda outputs, targets: losses.cross_entropy(outputs, targets, label_smoothing=0.2),
    "nll": lambda outputs, targets: losses.nll_loss(activations.log_softmax(outputs, 1), targets),
    "module": nn.CrossEntropyLoss(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_for_classes(name):
    held_to_fit(perceptron, classes("cpu"), LOSSES[name])


@pytest.mark.parametrize("loss", [losses.mse_loss, losses.smooth_l1_loss, losses.binary_cross_entropy_with_logits])
def test_losses_for_numbers(loss):
    history = held_to_fit(perceptron, (torch.randn(23, 5), torch.rand(23, 4)), loss)
    assert "validation_accuracy" not in history


def test_a_model_of_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(2, 4), nn.Linear(3, 4)

        def forward(self, x, y):
            return self.left(x) * self.right(y)

    held_to_fit(Two, (torch.randn(23, 2), torch.randn(23, 3), torch.randn(23, 4)), F.mse_loss)


@pytest.mark.parametrize("layer", [reg.Dropout(0.3), nn.Dropout(0.3)])
def test_dropout_draws_for_each_network_on_its_own(layer):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.drop = nn.Parameter(torch.ones(())), layer

        def forward(self, x):
            return self.scale * self.drop(x)

    def loss(outputs, targets):
        return (outputs == 0).double().mean() + 0 * outputs.sum()

    x = torch.ones(50, 200)

    def run():
        torch.manual_seed(1)
        models = [Net() for _ in range(N)]
        return fit_many(models, (x, x), loss, lr=0.0, epochs=2, batch_size=25, validation=(x, x))

    history = run()
    share = history["step_loss"]
    assert share.shape == (4, N)
    assert share.flatten().unique().numel() > 10
    assert (share - 0.3).abs().max() < 0.05  # seven standard deviations
    assert (history["validation_loss"] == 0).all()
    assert torch.equal(run()["step_loss"], share)


def test_frozen_tied_and_idle_parameters():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.out = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 4)
            self.second.weight = self.first.weight
            self.idle = nn.Parameter(torch.ones(3))
            self.out.bias.requires_grad_(False)

        def forward(self, x):
            return self.out(self.second(self.first(x).tanh()))

    held_to_fit(Tied, classes("cpu"), optimizer="AdamW", lr=[0.1, 0.2, 0.01], weight_decay=0.5)


# ------------------------------------------------------------------------------------- what differs between networks


def warm_up(step, lr=1.0):
    return lr * min(1.0, (step + 1) / 5)


def halving(step, lr=1.0):
    return lr * 0.5**step


@pytest.mark.parametrize("schedule", [warm_up, [warm_up, halving, lambda step, lr=1.0: lr]])
@pytest.mark.parametrize("lr", [0.3, [0.3, 0.1, 1.0]])
def test_schedules_are_torchs_lambda(schedule, lr):
    data, models = classes("cpu"), [perceptron() for _ in range(N)]
    twins = copy.deepcopy(models)
    history = fit_many(models, data, F.cross_entropy, seeds=SEEDS, epochs=2, batch_size=7, lr=lr, schedule=schedule)
    apart = separately(
        twins, lambda i: data, lambda i, model: F.cross_entropy, optimizers.SGD, {"lr": lr},
        scheduler=lambda optimizer, i: torch.optim.lr_scheduler.LambdaLR(optimizer, pick(schedule, i)),
    )  # fmt: skip
    compare(models, twins, history, apart)


SCHEDULES = [
    schedules.warmup(schedules.cosine(8), 3),
    schedules.one_cycle(0.5, total_steps=8),
    schedules.piecewise_constant([2, 5], [1.0, 0.5, 0.1]),
]


@pytest.mark.parametrize("schedule", [SCHEDULES, *SCHEDULES])
def test_this_books_schedules_are_followed_as_fit_follows_them(schedule):
    data, models = classes("cpu"), [perceptron() for _ in range(N)]
    twins, lr = copy.deepcopy(models), [0.3, 0.1, 1.0]
    history = fit_many(models, data, F.cross_entropy, seeds=SEEDS, epochs=2, batch_size=7, lr=lr, schedule=schedule)
    apart = separately(
        twins, lambda i: data, lambda i, model: F.cross_entropy, optimizers.SGD, {"lr": lr},
        scheduler=lambda optimizer, i: schedules.as_scheduler(optimizer, pick(schedule, i)),
    )  # fmt: skip
    compare(models, twins, history, apart)


@pytest.mark.parametrize("max_norm", [0.05, [0.05, 0.5, float("inf")]])
def test_gradients_are_clipped_network_by_network(max_norm):
    data, models = classes("cpu"), [perceptron() for _ in range(N)]
    twins = copy.deepcopy(models)
    history = fit_many(models, data, F.cross_entropy, seeds=SEEDS, epochs=2, batch_size=7, lr=1.0, max_norm=max_norm)

    def hook(i):
        def clip(optimizer, *_):
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], pick(max_norm, i))

        return clip

    apart = separately(twins, lambda i: data, lambda i, model: F.cross_entropy, optimizers.SGD, {"lr": 1.0}, hook=hook)
    compare(models, twins, history, apart)


@pytest.mark.parametrize("seeds", [SEEDS, 5])
def test_each_network_may_see_examples_of_its_own(seeds, device):
    (x, y), models = classes(device), [perceptron().to(device) for _ in range(N)]
    twins = copy.deepcopy(models)
    folds = torch.stack([torch.randperm(23, device=device) for _ in range(N)])
    train, held = folds[:, :17], folds[:, 17:]
    history = fit_many(models, (x, y), F.cross_entropy, seeds=seeds, epochs=2, batch_size=7, lr=0.1, rows=train,
                       validation=(x, y), validation_rows=held)  # fmt: skip
    apart = separately(
        twins, lambda i: (x[train[i]], y[train[i]]), lambda i, model: F.cross_entropy, optimizers.SGD, {"lr": 0.1},
        validation=lambda i: (x[held[i]], y[held[i]]), seeds=[pick(seeds, i) for i in range(N)],
    )  # fmt: skip
    compare(models, twins, history, apart)


def test_numbers_of_the_loss_differ_too():
    (x, _), models = classes("cpu"), [perceptron() for _ in range(N)]
    y, twins, power = torch.randn(23, 4), copy.deepcopy(models), [1.5, 2.0, 4.0]

    def loss(outputs, targets, power, scale):
        return scale * ((outputs - targets).abs() ** power).mean()

    history = fit_many(models, (x, y), loss, seeds=SEEDS, epochs=2, batch_size=7, lr=0.1, validation=(x, y),
                       loss_hyper={"power": power, "scale": 0.5})  # fmt: skip
    apart = separately(
        twins, lambda i: (x, y), lambda i, model: lambda outputs, targets: loss(outputs, targets, power[i], 0.5),
        optimizers.SGD, {"lr": 0.1}, validation=lambda i: (x, y),
    )  # fmt: skip
    compare(models, twins, history, apart)


def test_a_penalty_is_added_to_the_loss_and_not_to_the_history():
    data, models, strength = classes("cpu"), [perceptron() for _ in range(N)], [0.0, 0.01, 0.1]
    twins = copy.deepcopy(models)

    def penalty(weights):
        return reg.l1_penalty([w for name, w in weights.items() if name.endswith("weight")])

    history = fit_many(models, data, F.cross_entropy, seeds=SEEDS, epochs=2, batch_size=7, lr=0.1, validation=data,
                       penalty=penalty, strength=strength)  # fmt: skip

    def loss(i, model):
        return lambda outputs, targets: (
            F.cross_entropy(outputs, targets) + strength[i] * penalty(dict(model.named_parameters()))
        )

    apart = separately(twins, lambda i: data, loss, optimizers.SGD, {"lr": 0.1}, validation=lambda i: data)
    for i, (model, twin) in enumerate(zip(models, twins, strict=True)):
        torch.testing.assert_close(model.state_dict(), twin.state_dict(), **ALIKE)
        added = strength[i] * penalty(dict(model.named_parameters())).item()
        assert history["validation_loss"][-1, i] == pytest.approx(apart[i]["validation_loss"][-1] - added)
    assert (models[2][0].weight.abs().sum() < models[0][0].weight.abs().sum()).item()


# ------------------------------------------------------------------------------------------- history, and what may fail


def test_the_history_has_a_row_for_each_epoch_and_a_column_for_each_network(device):
    train, held = classes(device), classes(device, 9)
    models = [perceptron().to(device) for _ in range(N)]
    records = []

    def after_epoch(record):
        records.append(record)
        for i, model in enumerate(models):  # the weights are those of this epoch
            found = training.evaluate(model, held, F.cross_entropy)
            assert record["validation_loss"][i].item() == pytest.approx(found["loss"])
            assert record["validation_accuracy"][i].item() == pytest.approx(found["accuracy"])

    history = fit_many(models, train, F.cross_entropy, lr=[0.1, 0.2, 0.3], epochs=2, batch_size=7, validation=held,
                       after_epoch=after_epoch)  # fmt: skip
    shapes = {name: tuple(column.shape) for name, column in history.items()}
    means = {f"{data}_{what}": (2, N) for data in ("train", "validation") for what in ("loss", "accuracy")}
    assert shapes == means | {"epoch": (2,), "seconds": (2,), "step_loss": (8, N), "diverged": (N,)}
    assert {column.device.type for column in history.values()} == {"cpu"}
    assert history["epoch"].tolist() == [1, 2] == [record["epoch"] for record in records]
    assert torch.equal(history["train_loss"][1], records[1]["train_loss"])
    weighted = (torch.tensor([7.0, 7, 7, 2])[:, None] * history["step_loss"][:4]).sum(0) / 23
    torch.testing.assert_close(history["train_loss"][0], weighted)


def test_a_network_that_diverges_is_told_of_and_disturbs_no_other(device):
    models = [perceptron().to(device) for _ in range(N)]
    twins = [copy.deepcopy(models[0]), copy.deepcopy(models[2])]
    data = torch.randn(23, 5, device=device), torch.randn(23, 4, device=device)
    options = {"seeds": 3, "epochs": 5, "validation": data, "momentum": 0.9}
    history = fit_many(models, data, F.mse_loss, lr=[0.1, 1e80, 0.01], **options)
    assert history["diverged"].tolist() == [False, True, False]
    assert not history["train_loss"][-1, 1].isfinite()
    assert not history["validation_loss"][-1, 1].isfinite()
    alone = fit_many(twins, data, F.mse_loss, lr=[0.1, 0.01], **options)
    assert not alone["diverged"].any()
    torch.testing.assert_close(history["validation_loss"][:, [0, 2]], alone["validation_loss"], **ALIKE)
    torch.testing.assert_close(models[2].state_dict(), twins[1].state_dict(), **ALIKE)


def test_what_after_epoch_raises_stops_the_run_with_the_weights_reached():
    models = [perceptron() for _ in range(N)]
    before = models[1][0].weight.clone()

    def stop(record):
        raise StopIteration

    with pytest.raises(StopIteration):
        fit_many(models, classes("cpu"), F.cross_entropy, lr=0.1, after_epoch=stop)
    assert not torch.equal(models[1][0].weight, before)
    assert not models[1].training

    def interrupt(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit_many(models, classes("cpu"), F.cross_entropy, epochs=5, after_epoch=interrupt)
    assert caught.value.__notes__ == ["fit_many stopped after epoch 2 of 5; the models keep the weights they reached"]


def test_one_network_alone_and_one_example():
    (model,) = models = [perceptron()]
    history = fit_many(models, classes("cpu", 1), F.cross_entropy, "adam", lr=[0.1], epochs=3)
    assert history["train_loss"].shape == (3, 1)
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert model(torch.zeros(1, 5)).shape == (1, 4)


def test_the_bar_is_seen_in_a_terminal_and_nowhere_else(capsys, monkeypatch):
    models = [perceptron() for _ in range(N)]
    slow = lambda record: time.sleep(0.3)  # noqa: E731
    fit_many(models, classes("cpu"), F.cross_entropy, epochs=5, after_epoch=slow)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit_many(models, classes("cpu"), F.cross_entropy, epochs=5, after_epoch=slow)
    assert "training 3 networks" in capsys.readouterr().err


def test_many_networks_take_a_fraction_of_the_time():
    torch.set_default_dtype(torch.float32)
    data = torch.randn(256, 64), torch.randint(10, (256,))
    models = [nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)) for _ in range(64)]

    def apart():
        for model in models:
            training.fit(model, data, F.cross_entropy, optimizers.Adam(model.parameters()), epochs=1)

    def timed(function):
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    together = lambda: fit_many(models, data, F.cross_entropy, "adam", epochs=1)  # noqa: E731
    ratio = min(timed(together) for _ in range(4)) / min(timed(apart) for _ in range(2))
    print(f"64 networks take {ratio:.2f} of the time of separate runs")
    assert ratio < 0.4  # the benchmark holds it to 0.2


# --------------------------------------------------------------------------------------------------------- bad input


def differing(change):
    models = [nn.Sequential(nn.Linear(5, 4), reg.Dropout(0.5), Applied(torch.tanh)) for _ in range(N)]
    change(models[1])
    return models


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("message", "models"),
    [
        (r"len\(models\): expected a number in \[1, inf\]; got 0", []),
        ("models: .*got one of them twice", [*[perceptron()] * 2]),
        (r"1.p is 0.2 in models\[1\], 0.5 in models\[0\]: train those", differing(lambda m: setattr(m[1], "p", 0.2))),
        (r"2.function is .*relu.* in models\[1\]", differing(lambda m: setattr(m[2], "function", torch.relu))),
        (r"1 is .*ReLU.* in models\[1\]", differing(lambda m: m.__setitem__(1, nn.ReLU()))),
        (r"0.weight is \(\(4, 5\), torch.float16.* in models\[1\], .*float32", differing(lambda m: m[0].half())),
        (r"0.bias is not there in models\[1\]", differing(lambda m: setattr(m[0], "bias", None))),
        ("expected parameters to train; got none", [nn.Linear(5, 4).requires_grad_(False)]),
    ],
)
def test_models_that_are_not_alike(message, models):
    with pytest.raises(ValueError, match=message):
        fit_many(models, classes("cpu"), F.cross_entropy)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "epochs: expected .*got 0", {"epochs": 0}),
        (ValueError, "batch_size: expected .*got 0", {"batch_size": 0}),
        (ValueError, "optimizer: expected one of 'sgd', .*; got 'muon'", {"optimizer": "muon"}),
        (TypeError, "sgd: expected hyperparameters among .*; got .'beta'", {"beta": 0.9}),
        (ValueError, r"lr: expected a number, or 3, one for each network; got shape \(2,\)", {"lr": [0.1, 0.2]}),
        (TypeError, "lr: expected a number, or 3, one for each network; got .'x'", {"lr": ["x"]}),
        (TypeError, "lr: expected a number, or 3, .*; got 'fast'", {"lr": "fast"}),
        (ValueError, "lr: expected a number in .*; got -1.0", {"lr": [0.1, 0.2, -1.0]}),
        (TypeError, "nesterov: expected one True or False", {"nesterov": [True, False, True], "momentum": 0.9}),
        (ValueError, "betas: expected 2 values, each a number or 3; got 0.9", {"optimizer": "adam", "betas": 0.9}),
        (ValueError, r"betas\[1\]: .*got shape \(2,\)", {"optimizer": "adam", "betas": (0.9, [0.1, 0.2])}),
        (ValueError, "seeds: expected one number, or 3, one for each network; got 2", {"seeds": [1, 2]}),
        (ValueError, "seeds: expected at least 0; got -1", {"seeds": [1, 2, -1]}),
        (ValueError, "schedule: expected one function, or 3, .*; got 1", {"schedule": [warm_up]}),
        (ValueError, "max_norm: .*got shape", {"max_norm": [1.0]}),
        (ValueError, "strength: .*got shape", {"strength": [1.0]}),
        (ValueError, "power: .*got shape", {"loss_hyper": {"power": [1.0]}}),
        (ValueError, r"rows: expected shape \(3, examples\); got \(23,\)", {"rows": torch.arange(23)}),
        (ValueError, r"rows: expected shape \(3, examples\); got \(2, 7\)", {"rows": torch.zeros(2, 7, dtype=int)}),
        (ValueError, "validation_rows: expected validation data", {"validation_rows": torch.zeros(3, 7, dtype=int)}),
        (ValueError, r"train: expected inputs .* got lengths \[23\]", {"train": (torch.ones(23, 5),)}),
        (ValueError, r"validation: .* got lengths \[3, 2\]", {"validation": (torch.ones(3, 5), torch.ones(2))}),
        (TypeError, r"train: expected a torch\.Tensor; got list", {"train": ([1.0], [2.0])}),
        (ValueError, r"loss: expected one number.*got shape \(23,\)", {"loss": nn.CrossEntropyLoss(reduction="none")}),
    ],
)
def test_bad_arguments_are_named(error, message, change):
    arguments = {"models": [perceptron() for _ in range(N)], "train": classes("cpu"), "loss": F.cross_entropy}
    with pytest.raises(error, match=message):
        fit_many(**{**arguments, **change})


@pytest.mark.bad_input
def test_what_is_no_model_is_named():
    with pytest.raises(TypeError, match=r"models: expected torch\.nn\.Modules; got function"):
        fit_many([perceptron, perceptron], classes("cpu"), F.cross_entropy)


@pytest.mark.bad_input
def test_a_model_that_looks_at_single_values_is_told_why_it_may_not():
    models = [Applied(lambda x: x if x.max() > 0 else -x) for _ in range(N)]
    for model in models:
        model.weight = nn.Parameter(torch.ones(1))
    with pytest.raises(RuntimeError, match="vmap") as caught:
        fit_many(models, classes("cpu"), F.cross_entropy)
    assert caught.value.__notes__ == ["fit_many runs model and loss once for all networks, under torch.func.vmap"]
