"""What several activations need: a safe dtype, and a minus absolute value that autograd gets right at 0."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from dlbook._checks import check_floating

Number = int | float
Kernel = TypeVar("Kernel", bound=Callable[..., Tensor])


def widened(input: Tensor) -> Tensor:
    """The same values in float32 if they came in half precision, where each further step would round them again."""
    return input.float() if input.dtype in (torch.bfloat16, torch.float16) else input


def full_precision(kernel: Kernel) -> Kernel:
    """Check that ``input`` is floating point, and compute half precision in float32, as torch's own kernels do.

    Only the result is rounded to half precision, so a formula of several steps loses no more than one step would.
    """

    @wraps(kernel)
    def checked(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_floating("input", input)
        return kernel(widened(input), *args, **kwargs).to(input.dtype)

    return cast(Kernel, checked)


def minus_abs(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r""":math:`-|x|`, whose exponential never overflows.

    At 0 its derivative is :math:`-1`. Autograd gives ``input.abs()`` the derivative 0 there, and a formula that holds
    for :math:`x \ge 0` would then get a wrong slope at 0.
    """
    return torch.where(input < 0, input, -input)
