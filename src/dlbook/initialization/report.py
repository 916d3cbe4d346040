"""What comes of the starting weights: the scale of signal and gradient in each layer of a network."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlbook._checks import check_tensor


class LayerSignal(NamedTuple):
    """What passes through one layer, forward and back: one row of :func:`signal_report`."""

    name: str
    kind: str
    mean: float
    std: float
    gradient_std: float
    weight_gradient_std: float


def signal_report(model: nn.Module, input: Tensor, loss: Callable[[Tensor], Tensor] | None = None) -> list[LayerSignal]:
    """Scale of the activations and of the gradients, layer by layer, on one batch.

    Gradients of the parameters are left as they are. A layer with running statistics updates them, if in training.

    Args:
        model: The network; its innermost modules are the layers.
        input: A batch.
        loss: From outputs to a number; the mean of their squares when ``None``.

    Returns:
        One row for each layer's call, in order: the layer's name and class; mean and standard deviation of its output;
        standard deviation of the loss's gradient with respect to the output and to the weight (NaN without one).

    Raises:
        TypeError: If ``input`` is not a tensor.

    Example:
        >>> layers = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
        >>> report = signal_report(nn.Sequential(*layers), torch.randn(128, 64))
        >>> report[0].gradient_std < 1e-6 * report[-1].gradient_std
        True

    Source: Glorot and Bengio (2010), figures 6 and 7. Chapter: initialization.
    """
    check_tensor("input", input)
    names = {module: name for name, module in model.named_modules() if not list(module.children())}
    calls: list[tuple[nn.Module, Tensor]] = []

    def record(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            calls.append((module, output))

    hooks = [module.register_forward_hook(record) for module in names]
    try:
        with torch.enable_grad():
            # An input with a gradient, so that layers without weights before the first weight are seen too.
            outputs = model(input.detach().requires_grad_() if input.is_floating_point() else input)
            value = outputs.square().mean() if loss is None else loss(outputs)
    finally:
        for hook in hooks:
            hook.remove()
    weights = [getattr(module, "weight", None) for module, _ in calls]
    learned = [w for w in weights if isinstance(w, Tensor) and w.requires_grad]
    grads = torch.autograd.grad(value, [output for _, output in calls] + learned, allow_unused=True)
    by_weight = {id(w): grad for w, grad in zip(learned, grads[len(calls) :], strict=True)}
    return [
        LayerSignal(
            names[module],
            type(module).__name__,
            output.detach().float().mean().item(),
            _std(output.detach()),
            _std(grad),
            _std(by_weight.get(id(weight))),
        )
        for (module, output), grad, weight in zip(calls, grads, weights, strict=False)
    ]


def _std(x: Tensor | None) -> float:
    return math.nan if x is None else x.float().std(correction=0).item()
