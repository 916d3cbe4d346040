"""Layers of weighted sums: of the inputs (``linear``), and of the products of two inputs (``bilinear``)."""

from math import sqrt

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from dlbook._checks import check_ndim, check_same, check_tensor, check_whole


def linear(
    input: Real[Tensor, "*batch in_features"],
    weight: Real[Tensor, "*out_features in_features"],
    bias: Real[Tensor, "*out_features"] | None = None,
) -> Real[Tensor, "..."]:
    r"""A layer of neurons without activation: every output is a weighted sum of all inputs, and a bias.

    .. math:: Y = X W^T + b

    Args:
        input: Inputs along the last axis.
        weight: One row of weights for each output; or one row alone, for a single output without an axis.
        bias: One number for each output.

    Returns:
        Weighted sums.

    Raises:
        TypeError: If an argument is no tensor or the dtypes differ.
        ValueError: If the shapes do not fit.

    Example:
        >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([0.5, 0.0]))
        tensor([[11.5000,  2.0000]])

    Source: torch.nn.functional.linear. Chapter: neurons.
    """
    check_tensor("input", input)
    check_tensor("weight", weight)
    check_same("weight", weight, "input", input)
    check_ndim("weight", weight, (1, 2), "(in_features,) or (out_features, in_features)")
    if not input.ndim or input.shape[-1] != weight.shape[-1]:
        raise ValueError(f"input: expected {weight.shape[-1]} features along the last axis; got {tuple(input.shape)}")
    output = input @ weight.T if weight.ndim == 2 else input @ weight
    return output if bias is None else output + _checked_bias(bias, weight, weight.shape[:-1])


def _checked_bias(bias: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    check_tensor("bias", bias)
    check_same("bias", bias, "weight", weight)
    if bias.shape != shape:
        raise ValueError(f"bias: expected shape {tuple(shape)}; got {tuple(bias.shape)}")
    return bias


def bilinear(
    input1: Float[Tensor, "*batch in1_features"],
    input2: Float[Tensor, "*batch in2_features"],
    weight: Float[Tensor, "out_features in1_features in2_features"],
    bias: Float[Tensor, " out_features"] | None = None,
) -> Float[Tensor, "*batch out_features"]:
    r"""Weighted sums of all products of an element of one input and an element of another.

    .. math:: y_o = \sum_{ij} x_i \, W_{oij} \, x'_j + b_o

    Args:
        input1: First inputs along the last axis.
        input2: Second inputs along the last axis, with the same other axes.
        weight: One matrix for each output.
        bias: One number for each output.

    Returns:
        Weighted sums.

    Raises:
        TypeError: If an argument is no tensor or the dtypes differ.
        ValueError: If the shapes do not fit.

    Example:
        >>> bilinear(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.ones(1, 2, 2))
        tensor([21.])

    Source: torch.nn.functional.bilinear. Chapter: neurons.
    """
    check_tensor("weight", weight)
    check_ndim("weight", weight, (3,), "(out_features, in1_features, in2_features)")
    for name, value, size in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        check_tensor(name, value)
        check_same(name, value, "weight", weight)
        if not value.ndim or value.shape[-1] != size:
            raise ValueError(f"{name}: expected {size} features along the last axis; got {tuple(value.shape)}")
    if input1.shape[:-1] != input2.shape[:-1]:
        raise ValueError(
            f"input2: expected the leading dimensions of input1, {tuple(input1.shape[:-1])}; "
            f"got {tuple(input2.shape[:-1])}"
        )
    # The first input turns the weights into one matrix an example; the second is multiplied by it.
    matrices = torch.einsum("...i,oij->...oj", input1, weight)
    output = torch.einsum("...oj,...j->...o", matrices, input2)
    return output if bias is None else output + _checked_bias(bias, weight, weight.shape[:1])


class Linear(nn.Module):
    r"""Fully connected layer, as ``torch.nn.Linear``; starts uniform over :math:`\pm 1/\sqrt{\text{in\_features}}`.

    Args:
        in_features: Number of inputs.
        out_features: Number of outputs.
        bias: Whether to add a learned number to each output.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Example:
        >>> Linear(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])

    Source: torch.nn.Linear. Chapter: neurons.
    """

    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole("in_features", in_features)
        check_whole("out_features", out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        fresh = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", fresh)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh, uniformly over ±1/√in_features."""
        _draw((self.weight, self.bias), self.in_features)

    def forward(self, input: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_features"]:
        """Weighted sums of the inputs."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _draw(parameters: tuple[Tensor | None, ...], inputs: int) -> None:
    for parameter in parameters:
        if parameter is not None and inputs > 0:
            nn.init.uniform_(parameter, -1 / sqrt(inputs), 1 / sqrt(inputs))


class Bilinear(nn.Module):
    r"""Layer of weighted products, as ``torch.nn.Bilinear``.

    It starts uniform over :math:`\pm 1/\sqrt{\text{in1\_features}}`.

    Args:
        in1_features: Number of first inputs, above 0.
        in2_features: Number of second inputs.
        out_features: Number of outputs.
        bias: Whether to add a learned number to each output.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        TypeError: If a size is no whole number.
        ValueError: If a size is negative, or ``in1_features`` 0.

    Example:
        >>> Bilinear(3, 5, 7)(torch.zeros(2, 3), torch.zeros(2, 5)).shape
        torch.Size([2, 7])

    Source: torch.nn.Bilinear. Chapter: neurons.
    """

    bias: Tensor | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole("in1_features", in1_features, 1)
        check_whole("in2_features", in2_features)
        check_whole("out_features", out_features)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        fresh = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", fresh)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh, uniformly over ±1/√in1_features."""
        _draw((self.weight, self.bias), self.in1_features)

    def forward(
        self, input1: Float[Tensor, "*batch in1_features"], input2: Float[Tensor, "*batch in2_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        """Weighted sums of the products."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{sizes}, out_features={self.out_features}, bias={self.bias is not None}"
