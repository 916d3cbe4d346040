"""``fit`` and ``evaluate``: the loop over epochs and batches, and the measure of a model."""

import inspect
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlbook._checks import check_range, check_tensor
from dlbook._progress import progress_bar
from dlbook.training.checkpoint import History, Run

Loss = Callable[[Any, Tensor], Tensor]


class Diverged(ArithmeticError):
    """The training loss became infinite or NaN; ``history`` holds the epochs before that one."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def evaluate(model: nn.Module, data: Sequence[Tensor], loss: Loss, batch_size: int = 1000) -> dict[str, float]:
    """Mean loss of a model over data, and its accuracy where the targets are classes; nothing is learned.

    The model is in evaluation mode meanwhile (no dropout, running statistics) and then again in the mode it was in.

    Args:
        model: Called with the inputs of a batch.
        data: Tensors of equal length: the model's inputs, usually one, then the targets.
        loss: ``loss(outputs, targets)``, the mean over the batch.
        batch_size: Examples a batch; it changes speed and memory, and the result by rounding only.

    Returns:
        ``"loss"``; and ``"accuracy"``, a share in [0, 1], if the targets are integers and the outputs hold one score
        per class along dim 1.

    Raises:
        ValueError: If the tensors are empty or differ in length, ``batch_size`` is below 1, or the loss is no scalar.

    Example:
        >>> evaluate(nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 1])), nn.functional.cross_entropy)["accuracy"]
        0.6666...

    Source: Goodfellow et al. (2016), section 5.3. Chapter: optimizers.
    """
    check_data("data", data)
    check_range("batch_size", batch_size, 1)
    tally = _Tally()
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for *inputs, targets in zip(*(tensor.split(batch_size) for tensor in data), strict=True):
                outputs = model(*inputs)
                tally.add(loss(outputs, targets), outputs, targets)
    finally:
        model.train(training)
    return tally.means()


def fit(
    model: nn.Module,
    train: Sequence[Tensor],
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    validation: Sequence[Tensor] | None = None,
    patience: int | None = None,
    scheduler: LRScheduler | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    after_epoch: Callable[[dict[str, float]], object] | None = None,
) -> History:
    """Train a model, and tell how it went.

    Shuffling draws its seed from torch's global generator, so ``seed_everything`` settles the whole run. The model is
    left in evaluation mode. If you interrupt the run, the interrupt goes on to your program; the model keeps the
    weights that it had reached and the checkpoint keeps the last whole epoch.

    Args:
        model: Called with the inputs of a batch; it and the data share a device.
        train: Tensors of equal length: the model's inputs, usually one, then the targets.
        loss: ``loss(outputs, targets)``, the mean over the batch.
        optimizer: Already holds the model's parameters.
        epochs: Passes over the training data, those of a resumed run included.
        batch_size: Examples a step; the last step of an epoch takes what is left (batch norm needs two).
        validation: Held-out data in the same form, evaluated after each epoch.
        patience: Stop after so many epochs without a lower validation loss, and end with the weights of the best epoch.
        scheduler: Stepped after every optimizer step, not after every epoch.
        checkpoint: File written after each epoch. If it exists, the run goes on from there, to the bit on the CPU.
        after_epoch: Called with each epoch's record; what it raises stops the run.

    Returns:
        One list per quantity, one entry per epoch: ``"epoch"`` (from 1), ``"train_loss"`` (mean over the epoch, while
        the weights move), ``"seconds"`` (training alone); with validation ``"validation_loss"``; and
        ``"train_accuracy"`` and ``"validation_accuracy"`` where ``evaluate`` gives one.

    Raises:
        ValueError: If data are empty or differ in length, a number is out of range, patience comes without validation,
            the loss is not a scalar, or the checkpoint is of another run.
        TypeError: If data are no tensors, or the scheduler waits for a loss (step it in ``after_epoch``).
        Diverged: If the training loss is infinite or NaN.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> line = nn.Linear(1, 1)
        >>> history = fit(line, (x, 3 * x), nn.functional.mse_loss, torch.optim.SGD(line.parameters(), lr=0.1))
        >>> history["epoch"][-1], history["train_loss"][-1] < history["train_loss"][0]
        (10, True)

    Source: Goodfellow et al. (2016), sections 7.8 and 8.1. Chapter: optimizers.
    """
    check_data("train", train)
    for name, value in (
        ("epochs", epochs),
        ("batch_size", batch_size),
        ("patience", 1 if patience is None else patience),
    ):
        check_range(name, value, 1)
    if validation is not None:
        check_data("validation", validation)
    elif patience is not None:
        raise ValueError("patience: expected validation data to watch; got validation=None")
    if scheduler is not None and "metrics" in inspect.signature(scheduler.step).parameters:
        kind = type(scheduler).__name__
        raise TypeError(f"scheduler: expected one that is stepped each batch; got {kind}: step it in after_epoch")

    settings = {"examples": len(train[-1]), "batch_size": batch_size, "validation": validation is not None}
    run = Run(model, optimizer, scheduler, settings | {"early_stopping": patience is not None}, train[-1].device)
    if checkpoint is not None and Path(checkpoint).exists():
        run.load(Path(checkpoint))
    steps = math.ceil(len(train[-1]) / batch_size)
    bar = progress_bar(epochs * steps, "training", unit="batch", initial=run.epochs * steps)
    try:
        while run.epochs < epochs and not (patience is not None and run.stale() >= patience):
            record = _epoch(run, train, loss, batch_size, bar)
            if validation is not None:
                judged = evaluate(model, validation, loss, max(batch_size, 1000))
                record |= {f"validation_{name}": value for name, value in judged.items()}
            run.add(record)
            bar.set_postfix({name: f"{value:.4g}" for name, value in record.items() if name.endswith("loss")})
            if checkpoint is not None:
                run.save(Path(checkpoint))
            if after_epoch is not None:
                after_epoch(record)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"fit stopped in epoch {run.epochs + 1} of {epochs}; the model keeps the weights it reached")
        raise
    finally:
        model.eval()
        bar.close()
    if patience is not None:
        model.load_state_dict(run.best)
    return run.history


def _epoch(run: Run, train: Sequence[Tensor], loss: Loss, batch_size: int, bar: Any) -> dict[str, float]:
    start = time.perf_counter()
    tally = _Tally()
    run.model.train()
    order = torch.randperm(len(train[-1]), generator=run.generator, device=run.generator.device)
    for rows in order.split(batch_size):
        *inputs, targets = (tensor[rows] for tensor in train)
        run.optimizer.zero_grad()
        outputs = run.model(*inputs)
        value = loss(outputs, targets)
        tally.add(value, outputs, targets)
        value.backward()
        run.optimizer.step()
        if run.scheduler is not None:
            run.scheduler.step()
        bar.update()
    means = tally.means()
    if not math.isfinite(means["loss"]):
        losses = [float(value) for value in tally.losses]
        batch = next((i for i, value in enumerate(losses) if not math.isfinite(value)), 0)
        where = f"epoch {run.epochs + 1}, batch {batch + 1} of {len(losses)}"
        advice = "try a smaller learning rate, or clip the gradients"
        raise Diverged(f"the loss is {losses[batch]} in {where}: {advice}", run.history)
    seconds = time.perf_counter() - start
    return {"epoch": run.epochs + 1} | {f"train_{name}": value for name, value in means.items()} | {"seconds": seconds}


class _Tally:
    """Losses and accuracies of the batches, kept on the device: a GPU is waited for once, in ``means``."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.accuracies: list[Tensor] = []
        self.sizes: list[int] = []

    def add(self, value: Tensor, outputs: Any, targets: Tensor) -> None:
        """Note one batch."""
        check_loss(value)
        self.losses.append(value.detach())
        self.sizes.append(len(targets))
        accuracy = share_correct(outputs, targets)
        if accuracy is not None:
            self.accuracies.append(accuracy)

    def means(self) -> dict[str, float]:
        """Means over the examples, the last and smaller batch weighted as it should be."""
        columns = {"loss": self.losses, "accuracy": self.accuracies}
        numbers = {name: torch.stack(column).tolist() for name, column in columns.items() if column}
        return {
            name: sum(value * size for value, size in zip(column, self.sizes, strict=True)) / sum(self.sizes)
            for name, column in numbers.items()
        }


def check_loss(value: Tensor) -> None:
    """Raise ``ValueError`` unless the loss of a batch is one number."""
    if value.ndim != 0:
        raise ValueError(f"loss: expected one number, the mean over the batch; got shape {tuple(value.shape)}")


def share_correct(outputs: Any, targets: Tensor) -> Tensor | None:
    """Accuracy, where there is one: targets that are classes, and their scores along dim 1 of the outputs."""
    if targets.is_floating_point() or not isinstance(outputs, Tensor) or outputs.ndim < 2:
        return None
    if outputs.shape[:1] + outputs.shape[2:] != targets.shape:
        return None
    return (outputs.detach().argmax(1) == targets).float().mean()


def check_data(name: str, data: Sequence[Tensor]) -> None:
    """Raise unless data are tensors (``TypeError``), two or more, of one length above 0 (``ValueError``)."""
    for tensor in data:
        check_tensor(name, tensor)
    lengths = [len(tensor) for tensor in data]
    if len(lengths) < 2 or len(set(lengths)) > 1 or lengths[0] == 0:
        raise ValueError(f"{name}: expected inputs and targets of one length, not empty; got lengths {lengths}")
