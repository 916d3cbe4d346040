"""Attention beside torch's, forward and backward: batch × heads × length × features of a head."""

import torch
from timing import Case
from torch.nn import functional

from dlbook.attention import MultiheadAttention, scaled_dot_product_attention

SIZES = [(16, 8, 64, 32), (8, 8, 128, 64), (2, 8, 512, 64)]


def cases(device: torch.device) -> list[Case]:
    rows = []
    for size in SIZES:
        for causal in (False, True):
            inputs = tuple(torch.randn(size, device=device, requires_grad=True) for _ in range(3))
            rows.append(
                Case(
                    "scaled_dot_product_attention",
                    "×".join(map(str, size)) + (", causal" if causal else ""),
                    lambda *x, c=causal: scaled_dot_product_attention(*x, is_causal=c),
                    lambda *x, c=causal: functional.scaled_dot_product_attention(*x, is_causal=c),
                    inputs,
                    compiled=True,
                    limit=1.5,
                )
            )
    for need_weights in (False, True):
        ours = MultiheadAttention(256, 8, batch_first=True, device=device)
        peer = torch.nn.MultiheadAttention(256, 8, batch_first=True, device=device)
        peer.load_state_dict(ours.state_dict())
        rows.append(
            Case(
                "MultiheadAttention",
                "16×64×256, 8 heads" + (", weights" if need_weights else ""),
                lambda x, m=ours, w=need_weights: m(x, x, x, need_weights=w)[0],
                lambda x, m=peer, w=need_weights: m(x, x, x, need_weights=w)[0],
                (torch.randn(16, 64, 256, device=device, requires_grad=True),),
                compiled=True,
            )
        )
    return rows
