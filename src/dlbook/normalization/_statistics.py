"""What the norms share: standardize by one's own statistics, with the derivative stated, or by running ones."""

import math
from typing import Any

import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """Half precision as float32: means over many rounded numbers would drift."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def standardize(x: Tensor, over: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean 0 and variance 1 over the given axes; and what the mean and the variance were."""
    return _Standardize.apply(x, over, eps)  # type: ignore[return-value]


class _Standardize(torch.autograd.Function):
    r"""The step that all norms but RMS and local response share, with its derivative stated.

    With :math:`s = 1/\sqrt{\sigma^2 + \epsilon}` and :math:`y = s\,(x - \mu)`, the gradient :math:`g` of :math:`y`
    becomes

    .. math:: s\,\big(g - \overline{g} - y\,\overline{g y}\big)

    Mean and variance depend on every :math:`x`: so the gradient, too, loses its mean and its share along :math:`y`.
    Autograd finds the same in more passes over memory, which is what a norm's time goes to.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, over: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(over, keepdim=True)
        centred = x - mean
        var = centred.square().mean(over, keepdim=True)
        return centred * torch.rsqrt(var + eps), mean, var

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, list[int], float], output: tuple[Tensor, Tensor, Tensor]) -> None:
        _, mean, var = output
        ctx.set_materialize_grads(False)
        # Not the result, which is as large as the input: recomputing it costs less than storing it.
        ctx.save_for_backward(inputs[0], mean, var)
        ctx.over, ctx.eps = inputs[1:]

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor | None, grad_mean: Tensor | None, grad_var: Tensor | None
    ) -> tuple[Tensor, None, None]:
        x, mean, var = ctx.saved_tensors
        over = ctx.over
        scale = torch.rsqrt(var + ctx.eps)
        count = max(x.numel(), 1) // max(var.numel(), 1)
        out = torch.zeros_like(x)
        if grad is not None:
            y = (x - mean) * scale
            out = scale * (grad - grad.mean(over, keepdim=True) - y * (grad * y).mean(over, keepdim=True))
        # The statistics have gradients of their own in a second derivative only.
        if grad_mean is not None:
            out = out + grad_mean / count
        if grad_var is not None:
            out = out + 2 / count * grad_var * (x - mean)
        return out, None, None


def by_statistics(
    input: Tensor,
    over: list[int],
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_own: bool,
    momentum: float | Tensor,
    eps: float,
) -> Tensor:
    """Standardized by the input's own statistics, which move the running ones, or by the running ones."""
    x = widen(input)
    along_channels = (-1, *[1] * (x.ndim - 2))
    if not use_own:
        if running_mean is None or running_var is None:
            raise ValueError("running_mean, running_var: expected both where the input's own are not used; got None")
        return (x - running_mean.reshape(along_channels)) * torch.rsqrt(running_var.reshape(along_channels) + eps)
    y, mean, var = standardize(x, over, eps)
    count = math.prod([x.shape[axis] for axis in over])
    for running, own in ((running_mean, mean), (running_var, var * (count / max(count - 1, 1)))):
        if running is not None and x.numel():
            # Over the examples too, where each has statistics of its own.
            running.copy_(running + momentum * (own.detach().mean(0).flatten() - running))
    return y


def affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Scale and shift each channel."""
    along_channels = (-1, *[1] * (y.ndim - 2))
    y = y if weight is None else y * weight.reshape(along_channels)
    return y if bias is None else y + bias.reshape(along_channels)
