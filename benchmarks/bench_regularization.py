"""Dropout beside torch's, forward and backward; augmentation beside torch's grid_sample on a batch of digits."""

import math

import torch
import torch.nn.functional as F
from timing import Case

from dlbook import regularization


def cases(device: torch.device) -> list[Case]:
    x = torch.randn(256, 4096, device=device, requires_grad=True)
    pictures = torch.randn(64, 32, 28, 28, device=device, requires_grad=True)
    digits = torch.rand(1000, 1, 28, 28, device=device)
    weight = torch.randn(1024, 1024, device=device)

    def turned(images):
        c, s = math.cos(0.2), math.sin(0.2)
        turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0]], device=images.device).expand(len(images), 2, 3)
        return F.grid_sample(images, F.affine_grid(turn, images.shape, align_corners=False), align_corners=False)

    return [
        Case("dropout", "256×4096", regularization.dropout, F.dropout, inputs=(x,), compiled=True),
        Case("dropout2d", "64×32×28×28", regularization.dropout2d, F.dropout2d, inputs=(pictures,), compiled=True),
        Case(
            "alpha_dropout",
            "256×4096",
            lambda x: regularization.alpha_dropout(x, 0.1, True),
            lambda x: F.alpha_dropout(x, 0.1, True),
            inputs=(x,),
            compiled=True,
        ),
        Case(
            "max_norm", "1024×1024", lambda w: regularization.max_norm(w, 3.0), _renorm, inputs=(weight,), compiled=True
        ),
        Case(
            "rotate", "1000×1×28×28", lambda x: regularization.rotate(x, 11.5), turned, inputs=(digits,), compiled=True
        ),
    ]


def _renorm(weight: torch.Tensor) -> torch.Tensor:
    return torch.renorm(weight, 2, 0, 3.0)
