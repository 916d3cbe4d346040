"""The base of the layers without parameters: a function and its settings."""

from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Int, Shaped
from torch import Tensor, nn


class Layer(nn.Module):
    """Keeps the arguments of ``function`` as attributes, under torch's names, and calls it with them."""

    function: ClassVar[Callable]

    def __init__(self, **settings) -> None:
        super().__init__()
        self._names = tuple(settings)
        for name, value in settings.items():
            setattr(self, name, value)

    @property
    def settings(self) -> dict:
        """The arguments as they are now: a changed attribute changes the layer."""
        return {name: getattr(self, name) for name in self._names}

    def forward(
        self, input: Shaped[Tensor, "..."]
    ) -> Shaped[Tensor, "..."] | tuple[Shaped[Tensor, "..."], Int[Tensor, "..."]]:
        """Apply the function to the input."""
        return self.function(input, **self.settings)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
