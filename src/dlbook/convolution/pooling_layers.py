"""Pooling as ``torch.nn`` modules: the functions with their settings kept.

None of them has parameters; they are here so that a network can be written as one ``nn.Sequential``.
"""

from collections.abc import Sequence

from jaxtyping import Int, Num
from torch import Tensor

from dlbook.convolution import adaptive, pooling
from dlbook.convolution._layer import Layer
from dlbook.convolution._sizes import Size, to_tuple
from dlbook.convolution.adaptive import OutputSize


class _MaxPool(Layer):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=kernel_size if stride is None else stride,
            padding=padding,
            dilation=dilation,
            return_indices=return_indices,
            ceil_mode=ceil_mode,
        )


class _LPPool(Layer):
    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)


class _AdaptiveMaxPool(Layer):
    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size=output_size, return_indices=return_indices)


class _AdaptiveAvgPool(Layer):
    def __init__(self, output_size: OutputSize) -> None:
        super().__init__(output_size=output_size)


class _MaxUnpool(Layer):
    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__(kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding)

    def forward(
        self,
        input: Num[Tensor, "..."],
        indices: Int[Tensor, "..."],
        output_size: Sequence[int] | None = None,
    ) -> Num[Tensor, "..."]:
        """Put the maxima back; ``output_size`` picks one of the possible sizes."""
        return self.function(input, indices, **self.settings, output_size=output_size)


class MaxPool1d(_MaxPool):
    """Max pooling of signals: ``max_pool1d`` as a layer, as ``torch.nn.MaxPool1d``.

    Args:
        kernel_size: Window size.
        stride: Step between windows; the window size when None.
        padding: Elements of minus infinity added on all sides.
        dilation: Distance between neighbouring elements of a window.
        return_indices: Also return where each maximum was.
        ceil_mode: Keep a last window that reaches over the edge.

    Raises:
        TypeError, ValueError: As ``max_pool1d`` does, when called.

    Example:
        >>> import torch
        >>> MaxPool1d(2)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 4])

    Source: Zhou and Chellappa (1988), "Computation of optical flow using a neural network". Chapter: convolution.
    """

    function = staticmethod(pooling.max_pool1d)


class MaxPool2d(_MaxPool):
    """Max pooling of pictures: ``max_pool2d`` as a layer, as ``torch.nn.MaxPool2d``.

    Args:
        kernel_size: Window size.
        stride: Step between windows; the window size when None.
        padding: Elements of minus infinity added on all sides.
        dilation: Distance between neighbouring elements of a window.
        return_indices: Also return where each maximum was.
        ceil_mode: Keep a last window that reaches over the edge.

    Raises:
        TypeError, ValueError: As ``max_pool2d`` does, when called.

    Example:
        >>> import torch
        >>> MaxPool2d(2)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 3, 4, 4])

    Source: Zhou and Chellappa (1988), "Computation of optical flow using a neural network". Chapter: convolution.
    """

    function = staticmethod(pooling.max_pool2d)


class AvgPool1d(Layer):
    """Average pooling of signals: ``avg_pool1d`` as a layer, as ``torch.nn.AvgPool1d``.

    Args:
        kernel_size: Window size.
        stride: Step between windows; the window size when None.
        padding: Zeros added on all sides.
        ceil_mode: Keep a last window that reaches over the edge.
        count_include_pad: Count the padding in the mean.

    Raises:
        TypeError, ValueError: As ``avg_pool1d`` does, when called.

    Example:
        >>> import torch
        >>> AvgPool1d(2)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 4])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition".
    Chapter: convolution.
    """

    function = staticmethod(pooling.avg_pool1d)

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(
            kernel_size=to_tuple("kernel_size", kernel_size, 1, 1),
            stride=to_tuple("stride", kernel_size if stride is None else stride, 1, 1),
            padding=to_tuple("padding", padding, 1),
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )


class AvgPool2d(Layer):
    """Average pooling of pictures: ``avg_pool2d`` as a layer, as ``torch.nn.AvgPool2d``.

    Args:
        kernel_size: Window size.
        stride: Step between windows; the window size when None.
        padding: Zeros added on all sides.
        ceil_mode: Keep a last window that reaches over the edge.
        count_include_pad: Count the padding in the mean.
        divisor_override: Divide every sum by this number.

    Raises:
        TypeError, ValueError: As ``avg_pool2d`` does, when called.

    Example:
        >>> import torch
        >>> AvgPool2d(2)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 3, 4, 4])

    Source: LeCun et al. (1998), "Gradient-based learning applied to document recognition".
    Chapter: convolution.
    """

    function = staticmethod(pooling.avg_pool2d)

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=kernel_size if stride is None else stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )


