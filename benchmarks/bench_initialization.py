"""Starting weights beside torch.nn.init's: the weight of a wide layer."""

import torch
from timing import Case
from torch import nn

from dlbook import initialization


def cases(device: torch.device) -> list[Case]:
    w = torch.empty(1024, 1024, device=device)
    pairs = [
        ("glorot, uniform", initialization.glorot, nn.init.xavier_uniform_),
        ("he, normal", initialization.he, nn.init.kaiming_normal_),
        ("orthogonal", initialization.orthogonal, nn.init.orthogonal_),
    ]
    return [Case(name, "1024×1024", ours, peer, inputs=(w,)) for name, ours, peer in pairs]
