"""Activations beside torch's, forward and backward, on a million numbers: a hidden layer of a small net."""

import torch
import torch.nn.functional as F
from timing import Case

from dlbook import activations

SIZE = (256, 4096)
POINTWISE = [
    *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid"),
    *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink"),
]


def cases(device: torch.device) -> list[Case]:
    x = 2 * torch.randn(SIZE, device=device)
    slope = torch.full((SIZE[1],), 0.25, device=device)
    pairs = [(name, getattr(activations, name), getattr(F, name), ()) for name in POINTWISE]
    pairs += [
        ("gelu, tanh", *[lambda x, f=m.gelu: f(x, approximate="tanh") for m in (activations, F)], ()),
        ("threshold", *[lambda x, f=m.threshold: f(x, 0.5, 0.0) for m in (activations, F)], ()),
        ("prelu", activations.prelu, F.prelu, (slope,)),
        ("glu", activations.glu, F.glu, ()),
        ("softmax", *[lambda x, f=m.softmax: f(x, dim=-1) for m in (activations, F)], ()),
        ("softmin", *[lambda x, f=m.softmin: f(x, dim=-1) for m in (activations, F)], ()),
        ("log_softmax", *[lambda x, f=m.log_softmax: f(x, dim=-1) for m in (activations, F)], ()),
    ]
    return [
        Case(
            name,
            "×".join(map(str, SIZE)),
            ours,
            peer,
            inputs=tuple(t.clone().requires_grad_() for t in (x, *rest)),
            compiled=True,
        )
        for name, ours, peer, rest in pairs
    ]
