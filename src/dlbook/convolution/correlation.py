"""Cross-correlation and its two adjoints: the products that every convolution is made of.

A convolution is linear in the picture and linear in the kernel, so three functions say all there is to say:

- ``Correlate``: picture and kernel give the output;
- ``Spread``: output and kernel give a picture, each output handing its value back to all the inputs it saw. It is the
  gradient by the picture, and it is the transposed convolution;
- ``KernelGradient``: picture and output give a kernel, each weight collecting what it was multiplied by.

Each one's gradients are the other two, so derivatives of any order come for free.

How they are fast: the window of every output could be copied into a column of one large matrix, and the convolution
would be one matrix product, with every input element copied kh × kw times. Here only the width is copied so, kw times.
Down the height, the columns of kernel row i + 1 are those of row i one picture row further on; with the rows of the
picture outermost, that is the same matrix from a later column, so each kernel row is one product with a *view*. A
vertical stride keeps this true once rows are sorted by their remainder modulo the stride (the *phase*).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import pad

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How a kernel moves over a picture; every pair is (vertical, horizontal), in elements.

    ``padding`` is what is added above and to the left; what is added below and to the right follows from ``out_size``.
    """

    size: Pair
    out_size: Pair
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def rows(self) -> int:
        """Rows of each phase: enough for the last output row."""
        reach = (self.out_size[0] - 1) * self.stride[0] + (self.kernel_size[0] - 1) * self.dilation[0] + 1
        return -(-reach // self.stride[0])

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Left, right, top and bottom, as ``pad`` takes them; negative where the kernel never comes."""
        (height, width), (top, left) = self.size, self.padding
        reach = (self.out_size[1] - 1) * self.stride[1] + (self.kernel_size[1] - 1) * self.dilation[1] + 1
        return left, reach - width - left, top, self.rows * self.stride[0] - height - top

    def across(self, column: int) -> slice:
        """Where kernel column ``column`` lies, for all outputs of a row."""
        start = column * self.dilation[1]
        return slice(start, start + (self.out_size[1] - 1) * self.stride[1] + 1, self.stride[1])


def _phases(padded: Tensor, geometry: Geometry) -> Tensor:
    """A view of the padded picture as (channels, phase, row, batch, width)."""
    return padded.unflatten(2, (geometry.rows, geometry.stride[0])).permute(1, 3, 2, 0, 4)


def _columns(input: Tensor, geometry: Geometry) -> Tensor:
    """The picture unfolded along its width: (groups, channels × kw, phase, row, batch × out_width)."""
    phases = _phases(pad(input, geometry.margins), geometry)
    shifted = [phases[..., geometry.across(column)] for column in range(geometry.kernel_size[1])]
    channels = input.shape[1] // geometry.groups * geometry.kernel_size[1]
    shape = (geometry.groups, channels, geometry.stride[0], geometry.rows, input.shape[0] * geometry.out_size[1])
    return torch.stack(shifted, dim=1).reshape(shape)


def _under(columns: Tensor, row: int, geometry: Geometry) -> Tensor:
    """The view of the columns that kernel row ``row`` meets: (groups, channels × kw, positions)."""
    start, phase = divmod(row * geometry.dilation[0], geometry.stride[0])
    return columns[:, :, phase, start : start + geometry.out_size[0]].flatten(2)


def _kernel_row(weight: Tensor, row: int, geometry: Geometry) -> Tensor:
    """Row ``row`` of the kernel as a matrix: (groups, out_channels / groups, channels × kw)."""
    return weight[:, :, row].reshape(geometry.groups, weight.shape[0] // geometry.groups, -1)


def _positions(output: Tensor, geometry: Geometry) -> Tensor:
    """An output as a matrix, its positions in the order of the columns: (groups, channels, positions)."""
    shape = (geometry.groups, output.shape[1] // geometry.groups, output.shape[0] * output.shape[2] * output.shape[3])
    return output.permute(1, 2, 0, 3).reshape(shape)


def correlate(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Every window of the picture times the kernel, one matrix product for each row of the kernel."""
    columns = _columns(input, geometry)
    output = torch.bmm(_kernel_row(weight, 0, geometry), _under(columns, 0, geometry))
    for row in range(1, geometry.kernel_size[0]):
        output.baddbmm_(_kernel_row(weight, row, geometry), _under(columns, row, geometry))
    height, width = geometry.out_size
    return output.view(weight.shape[0], height, input.shape[0], width).permute(2, 0, 1, 3).contiguous()


def spread(output: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """``correlate`` run backwards: each step transposed, in the opposite order."""
    batch, channels = output.shape[0], weight.shape[1] * geometry.groups
    kernel_width, (_, width) = geometry.kernel_size[1], geometry.out_size
    phase, rows = geometry.stride[0], geometry.rows
    columns = output.new_zeros(geometry.groups, weight.shape[1] * kernel_width, phase, rows, batch * width)
    values = _positions(output, geometry)
    for row in range(geometry.kernel_size[0]):
        _under(columns, row, geometry).baddbmm_(_kernel_row(weight, row, geometry).mT, values)

    left, right, top, bottom = geometry.margins
    padded = output.new_zeros(batch, channels, rows * phase, geometry.size[1] + left + right)
    phases, columns = _phases(padded, geometry), columns.view(channels, kernel_width, phase, rows, batch, width)
    for column in range(kernel_width):
        phases[..., geometry.across(column)] += columns[:, column]
    return pad(padded, (-left, -right, -top, -bottom))


def kernel_gradient(input: Tensor, output: Tensor, geometry: Geometry) -> Tensor:
    """For each weight, the sum of input times output over all the places where they met."""
    columns, values = _columns(input, geometry), _positions(output, geometry)
    rows = [torch.bmm(values, _under(columns, row, geometry).mT) for row in range(geometry.kernel_size[0])]
    channels = input.shape[1] // geometry.groups
    return torch.stack(rows, dim=2).view(output.shape[1], geometry.kernel_size[0], channels, -1).transpose(1, 2)


class _Product(Function):
    """What the three have in common: linear in both operands, and stacked by grouping."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the gradients need."""
        first, second, ctx.geometry = inputs
        ctx.save_for_backward(first, second)

    @classmethod
    def _grouped(cls, info, in_dims, operands, geometry, channels):
        """``torch.func.vmap``'s rule: a stack of convolutions is one convolution in as many more groups."""
        *into, out = channels
        stacked = [
            (x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0))
            .movedim(0, at)
            .flatten(at, at + 1)
            for x, dim, at in zip(operands, in_dims, into, strict=False)
        ]
        result = cls.apply(*stacked, geometry._replace(groups=geometry.groups * info.batch_size))
        return result.unflatten(out, (info.batch_size, -1)), out


class Correlate(_Product):
    """``correlate`` with its derivatives."""

    forward = staticmethod(correlate)

    @staticmethod
    def backward(ctx, grad):
        """The gradients: the other two products."""
        input, weight = ctx.saved_tensors
        by_input, by_weight, _ = ctx.needs_input_grad
        return (
            Spread.apply(grad, weight.conj(), ctx.geometry) if by_input else None,
            KernelGradient.apply(input.conj(), grad, ctx.geometry) if by_weight else None,
            None,
        )

    @staticmethod
    def vmap(info, in_dims, input, weight, geometry):
        """A stack of products as one, in groups."""
        return Correlate._grouped(info, in_dims, (input, weight), geometry, (1, 0, 1))


class Spread(_Product):
    """``spread`` with its derivatives."""

    forward = staticmethod(spread)

    @staticmethod
    def backward(ctx, grad):
        """The gradients: the other two products."""
        output, weight = ctx.saved_tensors
        by_output, by_weight, _ = ctx.needs_input_grad
        return (
            Correlate.apply(grad, weight.conj(), ctx.geometry) if by_output else None,
            KernelGradient.apply(grad, output.conj(), ctx.geometry) if by_weight else None,
            None,
        )

    @staticmethod
    def vmap(info, in_dims, output, weight, geometry):
        """A stack of products as one, in groups."""
        return Spread._grouped(info, in_dims, (output, weight), geometry, (1, 0, 1))


class KernelGradient(_Product):
    """``kernel_gradient`` with its derivatives."""

    forward = staticmethod(kernel_gradient)

    @staticmethod
    def backward(ctx, grad):
        """The gradients: the other two products."""
        input, output = ctx.saved_tensors
        by_input, by_output, _ = ctx.needs_input_grad
        return (
            Spread.apply(output.conj(), grad, ctx.geometry) if by_input else None,
            Correlate.apply(input.conj(), grad, ctx.geometry) if by_output else None,
            None,
        )

    @staticmethod
    def vmap(info, in_dims, input, output, geometry):
        """A stack of products as one, in groups."""
        return KernelGradient._grouped(info, in_dims, (input, output), geometry, (1, 1, 0))
