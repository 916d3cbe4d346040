"""The learning-rate range test: train a few steps while the rate climbs, watch the loss, and undo it all."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.optim import Optimizer

from dlbook._checks import check_range, check_tensor, check_whole
from dlbook.schedules.decay import exponential


def range_test(
    model: nn.Module,
    data: Sequence[Tensor],
    loss: Callable[[Any, Tensor], Tensor],
    optimizer: Optimizer,
    lr_min: float = 1e-7,
    lr_max: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    divergence: float = 4.0,
) -> tuple[Float64[Tensor, " tried"], Float64[Tensor, " tried"]]:
    r"""The loss of each step while the rate grows from very low to very high: a few seconds that save many trials.

    .. math:: \eta_t = \eta_{\min} \left(\frac{\eta_{\max}}{\eta_{\min}}\right)^{t / (n - 1)}

    Where the loss falls most steeply the rate is good; where it begins to rise, too high. The model, its optimizer and
    torch's random numbers are afterwards as they were before, so that training goes as if there had been no test.

    Args:
        model: Called with the inputs of a batch; it and the data share a device.
        data: Tensors of equal length: the model's inputs, usually one, then the targets.
        loss: ``loss(outputs, targets)``, the mean over the batch.
        optimizer: Holds the model's parameters; all parameter groups get the same rate.
        lr_min: First rate.
        lr_max: Last rate.
        steps: Rates to try, n, one batch each.
        batch_size: Examples a batch; the size that you mean to train with.
        divergence: Stop once the loss is more than this many times its lowest so far.

    Returns:
        The rates that were tried, and the loss before the step with each, on the CPU; fewer than ``steps`` if the loss
        diverged.

    Raises:
        ValueError: If a number is out of range, or the tensors are empty or differ in length.
        TypeError: If the data are no tensors or the optimizer is none.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> x, line = torch.linspace(-1, 1, 64)[:, None], nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
        >>> lrs, losses = range_test(line, (x, 3 * x), nn.functional.mse_loss, optimizer, lr_max=1e3)
        >>> 0.1 < lrs[losses.argmin()] < 10
        tensor(True)

    Source: Smith (2017), section 3.3. Chapter: schedules.
    """
    check_range("lr_min", lr_min, 0, open_low=True)
    check_range("lr_max", lr_max, lr_min, open_low=True)
    check_whole("steps", steps, 2)
    check_whole("batch_size", batch_size, 1)
    check_range("divergence", divergence, 1)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected a torch.optim.Optimizer; got {type(optimizer).__name__}")
    for index, tensor in enumerate(data):
        check_tensor(f"data[{index}]", tensor)
    if len(data) < 2 or len({len(tensor) for tensor in data}) > 1 or len(data[-1]) == 0:
        raise ValueError(f"data: expected inputs and targets, equally many; got lengths {[len(x) for x in data]}")
    growth = (lr_max / lr_min) ** (1 / (steps - 1))
    rates = exponential(growth)(torch.arange(steps, dtype=torch.float64), lr_min)
    losses: list[float] = []
    with _undone(model, optimizer, data[-1].device):
        model.train()
        for lr, rows in zip(rates.tolist(), _batches(len(data[-1]), batch_size, data[-1].device), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = lr
            *inputs, targets = (tensor[rows] for tensor in data)
            optimizer.zero_grad()
            value = loss(model(*inputs), targets)
            value.backward()
            optimizer.step()
            losses.append(value.item())
            lowest = min(losses)
            if not losses[-1] <= lowest + (divergence - 1) * abs(lowest):  # nor is NaN
                break
    return rates[: len(losses)], torch.tensor(losses, dtype=torch.float64)


@contextlib.contextmanager
def _undone(model: nn.Module, optimizer: Optimizer, device: torch.device) -> Iterator[None]:
    """Whatever happens inside, values, gradients, modes, the optimizer and the random numbers come back."""
    learned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    values = [(tensor, tensor.detach().clone()) for tensor in {*learned, *model.parameters(), *model.buffers()}]
    gradients = [(parameter, parameter.grad) for parameter in {*learned, *model.parameters()}]
    modes = [(module, module.training) for module in model.modules()]
    state = copy.deepcopy(optimizer.state_dict())
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in values:
                    tensor.copy_(value)
            for parameter, gradient in gradients:
                parameter.grad = gradient
            for module, training in modes:
                module.training = training
            optimizer.load_state_dict(state)


def _batches(size: int, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Rows of whole batches, shuffled anew each time round, for ever."""
    while True:
        yield from torch.randperm(size, device=device).split(batch_size)[: max(size // batch_size, 1)]
