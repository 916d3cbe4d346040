"""What several activations need: a safe dtype, minus the absolute value, and a stated slope for straight pieces."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating

Number = int | float


def full_precision(input: Tensor) -> Tensor:
    """Check that ``input`` is floating point, and widen half precision to float32.

    A formula of several steps would round to half precision at each one. Computed in float32 and rounded once, at its
    end, it is as exact as torch's own kernels, which do the same.
    """
    check_floating("input", input)
    return input.float() if input.dtype in (torch.bfloat16, torch.float16) else input


def minus_abs(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r""":math:`-|x|`, whose exponential never overflows.

    At 0 its derivative is :math:`-1`. Autograd gives ``input.abs()`` the derivative 0 there, and a formula that holds
    for :math:`x \ge 0` would then get a wrong slope at 0.
    """
    return torch.where(input < 0, input, -input)


def with_slope(input: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """``value``, a function of ``input`` made of straight lines, whose derivative is the piecewise constant ``slope``.

    Stated rather than left to autograd for two reasons: at a kink the derivative is ours to choose, and backward keeps
    one number for each element, where autograd would keep a mask for each line (very slow when compiled for a CPU).
    """
    return _WithSlope.apply(input, value.detach(), slope.detach())  # type: ignore[return-value]


class _WithSlope(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        return value

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (slope,) = ctx.saved_tensors
        # A plain product would turn an infinite gradient, such as that of a square root at 0, into NaN where it is cut.
        return torch.where(slope == 0, 0.0, grad * slope), None, None
