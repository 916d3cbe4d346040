"""The base of the layers with parameters: a weight that starts at 1 and a bias that starts at 0."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Device = torch.device | str | int | None
Input = Float[Tensor, "..."]


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
