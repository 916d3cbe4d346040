"""Whole networks beside the same on torch.nn's layers: a training step forward and backward, and a prediction."""

import copy

import torch
from timing import Case
from torch import nn
from torch.nn.functional import relu

from dlbook.resnet import resnet18, resnet50


class Block(nn.Module):
    """A residual block whose convolutions have these kernels."""

    def __init__(self, inplanes: int, planes: int, out: int, stride: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.count, before = len(kernels), inplanes
        for i, k in enumerate(kernels, start=1):
            # The stride is in the first 3×3.
            after, step = out if i == len(kernels) else planes, stride if 3 not in kernels[: i - 1] and k == 3 else 1
            setattr(self, f"conv{i}", nn.Conv2d(before, after, k, step, k // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(after))
            before = after
        self.downsample = None
        if stride > 1 or inplanes != out:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Branch plus shortcut."""
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = relu(y) if i < self.count else y
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class Peer(nn.Module):
    """ResNet on torch.nn's layers."""

    def __init__(self, kernels: tuple[int, ...], layers: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool, before = nn.MaxPool2d(3, 2, 1), 64
        for stage, count in enumerate(layers):
            planes, blocks = 64 << stage, []
            out = planes * (4 if len(kernels) == 3 else 1)
            for number in range(count):
                blocks.append(Block(before, planes, out, 2 if stage and not number else 1, kernels))
                before = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(before, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def cases(device: torch.device) -> list[Case]:
    rows = []
    for name, ours, peer, shape, promised in (
        ("resnet18", resnet18(), Peer((3, 3), (2, 2, 2, 2)), (32, 3, 64, 64), 3.0),
        ("resnet50", resnet50(), Peer((1, 3, 1), (3, 4, 6, 3)), (8, 3, 64, 64), None),
    ):
        peer.load_state_dict(ours.state_dict())
        nets, size = [ours.to(device), peer.to(device)], "×".join(map(str, shape))
        picture = torch.randn(shape, device=device)
        for doing, limit, runs, inputs in (
            ("training", promised, map(_step, nets), (picture, *ours.parameters())),
            ("inference", None, map(_prediction, nets), (picture,)),
        ):
            rows.append(Case(f"{name}, {doing}", size, *runs, inputs, peer_name="torch.nn", limit=limit))
    return rows


def _step(model: nn.Module):
    """The logits as a function of pictures and parameters, so that all parameters get a gradient."""
    names = [name for name, _ in model.named_parameters()]

    def run(picture: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (picture,))

    return run


def _prediction(model: nn.Module):
    """The network in evaluation, a copy, for training changes its statistics."""
    return torch.no_grad()(copy.deepcopy(model).eval())
