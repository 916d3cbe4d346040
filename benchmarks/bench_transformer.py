"""Transformer layers beside torch's, forward and backward; and decoding with a cache beside decoding without."""

import torch
from timing import Case

from dlbook import transformer
from dlbook.transformer import KeyValueCache, TransformerDecoder, TransformerDecoderLayer


def cases(device: torch.device) -> list[Case]:
    rows = []
    for name in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
        for norm_first in (False, True):
            options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first, "device": device}
            ours = getattr(transformer, name)(256, 8, 1024, **options)
            peer = getattr(torch.nn, name)(256, 8, 1024, **options)
            peer.load_state_dict(ours.state_dict())
            x, memory = (torch.randn(16, n, 256, device=device, requires_grad=True) for n in (32, 24))
            inputs = (x, memory) if "Decoder" in name else (x,)
            size = "16×32×256" + (", norm first" if norm_first else "")
            rows.append(Case(name, size, ours, peer, inputs, compiled=True))
    return [*rows, _decoding(device)]


def _decoding(device: torch.device) -> Case:
    """Forty words, one at a time."""
    layer = TransformerDecoderLayer(256, 8, 1024, batch_first=True, device=device)
    decoder = TransformerDecoder(layer, 4).eval()
    words, memory = (torch.randn(8, n, 256, device=device) for n in (40, 20))

    @torch.no_grad()
    def cached(words: torch.Tensor) -> torch.Tensor:
        cache = KeyValueCache()
        return torch.cat([decoder(word, memory, cache=cache) for word in words.split(1, dim=1)], dim=1)

    @torch.no_grad()
    def anew(words: torch.Tensor) -> torch.Tensor:
        future = torch.ones(40, 40, dtype=torch.bool, device=device).triu(1)
        steps = [decoder(words[:, :t], memory, tgt_mask=future[:t, :t])[:, -1:] for t in range(1, 41)]
        return torch.cat(steps, dim=1)

    return Case("KeyValueCache", "8×40×256, 4 layers", cached, anew, (words,), peer_name="no cache")
