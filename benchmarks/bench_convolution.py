"""Convolution and pooling beside torch's own, forward and backward, at the sizes of a small real net."""

import torch
from timing import Case
from torch.nn import functional

from dlbook import convolution

CONVOLUTIONS = [
    # batch, channels, side, filters, kernel, arguments, whether the input wants a gradient
    (32, 16, 28, 32, 3, {"padding": 1}, True),
    (64, 1, 28, 32, 5, {}, False),
    (32, 64, 14, 64, 3, {"padding": 1}, True),
    (32, 64, 14, 128, 3, {"padding": 1, "stride": 2}, True),
    (32, 256, 4, 256, 3, {"padding": 1}, True),
    (32, 64, 28, 64, 3, {"padding": 1, "groups": 8}, True),
]
POOLINGS = [
    ("max_pool2d", (2,)),
    ("max_pool2d", (3, 2, 1)),
    ("avg_pool2d", (2,)),
    ("lp_pool2d", (2.0, 2)),
    ("adaptive_avg_pool2d", (7,)),
    ("adaptive_max_pool2d", (7,)),
]


def cases(device: torch.device) -> list[Case]:
    rows = []
    for batch, channels, side, filters, kernel, arguments, learn in CONVOLUTIONS:
        inputs = (
            torch.randn(batch, channels, side, side, device=device, requires_grad=learn),
            torch.randn(
                filters, channels // arguments.get("groups", 1), kernel, kernel, device=device
            ).requires_grad_(),
            torch.randn(filters, device=device, requires_grad=True),
        )
        options = "".join(f", {name} {value}" for name, value in arguments.items() if name != "padding")
        size = f"{batch}×{channels}×{side}×{side}, {filters} of {kernel}×{kernel}{options}"
        rows.append(_case("conv2d", size, inputs, arguments, compiled=True, limit=4.0))
    inputs = (
        torch.randn(32, 64, 128, device=device, requires_grad=True),
        torch.randn(64, 64, 5, device=device, requires_grad=True),
    )
    rows.append(_case("conv1d", "32×64×128, 64 of 5", inputs, {"padding": 2}))
    inputs = (
        torch.randn(32, 64, 14, 14, device=device, requires_grad=True),
        torch.randn(64, 32, 4, 4, device=device, requires_grad=True),
    )
    rows.append(_case("conv_transpose2d", "32×64×14×14, 32 of 4×4, stride 2", inputs, {"stride": 2, "padding": 1}))
    for name, arguments in POOLINGS:
        picture = torch.randn(32, 32, 28, 28, device=device, requires_grad=True)
        ours, peer = getattr(convolution, name), getattr(functional, name)
        size = f"32×32×28×28, {', '.join(map(str, arguments))}"
        rows.append(
            Case(
                name,
                size,
                lambda x, f=ours, a=arguments: f(x, *a),
                lambda x, f=peer, a=arguments: f(x, *a),
                (picture,),
                compiled=True,
            )
        )
    return rows


def _case(name: str, size: str, inputs: tuple, arguments: dict, compiled: bool = False, limit=None) -> Case:
    ours, peer = getattr(convolution, name), getattr(functional, name)
    return Case(
        name,
        size,
        lambda *x: ours(*x, **arguments),
        lambda *x: peer(*x, **arguments),
        inputs,
        compiled=compiled,
        limit=limit,
    )
