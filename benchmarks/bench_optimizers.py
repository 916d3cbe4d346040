"""Optimizers beside torch's: one step on twenty 256×256 matrices, and on a small real network's parameters."""

from collections.abc import Callable

import torch
from timing import Case
from torch import Tensor, nn

from dlbook import optimizers

OPTIONS = {
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {},
    "Adam": {},
    "AdamW": {},
    "NAdam": {},
}


def matrices() -> list[Tensor]:
    return [torch.randn(256, 256) for _ in range(20)]


def network() -> list[Tensor]:
    """A small convolutional net: 10 tensors, 225,000 parameters."""
    convolutions = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 32, 3), nn.Conv2d(32, 64, 3)
    layers = nn.ModuleList([*convolutions, nn.Linear(1600, 120), nn.Linear(120, 10)])
    return [p.detach() for p in layers.parameters()]


def stepper(kind: type, make: Callable[[], list[Tensor]], where: torch.device, **options: object) -> Callable:
    params = [p.to(where).requires_grad_() for p in make()]
    for p in params:
        p.grad = torch.randn_like(p)
    return kind(params, **options).step


def cases(device: torch.device) -> list[Case]:
    rows = []
    for make, size in ((matrices, "20 × 256×256"), (network, "small CNN, 10 tensors")):
        for name, options in OPTIONS.items():
            ours = stepper(getattr(optimizers, name), make, device, **options)
            peer = stepper(getattr(torch.optim, name), make, device, **options, foreach=True)
            rows.append(Case(name, size, ours, peer, peer_name="foreach", limit=1.5))
    ours = stepper(optimizers.Muon, matrices, device)
    rows.append(Case("Muon", "20 × 256×256", ours, stepper(torch.optim.Muon, matrices, device), limit=1.5))
    ours = stepper(optimizers.Lion, matrices, device)
    peer = stepper(torch.optim.Adam, matrices, device, foreach=True)
    rows.append(Case("Lion", "20 × 256×256", ours, peer, peer_name="Adam"))
    for name, options in (("clip_grad_norm_", {"max_norm": 1.0}), ("clip_grad_value_", {"clip_value": 1.0})):
        rows.append(clipping(name, options, device))
    return rows


def clipping(name: str, options: dict, where: torch.device) -> Case:
    params = [p.to(where) for p in matrices()]
    for p in params:
        p.grad = torch.randn_like(p)
    mine, theirs = getattr(optimizers, name), getattr(nn.utils, name)
    return Case(name, "20 × 256×256", lambda: mine(params, **options), lambda: theirs(params, **options), limit=1.5)
