import math
import random
import sys
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

from dlbook import datasets, schedules, training
from dlbook._progress import progress_bar

SCHEDULERS = {
    "none": lambda optimizer: None,
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 40),
    "multi-step": lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [10, 20]),
    "one-cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=60),
    "lambda": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step)),
}


def setting(device="cpu", seed=0, optimizer=torch.optim.Adam, scheduler="none"):
    """A small classifier with every source of randomness and state that a checkpoint must hold."""
    training.seed_everything(seed)
    net = nn.Sequential(nn.Linear(2, 11), nn.BatchNorm1d(11), nn.ReLU(), nn.Dropout(0.3), nn.Linear(11, 3)).to(device)
    rule = optimizer(net.parameters(), lr=0.02)
    return net, rule, SCHEDULERS[scheduler](rule)


def data(device="cpu"):
    return datasets.blobs(101, seed=1).to(device), datasets.blobs(53, seed=2).to(device)


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left | right)


def without_seconds(history):
    return {name: column for name, column in history.items() if name != "seconds"}


# -------------------------------------------------------------------------------------------------- seed_everything


def test_one_seed_settles_every_generator(device):
    def draw():
        return random.random(), np.random.rand(), torch.rand(3).tolist(), torch.rand(3, device=device).tolist()  # noqa: NPY002

    training.seed_everything(5)
    first = draw()
    assert draw() != first
    training.seed_everything(5)
    assert draw() == first
    training.seed_everything(6)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=f"seed: .*got {seed}"):
        training.seed_everything(seed)


# --------------------------------------------------------------------------------------------------------- evaluate


