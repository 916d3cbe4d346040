"""The residual networks of the paper, for photographs and for small pictures, and their plain twins."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dlbook._checks import check_option, check_whole
from dlbook.activations import relu
from dlbook.convolution import AdaptiveAvgPool2d, Conv2d, MaxPool2d
from dlbook.initialization import he, zeros
from dlbook.neurons import Linear
from dlbook.normalization import BatchNorm2d
from dlbook.resnet.blocks import BasicBlock, Bottleneck, Norm, PaddedIdentity, Pictures

SHORTCUTS = ("projection", "padding", "none")
STEMS = ("large", "small")


class ResNet(nn.Module):
    r"""A stem, stages of residual blocks, the mean over all places and one linear layer, as torchvision's.

    From one stage to the next the picture's sides are halved and the channels doubled. Names and order of parameters
    are torchvision's, so that a ``state_dict`` goes both ways; convolutions start as ``he`` with ``fan_out``.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        layers: Number of blocks of each stage; torchvision has four stages.
        num_classes: Number of outputs.
        zero_init_residual: Start the last norm of every block at 0, so that each block begins as the identity.
        groups: Groups of a bottleneck's 3×3 convolution.
        width_per_group: Channels of each group for every 64 planes.
        replace_stride_with_dilation: For each stage after the first, whether it keeps the sides and spreads its
            kernels instead; none does when ``None``.
        norm_layer: From channels to a norm; :class:`dlbook.normalization.BatchNorm2d` when ``None``.
        in_channels: Channels of the picture.
        width: Planes of the first stage.
        stem: ``"large"``: 7×7 convolution and max pooling, each of stride 2; ``"small"``: one 3×3 convolution, for
            small pictures.
        shortcut: What is added where a block changes the shape: ``"projection"``, a 1×1 convolution (the paper's B), or
            ``"padding"``, channels of zeros (A). With ``"none"`` no block has a shortcut: the plain twin, with the same
            layers but for the projections.

    Raises:
        TypeError: If ``block`` is no such class or a size no whole number.
        ValueError: If an argument is out of range, the block does not have an option, or ``zero_init_residual`` is to
            leave nothing of a plain network.

    Example:
        >>> import torch
        >>> model = ResNet(BasicBlock, [1, 1], num_classes=10, in_channels=1, width=8, stem="small")
        >>> model(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])

    Source: He et al. (2016), "Deep residual learning for image recognition", table 1. Chapter: resnet.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
        *,
        in_channels: int = 3,
        width: int = 64,
        stem: str = "large",
        shortcut: str = "projection",
    ) -> None:
        super().__init__()
        if not (isinstance(block, type) and issubclass(block, (BasicBlock, Bottleneck))):
            raise TypeError(f"block: expected the class BasicBlock or Bottleneck; got {block!r}")
        dilated = _check(layers, replace_stride_with_dilation, stem, shortcut, zero_init_residual)
        sizes = {"num_classes": num_classes, "in_channels": in_channels, "width": width, "groups": groups}
        for name, size in (sizes | {"width_per_group": width_per_group}).items():
            check_whole(name, size, 1)
        norm = norm_layer or BatchNorm2d
        large = stem == "large"
        self.conv1: nn.Module = Conv2d(in_channels, width, *((7, 2, 3) if large else (3, 1, 1)), bias=False)
        self.bn1 = norm(width)
        self.maxpool = MaxPool2d(3, 2, 1) if large else nn.Identity()
        make = partial(block, groups=groups, base_width=width_per_group, norm_layer=norm, shortcut=shortcut != "none")
        inplanes, dilation = width, 1
        self.stages = len(layers)
        for number, (count, keep) in enumerate(zip(layers, [True, *dilated], strict=True)):
            planes, stride = width * 2**number, 1 if keep else 2
            downsample = _downsample(shortcut, inplanes, planes * block.expansion, stride, norm)
            blocks = [make(inplanes, planes, stride, downsample, dilation=dilation)]
            # The first block still sees neighbours; what follows sees them where the stride would have left them.
            inplanes, dilation = planes * block.expansion, dilation * (2 if keep and number else 1)
            blocks += [make(inplanes, planes, dilation=dilation) for _ in range(count - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(inplanes, num_classes)
        self._start(zero_init_residual)

    def _start(self, zero_init_residual: bool) -> None:
        """Draw the convolutions afresh; norms start at 1 and 0 by themselves."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                he(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules() if zero_init_residual else ():
            if isinstance(module, (BasicBlock, Bottleneck)):
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                if isinstance(weight := getattr(last, "weight", None), Tensor):
                    zeros(weight)

    def features(self, input: Pictures) -> Float[Tensor, "batch features out_height out_width"]:
        """What the last stage makes of the pictures, before the mean over all places."""
        output = self.maxpool(relu(self.bn1(self.conv1(input))))
        for number in range(1, self.stages + 1):
            output = getattr(self, f"layer{number}")(output)
        return output

    def forward(self, input: Pictures) -> Float[Tensor, "batch classes"]:
        """Logits of the pictures' classes."""
        return self.fc(self.avgpool(self.features(input)).flatten(1))


def _check(
    layers: Sequence[int], dilated: Sequence[bool] | None, stem: str, shortcut: str, zero_init_residual: bool
) -> Sequence[bool]:
    """For each stage after the first whether it is dilated, once the options are known to fit together."""
    check_option("stem", stem, STEMS)
    check_option("shortcut", shortcut, SHORTCUTS)
    if not layers or not all(isinstance(count, int) and count > 0 for count in layers):
        raise ValueError(f"layers: expected at least one block in each of at least one stage; got {layers!r}")
    dilated = [False] * (len(layers) - 1) if dilated is None else dilated
    if len(dilated) != len(layers) - 1:
        raise ValueError(
            f"replace_stride_with_dilation: expected {len(layers) - 1} values, one for each stage but the first; "
            f"got {dilated!r}"
        )
    if zero_init_residual and shortcut == "none":
        raise ValueError("zero_init_residual: expected False without shortcuts, where every block would output 0")
    return dilated


def _downsample(shortcut: str, inplanes: int, outplanes: int, stride: int, norm: Callable) -> nn.Module | None:
    """What a block that changes the shape needs on its shortcut."""
    if shortcut == "none" or (stride == 1 and inplanes == outplanes):
        return None
    if shortcut == "padding":
        return PaddedIdentity(inplanes, outplanes, stride)
    return nn.Sequential(Conv2d(inplanes, outplanes, 1, stride, bias=False), norm(outplanes))


def resnet18(num_classes: int = 1000, **options: Any) -> ResNet:
    """ResNet-18: two basic blocks in each of four stages; 11,689,512 parameters for 1,000 classes.

    Args:
        num_classes: Number of outputs.
        **options: As those of :class:`ResNet`; ``shortcut="none"`` for the plain twin.

    Returns:
        The network, untrained.

    Example:
        >>> sum(p.numel() for p in resnet18().parameters())
        11689512

    Source: He et al. (2016), table 1. Chapter: resnet.
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, **options)


def resnet34(num_classes: int = 1000, **options: Any) -> ResNet:
    """ResNet-34: 3, 4, 6 and 3 basic blocks; 21,797,672 parameters for 1,000 classes.

    Args:
        num_classes: Number of outputs.
        **options: As those of :class:`ResNet`; ``shortcut="none"`` for the plain twin.

    Returns:
        The network, untrained.

    Example:
        >>> [len(stage) for stage in (resnet34(width=4).layer1, resnet34(width=4).layer3)]
        [3, 6]

    Source: He et al. (2016), table 1. Chapter: resnet.
    """
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, **options)


def resnet50(num_classes: int = 1000, **options: Any) -> ResNet:
    """ResNet-50: 3, 4, 6 and 3 bottlenecks; 25,557,032 parameters for 1,000 classes.

    Args:
        num_classes: Number of outputs.
        **options: As those of :class:`ResNet`; ``shortcut="none"`` for the plain twin.

    Returns:
        The network, untrained.

    Example:
        >>> resnet50(num_classes=10, width=4).fc.in_features
        128

    Source: He et al. (2016), table 1. Chapter: resnet.
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, **options)


def cifar_resnet(depth: int, num_classes: int = 10, *, shortcut: str = "padding", **options: Any) -> ResNet:
    """The paper's network for small pictures: 6n + 2 layers, in three stages of 16, 32 and 64 channels.

    With ``shortcut="padding"`` it has the same parameters as its plain twin, ``shortcut="none"``, so that the two can
    be compared at any depth.

    Args:
        depth: Number of layers with weights, 6n + 2: 8, 14, 20, 32, 44, 56, 110 ...
        num_classes: Number of outputs.
        shortcut: As in :class:`ResNet`.
        **options: As those of :class:`ResNet`, such as ``in_channels=1``.

    Returns:
        The network, untrained.

    Raises:
        TypeError: If ``depth`` is no whole number.
        ValueError: If it is not 6n + 2.

    Example:
        >>> sum(p.numel() for p in cifar_resnet(20).parameters())
        269722

    Source: He et al. (2016), section 4.2. Chapter: resnet.
    """
    check_whole("depth", depth, 8)
    count, rest = divmod(depth - 2, 6)
    if rest:
        raise ValueError(f"depth: expected 6n + 2 layers, such as 8, 14, 20 or 56; got {depth!r}")
    return ResNet(
        BasicBlock, [count] * 3, num_classes, **({"width": 16, "stem": "small", "shortcut": shortcut} | options)
    )
