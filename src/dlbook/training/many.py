"""``fit_many``: a whole sweep of networks trained as one."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from dlbook._checks import check_whole
from dlbook._progress import progress_bar
from dlbook.training.stack import Stack, Weights
from dlbook.training.sweep import Batches, Learner, Numbers, Schedule, Tally

# Networks times examples that are evaluated in one go: more would only take more memory.
TOGETHER = 8192


def fit_many(
    models: Sequence[nn.Module],
    train: Sequence[Tensor],
    loss: Callable[..., Tensor],
    optimizer: str = "sgd",
    *,
    epochs: int = 10,
    batch_size: int = 32,
    validation: Sequence[Tensor] | None = None,
    seeds: int | Sequence[int] | None = None,
    rows: Int[Tensor, "networks examples"] | None = None,
    validation_rows: Int[Tensor, "networks held_out"] | None = None,
    schedule: Schedule | Sequence[Schedule] | None = None,
    max_norm: Numbers | None = None,
    loss_hyper: Mapping[str, Numbers] | None = None,
    penalty: Callable[[Weights], Tensor] | None = None,
    strength: Numbers = 1.0,
    after_epoch: Callable[[dict[str, Any]], object] | None = None,
    **hyper: Any,
) -> dict[str, Tensor]:
    r"""Train many small networks of one architecture at once, each as :func:`fit` would train it alone.

    A small network keeps a computer waiting: most of a step's time goes to starting some dozens of operations. Here
    the weights of all networks are stacked, and one operation does the work of all of them. They may differ in initial
    weights, order of the batches, data and every number that steers the training; not in layers or settings.

    A network that diverges disturbs no other: its losses become infinite or NaN, and ``"diverged"`` says so. All
    networks are left in evaluation mode with the weights that they reached.

    Args:
        models: The networks; on one device with the data. The code that runs is the first one's, hooks included.
        train: Tensors of equal length: the models' inputs, usually one, then the targets.
        loss: ``loss(outputs, targets)``, the mean over the batch.
        optimizer: One of this book's optimizers in lower case: ``"sgd"``, ``"adagrad"``, ``"adadelta"``,
            ``"rmsprop"``, ``"adam"``, ``"adamw"``, ``"nadam"`` or ``"lion"``.
        epochs: Passes over the training data.
        batch_size: Examples a step; the last step of an epoch takes what is left.
        validation: Held-out data in the same form, evaluated after each epoch.
        seeds: What settles the order of the batches: one number for all or one for each network, which then sees the
            batches that ``seed_everything(seed); fit(...)`` would show it. By default one order for all, drawn from
            torch's global generator, as is what dropout draws.
        rows: The training examples that each network gets to see, by number; all of them by default.
        validation_rows: The same for the validation: folds, for instance.
        schedule: Learning rate at each step, ``schedule(step, lr)``, with steps from 0 and the network's own ``lr``,
            such as ``dlbook.schedules`` makes; one for all or one for each network.
        max_norm: Greatest norm of a network's gradient, as in ``clip_grad_norm_``.
        loss_hyper: Further arguments of the loss by name, each a number or one for each network; the loss gets them as
            tensors without dimensions.
        penalty: Function of a network's weights, a dict by name, that is added to the loss: one number. What the
            history calls a loss is without it.
        strength: Factor of the penalty.
        after_epoch: Called with each epoch's record, when the models have that epoch's weights.
        **hyper: The optimizer's arguments, ``lr`` first: each a number or one for each network, and a pair of these
            for ``betas``.

    Returns:
        On the CPU, with a row for each epoch and a column for each network: ``"train_loss"``, ``"validation_loss"``,
        ``"train_accuracy"`` and ``"validation_accuracy"``, as :func:`fit` tells them; with a row for each step
        ``"step_loss"``; with an entry for each epoch ``"epoch"`` and ``"seconds"``; and with one for each network
        ``"diverged"``.

    Raises:
        ValueError: If the models are not alike, data are empty or differ in length, a number is out of range, or a
            sequence has not one entry for each network.
        TypeError: If data are no tensors, a hyperparameter is no number, or the optimizer does not know it.
        RuntimeError: From torch, if model or loss look at single values (``.item()``, ``if x.max() > 0``).

    Example:
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> lines = [nn.Linear(1, 1) for _ in range(3)]
        >>> history = fit_many(lines, (x, 3 * x), nn.functional.mse_loss, lr=[0.001, 0.1, 1e9], momentum=0.5)
        >>> history["train_loss"].shape, history["diverged"]
        (torch.Size([10, 3]), tensor([False, False,  True]))

    Source: torch.func's tutorial on model ensembling. Chapter: tuning.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        check_whole(name, value, 1)
    stack, count = Stack(models, loss, penalty), len(models)
    learner = Learner(stack, optimizer, hyper, schedule, max_norm, strength)
    extra = {name: stack.numbers(name, value) for name, value in (loss_hyper or {}).items()}
    if validation is None and validation_rows is not None:
        raise ValueError("validation_rows: expected validation data to pick from; got validation=None")
    held = None
    if validation is not None:
        held = Batches("validation", validation, max(1, TOGETHER // count), count, validation_rows, shuffled=False)
    batches = Batches("train", train, batch_size, count, rows, seeds)

    records: list[dict[str, Any]] = []
    steps: list[Tensor] = []
    bar = progress_bar(epochs * len(batches), f"training {count} networks", unit="batch")
    try:
        for epoch in range(1, epochs + 1):
            record, losses = _epoch(stack, learner, batches, extra, bar)
            if held is not None:
                record |= _judge(stack, held, extra)
            records.append({"epoch": epoch} | record)
            steps.append(losses)
            bar.set_postfix(median_loss=f"{record['train_loss'].nanmedian():.4g}")
            if after_epoch is not None:
                stack.write()
                after_epoch(records[-1])
    except KeyboardInterrupt as interrupt:
        reached = f"fit_many stopped after epoch {len(records)} of {epochs}"
        interrupt.add_note(f"{reached}; the models keep the weights they reached")
        raise
    finally:
        stack.write()
        for model in models:
            model.eval()
        bar.close()
    history = {name: torch.stack([torch.as_tensor(record[name]) for record in records]) for name in records[0]}
    history["step_loss"] = torch.cat(steps)
    return history | {"diverged": ~history["step_loss"].isfinite().all(0)}


def _epoch(stack: Stack, learner: Learner, batches: Batches, extra: Weights, bar: Any) -> tuple[dict[str, Any], Tensor]:
    """Every network's means over an epoch while it learns, and its loss at every step."""
    start = time.perf_counter()
    stack.train(True)
    tally = Tally()
    for batch in batches:
        results = stack.run(batch, extra)
        tally.add(results, batch[-1].shape[1])
        learner.step(results)
        bar.update()
    return tally.means("train") | {"seconds": time.perf_counter() - start}, tally.column("loss")


@torch.no_grad()
def _judge(stack: Stack, batches: Batches, extra: Weights) -> dict[str, Tensor]:
    """Every network's means over held-out data."""
    stack.train(False)
    tally = Tally()
    for batch in batches:
        tally.add(stack.run(batch, extra), batch[-1].shape[1])
    return tally.means("validation")
