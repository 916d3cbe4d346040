"""The linear layers and the embedding beside torch's, forward and backward, at the sizes of a small real net."""

import torch
import torch.nn.functional as F
from timing import Case

from dlbook import neurons


def cases(device: torch.device) -> list[Case]:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=device, requires_grad=True)

    rows = torch.randint(10_000, (32, 64), device=device)
    return [
        Case(
            "linear",
            "64×784, 784 to 100",
            neurons.linear,
            F.linear,
            (draw(64, 784), draw(100, 784), draw(100)),
            compiled=True,
        ),
        Case(
            "linear",
            "32×64×256, 256 to 1024",
            neurons.linear,
            F.linear,
            (draw(32, 64, 256), draw(1024, 256), draw(1024)),
            compiled=True,
        ),
        Case(
            "bilinear",
            "128×32 and 128×48, to 16",
            neurons.bilinear,
            F.bilinear,
            (draw(128, 32), draw(128, 48), draw(16, 32, 48), draw(16)),
            compiled=True,
        ),
        Case(
            "embedding",
            "32×64 of 10,000×256",
            lambda weight: neurons.embedding(rows, weight),
            lambda weight: F.embedding(rows, weight),
            (draw(10_000, 256),),
            compiled=True,
        ),
    ]