@pytest.mark.parametrize("batch_size", [1, 7, 10, 101, 1000])
def test_evaluate_is_the_mean_over_all_examples(device, batch_size):
    net, *_ = setting(device)
    (x, y), _ = data(device)
    found = training.evaluate(net, (x, y), F.cross_entropy, batch_size)
    net.eval()
    outputs = net(x)
    assert found["loss"] == pytest.approx(F.cross_entropy(outputs, y).item(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((outputs.argmax(1) == y).double().mean().item())
    assert set(found) == {"loss", "accuracy"}


@pytest.mark.parametrize("mode", [True, False])
def test_evaluate_learns_nothing_and_gives_the_mode_back(mode):
    net, *_ = setting()
    net.train(mode)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    training.evaluate(net, data()[0], F.cross_entropy)
    assert net.training is mode
    assert same(before, net.state_dict())
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(ZeroDivisionError):
        training.evaluate(net, data()[0], lambda *_: 1 / 0)
    assert net.training is mode


@pytest.mark.parametrize(("outputs", "targets", "expected"), [
    (torch.eye(3), torch.tensor([0, 1, 1]), 2 / 3),
    (torch.eye(3)[:, :, None].expand(3, 3, 5), torch.tensor([0, 2, 2])[:, None].expand(3, 5), 2 / 3),  # pixels
    (torch.eye(3), torch.eye(3), None),  # one-hot targets: a regression, as far as anyone can tell
    (torch.zeros(3, 7, 5), torch.zeros(3, 7, dtype=torch.long), None),  # classes along the last dim
    (torch.zeros(3), torch.zeros(3, dtype=torch.long), None),
])  # fmt: skip
def test_accuracy_is_told_where_targets_are_classes(outputs, targets, expected):
    found = training.evaluate(nn.Identity(), (outputs, targets), lambda outputs, _: outputs.sum(), 2)
    assert found.get("accuracy") == (None if expected is None else pytest.approx(expected))


def test_a_model_of_several_inputs():
    net = nn.Bilinear(2, 3, 1)
    tensors = (torch.randn(17, 2), torch.randn(17, 3), torch.randn(17, 1))
    found = training.evaluate(net, tensors, F.mse_loss, 5)
    assert found == {"loss": pytest.approx(F.mse_loss(net(*tensors[:2]), tensors[2]).item(), rel=1e-5)}
    history = training.fit(net, tensors, F.mse_loss, torch.optim.SGD(net.parameters(), lr=0.1), epochs=20)
    assert history["train_loss"][-1] < history["train_loss"][0]


# -------------------------------------------------------------------------------------------------------------- fit


def test_full_batch_steps_are_those_of_a_hand_written_loop(device):
    x, y = torch.randn(23, 3, device=device), torch.randn(23, 2, device=device)
    ours, theirs = nn.Linear(3, 2).to(device), nn.Linear(3, 2).to(device)
    theirs.load_state_dict(ours.state_dict())
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    history = training.fit(ours, (x, y), F.mse_loss, optimizer, epochs=7, batch_size=23)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(7):
        optimizer.zero_grad()
        loss = F.mse_loss(theirs(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    assert history["train_loss"] == pytest.approx(losses, rel=1e-5)


def test_each_epoch_sees_every_example_once_in_a_new_order():
    seen = []
    net = nn.Linear(1, 1)
    x = torch.arange(11.0)[:, None]

    def loss(outputs, targets):
        seen.append(targets.flatten().tolist())
        return 0 * outputs.sum() + len(targets)

    history = training.fit(net, (x, x), loss, torch.optim.SGD(net.parameters(), lr=0.1), epochs=2, batch_size=4)
    assert [len(batch) for batch in seen] == [4, 4, 3, 4, 4, 3]
    first, second = list(chain(*seen[:3])), list(chain(*seen[3:]))
    assert sorted(first) == sorted(second) == x.flatten().tolist()
    assert first != second != sorted(second)
    assert history["train_loss"] == pytest.approx([(16 + 16 + 9) / 11] * 2)  # the short batch weighs less


def test_it_learns_and_the_history_is_what_evaluate_says(device):
    train, validation = data(device)
    net, rule, _ = setting(device)
    history = training.fit(net, train, F.cross_entropy, rule, epochs=30, batch_size=13, validation=validation)
    columns = {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds"}
    assert set(history) == columns
    assert {len(column) for column in history.values()} == {30}
    assert history["epoch"] == list(range(1, 31))
    assert history["validation_accuracy"][-1] > 0.95
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert min(history["seconds"]) > 0
    assert not net.training
    last = training.evaluate(net, validation, F.cross_entropy)
    assert history["validation_loss"][-1] == pytest.approx(last["loss"])
    assert history["validation_accuracy"][-1] == last["accuracy"]


def test_a_seed_settles_the_run_and_another_changes_it():
    runs = []
    for seed in (0, 0, 1):
        net, rule, _ = setting(seed=seed)
        history = training.fit(net, data()[0], F.cross_entropy, rule, epochs=3)
        runs.append((without_seconds(history), net.state_dict()))
    assert runs[0][0] == runs[1][0] != runs[2][0]
    assert same(runs[0][1], runs[1][1])


def test_the_scheduler_moves_with_every_step():
    net, rule, scheduler = setting(scheduler="lambda")
    training.fit(net, data()[0], F.cross_entropy, rule, epochs=2, batch_size=23, scheduler=scheduler)
    assert rule.param_groups[0]["lr"] == pytest.approx(0.02 / (1 + 10))


def test_early_stopping_ends_with_the_best_weights():
    train, validation = data()
    net, rule, _ = setting()
    weights, levels = [], iter([5.0, 3.0, math.nan, 2.0, 2.0, 4.0, 1.0])

    def loss(outputs, targets):
        return F.cross_entropy(outputs, targets) if net.training else torch.tensor(next(levels))

    def keep(record):
        weights.append({name: value.clone() for name, value in net.state_dict().items()})

    history = training.fit(net, train, loss, rule, epochs=50, validation=validation, patience=2, after_epoch=keep)
    assert history["validation_loss"][:2] == [5.0, 3.0]
    assert history["epoch"][-1] == 6  # the fourth was the best; two without a lower one
    assert same(net.state_dict(), weights[3])
    assert not same(net.state_dict(), weights[5])


def test_patience_that_never_runs_out_still_ends_with_the_best_weights():
    train, validation = data()
    net, rule, _ = setting()
    levels = iter([2.0, 1.0, 3.0])

    def loss(outputs, targets):
        return F.cross_entropy(outputs, targets) if net.training else torch.tensor(next(levels))

    weights = []
    training.fit(net, train, loss, rule, epochs=3, validation=validation, patience=9,
                 after_epoch=lambda _: weights.append(net[0].weight.clone()))  # fmt: skip
    assert torch.equal(net[0].weight, weights[1])


def test_after_epoch_sees_each_record_and_may_stop_the_run():
    net, rule, _ = setting()
    records = []

    def stop(record):
        records.append(record)
        if record["epoch"] == 3:
            raise StopIteration

    with pytest.raises(StopIteration):
        training.fit(net, data()[0], F.cross_entropy, rule, epochs=9, after_epoch=stop)
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert set(records[0]) == {"epoch", "train_loss", "train_accuracy", "seconds"}
    assert not net.training


# ------------------------------------------------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)])
def test_a_resumed_run_goes_on_to_the_bit(tmp_path, optimizer, scheduler):
    train, validation = data()
    path = tmp_path / "deep" / "run.pt"

    def run(epochs, checkpoint=None):
        net, rule, schedule = setting(optimizer=optimizer, scheduler=scheduler)
        history = training.fit(net, train, F.cross_entropy, rule, epochs=epochs, batch_size=17, validation=validation,
                               scheduler=schedule, checkpoint=checkpoint)  # fmt: skip
        return net.state_dict(), without_seconds(history), (random.random(), np.random.rand(), torch.rand(2).tolist())  # noqa: NPY002

    whole = run(6)
    run(2, path)
    run(5, str(path))
    resumed = run(6, path)
    assert same(whole[0], resumed[0])
    assert whole[1:] == resumed[1:]
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


def test_resuming_on_any_device(device, tmp_path):
    train, validation = data(device)
    histories = []
    for epochs in (2, 4):
        net, rule, _ = setting(device)
        histories.append(training.fit(net, train, F.cross_entropy, rule, epochs=epochs, validation=validation,
                                      checkpoint=tmp_path / "run.pt"))  # fmt: skip
    assert histories[1]["train_loss"][:2] == histories[0]["train_loss"]
    assert histories[1]["epoch"] == [1, 2, 3, 4]
    net, rule, _ = setting(device)
    whole = training.fit(net, train, F.cross_entropy, rule, epochs=4, validation=validation)
    assert histories[1]["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-4)


def test_early_stopping_survives_a_resume(tmp_path):
    train, validation = data()
    path = tmp_path / "run.pt"
    levels = [3.0, 1.0, 2.0, 2.0, 2.0, 0.0]

    def run(epochs, start):
        net, rule, _ = setting()
        left = iter(levels[start:])
        loss = lambda outputs, targets: (  # noqa: E731
            F.cross_entropy(outputs, targets) if net.training else torch.tensor(next(left))
        )
        history = training.fit(
            net, train, loss, rule, epochs=epochs, validation=validation, patience=3, checkpoint=path
        )
        return net.state_dict(), history

    best, _ = run(2, 0)
    weights, history = run(9, 2)
    assert history["validation_loss"] == levels[:5]
    assert same(weights, best)
    again, history = run(9, 5)  # a finished run stays finished
    assert history["validation_loss"] == levels[:5]
    assert same(again, best)


def test_an_interrupt_keeps_the_model_and_the_last_whole_epoch(tmp_path):
    train, _ = data()
    path = tmp_path / "run.pt"
    steps = iter([*[None] * 10, KeyboardInterrupt])

    def loss(outputs, targets):
        if next(steps) is KeyboardInterrupt:
            raise KeyboardInterrupt
        return F.cross_entropy(outputs, targets)

    net, rule, _ = setting()
    with pytest.raises(KeyboardInterrupt) as caught:
        training.fit(net, train, loss, rule, epochs=9, batch_size=26, checkpoint=path)
    assert caught.value.__notes__ == ["fit stopped in epoch 3 of 9; the model keeps the weights it reached"]
    assert not net.training
    assert torch.isfinite(net(train.inputs)).all()

    resumed, rule, _ = setting()
    history = training.fit(resumed, train, F.cross_entropy, rule, epochs=4, batch_size=26, checkpoint=path)
    whole, rule, _ = setting()
    expected = training.fit(whole, train, F.cross_entropy, rule, epochs=4, batch_size=26)
    assert without_seconds(history) == without_seconds(expected)
    assert same(resumed.state_dict(), whole.state_dict())


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    net, rule, _ = setting()
    training.fit(net, data()[0], F.cross_entropy, rule, epochs=1, checkpoint=path)
    before = path.read_bytes()

    def fail(content, file):
        Path(file).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        training.fit(net, data()[0], F.cross_entropy, rule, epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_a_bad_checkpoint_is_named(tmp_path, capsys):
    net, rule, _ = setting()
    path = tmp_path / "run.pt"

    def run(net=net, rule=rule, **options):
        training.fit(net, data()[0], F.cross_entropy, rule, epochs=1, checkpoint=path, **options)

    for content in (b"", b"rubbish", "save"):
        path.write_bytes(content) if content != "save" else torch.save({"model": net.state_dict()}, path)
        with pytest.raises(ValueError, match=r"checkpoint: expected a file that fit wrote; .*run\.pt"):
            run()
    torch.save(Evil(), path)
    with pytest.raises(ValueError, match="checkpoint: expected a file that fit wrote"):
        run()
    assert "unpickled" not in capsys.readouterr().out
    path.unlink()
    run()
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match="checkpoint: expected a file that fit wrote"):
        run()
    path.unlink()
    run()
    with pytest.raises(ValueError, match=r"checkpoint: .*'batch_size': 32.* this run has .*'batch_size': 50"):
        run(batch_size=50)
    other = nn.Linear(2, 3)
    with pytest.raises(ValueError, match="is of another model or optimizer"):
        run(other, torch.optim.SGD(other.parameters(), lr=0.1))


# ------------------------------------------------------------------------------------------------------- bad input


def test_divergence_names_epoch_and_batch():
    net = nn.Linear(1, 1)
    x = torch.linspace(-1, 1, 40)[:, None]
    rule = torch.optim.SGD(net.parameters(), lr=1e9)
    with pytest.raises(training.Diverged, match=r"the loss is (inf|nan) in epoch \d+, batch \d+ of 4: try a smaller"):
        training.fit(net, (x, x), F.mse_loss, rule, epochs=99, batch_size=10)
    net, rule, _ = setting()
    losses = iter([1.0] * 9 + [math.inf, -math.inf] + [1.0] * 9)
    with pytest.raises(training.Diverged, match="the loss is inf in epoch 3, batch 2 of 4") as caught:
        training.fit(net, data()[0], lambda outputs, _: 0 * outputs.sum() + next(losses), rule, batch_size=26)
    assert caught.value.history["train_loss"] == pytest.approx([1.0, 1.0])
    assert isinstance(caught.value, ArithmeticError)
    assert not net.training


@pytest.mark.bad_input
def test_bad_arguments_are_named():
    net, rule, _ = setting()
    train, validation = data()
    arguments = (net, train, F.cross_entropy, rule)
    for name in ("epochs", "batch_size", "patience"):
        with pytest.raises(ValueError, match=rf"{name}: expected .*got 0"):
            training.fit(*arguments, validation=validation, **{name: 0})
    with pytest.raises(ValueError, match="patience: expected validation data"):
        training.fit(*arguments, patience=3)
    for plateau in (lr_scheduler.ReduceLROnPlateau, schedules.ReduceOnPlateau):
        with pytest.raises(TypeError, match=f"got {plateau.__name__}: step it in after_epoch"):
            training.fit(*arguments, scheduler=plateau(rule))
    with pytest.raises(ValueError, match=r"loss: expected one number.*got shape \(32,\)"):
        training.fit(net, train, nn.CrossEntropyLoss(reduction="none"), rule)
    for bad, message in [
        ((train.inputs,), r"got lengths \[101\]"),
        ((train.inputs, train.targets[:7]), r"got lengths \[101, 7\]"),
        ((train.inputs[:0], train.targets[:0]), r"got lengths \[0, 0\]"),
    ]:
        with pytest.raises(ValueError, match="train: expected inputs and targets of one length.*" + message):
            training.fit(net, bad, F.cross_entropy, rule)
        with pytest.raises(ValueError, match="validation: expected inputs .*" + message):
            training.fit(*arguments, validation=bad)
        with pytest.raises(ValueError, match="data: expected inputs .*" + message):
            training.evaluate(net, bad, F.cross_entropy)
    with pytest.raises(TypeError, match=r"train: expected a torch\.Tensor; got ndarray"):
        training.fit(net, (train.inputs.numpy(), train.targets), F.cross_entropy, rule)
    with pytest.raises(ValueError, match=r"batch_size: expected .*got 0"):
        training.evaluate(net, train, F.cross_entropy, 0)


# --------------------------------------------------------------------------------------------- the bar, and the cost


def test_the_bar_is_seen_in_a_terminal_and_nowhere_else(capsys, monkeypatch):
    net, rule, _ = setting()

    def slow(outputs, targets):
        time.sleep(0.03)
        return F.cross_entropy(outputs, targets)

    training.fit(net, data()[0], slow, rule, epochs=10)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    training.fit(net, data()[0], slow, rule, epochs=10)
    seen = capsys.readouterr()
    assert "training" in seen.err
    assert "train_loss" in seen.err
    assert seen.out == ""


def test_the_loop_adds_little_to_the_steps_themselves():
    x, y = torch.randn(4096, 64), torch.randint(10, (4096,))
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    rule = torch.optim.SGD(net.parameters(), lr=0.01)

    def bare():
        for start in range(0, 4096, 32):
            rule.zero_grad()
            F.cross_entropy(net(x[start : start + 32]), y[start : start + 32]).backward()
            rule.step()

    def timed(function):
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    ours = lambda: training.fit(net, (x, y), F.cross_entropy, rule, epochs=1)  # noqa: E731
    ratio = min(timed(ours) for _ in range(5)) / min(timed(bare) for _ in range(5))
    print(f"fit takes {ratio:.2f} times a bare loop")
    assert ratio < 2.5


@pytest.mark.parametrize(("static", "silent"), [("1", True), ("0", False)])
def test_a_page_that_is_being_built_gets_no_bar(monkeypatch, static, silent):
    import IPython

    class Shell:
        kernel = object()

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    monkeypatch.setenv("DLBOOK_STATIC", static)
    bar = progress_bar(3, "training")
    assert bar.disable is silent
    bar.close()
