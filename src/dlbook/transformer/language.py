"""A stack of encoder blocks that may not look ahead: a decoder-only Transformer, which writes text on."""

from math import sqrt
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from dlbook._checks import check_ndim, check_tensor, check_whole
from dlbook.activations import gelu, log_softmax
from dlbook.attention import causal_mask, sinusoidal_positions
from dlbook.neurons import Embedding, Linear
from dlbook.normalization import LayerNorm
from dlbook.regularization import Dropout
from dlbook.transformer.cache import KeyValueCache
from dlbook.transformer.layers import TransformerEncoderLayer
from dlbook.transformer.stacks import TransformerEncoder


class LanguageModel(nn.Module):
    r"""A decoder-only Transformer: at each position, scores for the token that comes next.

    Its blocks are those of the encoder. The causal mask alone makes the difference: no position sees a later one, so
    that every position of a text is an example to learn from.

    Args:
        vocabulary_size: Number of tokens.
        d_model: Features of embeddings and states; a multiple of ``nhead``.
        nhead: Heads of each attention.
        num_layers: Blocks.
        dim_feedforward: Features between a block's last two matrices; ``4 * d_model`` when left out.
        dropout: Chance with which a number is set to 0 in training.
        norm_first: Whether each norm stands before its part, with a last one behind all blocks, or after the sum.
        causal: Whether later positions are hidden. Without it the model is encoder-only.
        tie_weights: Whether the output layer's matrix is the embedding itself.

    Raises:
        ValueError: If an argument is out of range, or ``nhead`` does not divide ``d_model``.

    Example:
        >>> import torch
        >>> model = LanguageModel(vocabulary_size=11, d_model=8, nhead=2, num_layers=1)
        >>> model(torch.tensor([[2, 7, 5]])).shape
        torch.Size([1, 11, 3])
        >>> log_probs, cache = model.step(torch.tensor([[2, 7, 5]]), KeyValueCache())
        >>> log_probs.shape, cache.length
        (torch.Size([1, 11]), 3)

    Source: Radford et al. (2018), "Improving language understanding by generative pre-training"; tied weights: Press
    and Wolf (2017). Chapter: transformer.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int | None = None,
        dropout: float = 0.1,
        norm_first: bool = True,
        causal: bool = True,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        check_whole("vocabulary_size", vocabulary_size, 1)
        self.embedding = Embedding(vocabulary_size, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        width = 4 * d_model if dim_feedforward is None else dim_feedforward
        block = TransformerEncoderLayer(d_model, nhead, width, dropout, gelu, batch_first=True, norm_first=norm_first)
        self.blocks = TransformerEncoder(block, num_layers, LayerNorm(d_model) if norm_first else None)
        for parameter in self.blocks.parameters():
            if parameter.ndim > 1:  # the copies must differ
                nn.init.xavier_uniform_(parameter)
        self.dropout, self.causal = Dropout(dropout), causal
        self.output = Linear(d_model, vocabulary_size)
        if tie_weights:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch vocabulary time"]:
        """Logits for the token after each one, laid out as losses want them, the classes along dim 1."""
        mask = ~causal_mask(tokens.shape[-1], device=tokens.device) if self.causal else None
        return self.output(self.blocks(self._embed(tokens), mask=mask, is_causal=self.causal)).mT

    def step(
        self, tokens: Int[Tensor, "batch time"], cache: KeyValueCache
    ) -> tuple[Float[Tensor, "batch vocabulary"], KeyValueCache]:
        """Log-probabilities of the token after ``tokens``, which go on from what the cache, now extended, holds."""
        if not self.causal:
            raise ValueError("causal: expected a model whose keys and values stay as they are; got causal=False")
        outputs = self.blocks(self._embed(tokens, cache.length), cache=cache)
        return log_softmax(self.output(outputs[:, -1]), dim=-1), cache

    def _embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """The tokens, scaled to the size of the positions that are added."""
        check_tensor("tokens", tokens)
        check_ndim("tokens", tokens, (2,), "(batch, time)")
        d_model, end = self.embedding.embedding_dim, start + tokens.shape[1]
        words: Any = self.embedding(tokens) * sqrt(d_model)
        positions = sinusoidal_positions(end, d_model, device=tokens.device, dtype=words.dtype)
        return self.dropout(words + positions[start:])