class LPPool1d(_LPPool):
    """Power-mean pooling of signals: ``lp_pool1d`` as a layer, as ``torch.nn.LPPool1d``.

    Args:
        norm_type: The power: 1 gives the sum, 2 the Euclidean norm.
        kernel_size: Window size.
        stride: Step between windows; the window size when None.
        ceil_mode: Keep a last window that reaches over the edge.

    Raises:
        TypeError, ValueError: As ``lp_pool1d`` does, when called.

    Example:
        >>> import torch
        >>> LPPool1d(2, 2)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 4])

    Source: Sermanet et al. (2012), "Convolutional neural networks applied to house numbers digit classification".
    Chapter: convolution.
    """

    function = staticmethod(pooling.lp_pool1d)


class LPPool2d(_LPPool):
    """Power-mean pooling of pictures: ``lp_pool2d`` as a layer, as ``torch.nn.LPPool2d``.

    Args:
        norm_type: The power: 1 gives the sum, 2 the Euclidean norm.
        kernel_size: Window size.
        stride: Step between windows; the window size when None.
        ceil_mode: Keep a last window that reaches over the edge.

    Raises:
        TypeError, ValueError: As ``lp_pool2d`` does, when called.

    Example:
        >>> import torch
        >>> LPPool2d(2, 2)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 3, 4, 4])

    Source: Sermanet et al. (2012), "Convolutional neural networks applied to house numbers digit classification".
    Chapter: convolution.
    """

    function = staticmethod(pooling.lp_pool2d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Max pooling of signals to a size: ``adaptive_max_pool1d`` as a layer, as ``torch.nn.AdaptiveMaxPool1d``.

    Args:
        output_size: Number of windows along each dimension; None keeps the input's size.
        return_indices: Also return where each maximum was.

    Raises:
        TypeError, ValueError: As ``adaptive_max_pool1d`` does, when called.

    Example:
        >>> import torch
        >>> AdaptiveMaxPool1d(5)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 5])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks".
    Chapter: convolution.
    """

    function = staticmethod(adaptive.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Max pooling of pictures to a size: ``adaptive_max_pool2d`` as a layer, as ``torch.nn.AdaptiveMaxPool2d``.

    Args:
        output_size: Number of windows along each dimension; None keeps the input's size.
        return_indices: Also return where each maximum was.

    Raises:
        TypeError, ValueError: As ``adaptive_max_pool2d`` does, when called.

    Example:
        >>> import torch
        >>> AdaptiveMaxPool2d(5)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 3, 5, 5])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks".
    Chapter: convolution.
    """

    function = staticmethod(adaptive.adaptive_max_pool2d)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Average pooling of signals to a size: ``adaptive_avg_pool1d`` as a layer, as ``torch.nn.AdaptiveAvgPool1d``.

    Args:
        output_size: Number of windows along each dimension; None keeps the input's size.

    Raises:
        TypeError, ValueError: As ``adaptive_avg_pool1d`` does, when called.

    Example:
        >>> import torch
        >>> AdaptiveAvgPool1d(5)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 5])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks".
    Chapter: convolution.
    """

    function = staticmethod(adaptive.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Average pooling of pictures to a size: ``adaptive_avg_pool2d`` as a layer, as ``torch.nn.AdaptiveAvgPool2d``.

    Args:
        output_size: Number of windows along each dimension; None keeps the input's size.

    Raises:
        TypeError, ValueError: As ``adaptive_avg_pool2d`` does, when called.

    Example:
        >>> import torch
        >>> AdaptiveAvgPool2d(5)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 3, 5, 5])

    Source: He et al. (2015), "Spatial pyramid pooling in deep convolutional networks".
    Chapter: convolution.
    """

    function = staticmethod(adaptive.adaptive_avg_pool2d)


class MaxUnpool1d(_MaxUnpool):
    """Max pooling of signals undone: ``max_unpool1d`` as a layer, as ``torch.nn.MaxUnpool1d``.

    Args:
        kernel_size: Window size of the pooling.
        stride: Its step between windows; the window size when None.
        padding: Its padding.

    Raises:
        TypeError, ValueError: As ``max_unpool1d`` does, when called.

    Example:
        >>> import torch
        >>> pooled, indices = MaxPool1d(2, return_indices=True)(torch.rand(2, 3, 8))
        >>> MaxUnpool1d(2)(pooled, indices).shape
        torch.Size([2, 3, 8])

    Source: Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks".
    Chapter: convolution.
    """

    function = staticmethod(adaptive.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Max pooling of pictures undone: ``max_unpool2d`` as a layer, as ``torch.nn.MaxUnpool2d``.

    Args:
        kernel_size: Window size of the pooling.
        stride: Its step between windows; the window size when None.
        padding: Its padding.

    Raises:
        TypeError, ValueError: As ``max_unpool2d`` does, when called.

    Example:
        >>> import torch
        >>> pooled, indices = MaxPool2d(2, return_indices=True)(torch.rand(2, 3, 8, 8))
        >>> MaxUnpool2d(2)(pooled, indices).shape
        torch.Size([2, 3, 8, 8])

    Source: Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks".
    Chapter: convolution.
    """

    function = staticmethod(adaptive.max_unpool2d)
