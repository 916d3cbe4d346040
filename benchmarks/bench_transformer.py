"""Transformer layers and a language model beside torch's; and decoding with a cache beside decoding without.

All but the decoding run forward and backward.
"""

from math import sqrt

import torch
from timing import Case
from torch import Tensor, nn

from dlbook import transformer
from dlbook.attention import sinusoidal_positions
from dlbook.transformer import KeyValueCache, LanguageModel, TransformerDecoder, TransformerDecoderLayer


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
    return [*rows, _language_model(device), _decoding(device)]


class TorchLanguageModel(nn.Module):
    """The same model of torch's layers; its parameters have the same names."""

    def __init__(self, vocabulary_size: int, d_model: int, nhead: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, d_model)
        block = nn.TransformerEncoderLayer(
            d_model, nhead, 4 * d_model, 0.0, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, num_layers, nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.output = nn.Linear(d_model, vocabulary_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits for the token after each one, the classes along dim 1."""
        length, d_model = tokens.shape[1], self.embedding.embedding_dim
        words = self.embedding(tokens) * sqrt(d_model)
        positions = sinusoidal_positions(length, d_model, device=tokens.device, dtype=words.dtype)
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device, dtype=words.dtype)
        return self.output(self.blocks(words + positions, mask=mask, is_causal=True)).mT


def _language_model(device: torch.device) -> Case:
    """Scores of every next token, with the gradient of all parameters."""
    ours = LanguageModel(1000, 128, 4, 2, dropout=0.0).to(device)
    peer = TorchLanguageModel(1000, 128, 4, 2).to(device)
    peer.load_state_dict(ours.state_dict())
    tokens = torch.randint(1000, (8, 64), device=device)
    torch.testing.assert_close(ours(tokens), peer(tokens), rtol=1e-4, atol=1e-4)

    def run(module: nn.Module):
        names = [name for name, _ in module.named_parameters()]
        return lambda tokens, *values: torch.func.functional_call(
            module, dict(zip(names, values, strict=True)), (tokens,)
        )

    return Case("LanguageModel", "8×64, 2 layers of 128", run(ours), run(peer), (tokens, *ours.parameters()))


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
