"""The base of the layers with parameters: a weight that starts at 1 and a bias that starts at 0."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_whole

Device = torch.device | str | int | None
Input = Float[Tensor, "..."]


def as_shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes of the last axes as a tuple; a lone number is the last axis's."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    for size in shape:
        check_whole("normalized_shape", size)
    return shape


class AffineLayer(nn.Module):
    """A weight that starts at 1 and a bias that starts at 0, or neither."""

    weight: Tensor | None
    bias: Tensor | None

    def add_parameters(self, shape: tuple[int, ...], affine: bool, bias: bool, kind: dict[str, Any]) -> None:
        self.register_parameter("weight", nn.Parameter(torch.ones(shape, **kind)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(shape, **kind)) if affine and bias else None)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            if isinstance(parameter, Tensor):
                nn.init.constant_(parameter, value)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        hidden = ("training",)
        settings = {name: value for name, value in vars(self).items() if name[0] != "_" and name not in hidden}
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())
