"""The Transformer as a translator, with the interface of the recurrent one."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dlbook.activations import log_softmax
from dlbook.attention import MultiheadAttention, causal_mask, sinusoidal_positions
from dlbook.neurons import Embedding, Linear
from dlbook.regularization import Dropout
from dlbook.seq2seq.recurrent import State, check_tokens, make_embedding
from dlbook.seq2seq.vocabulary import PAD
from dlbook.transformer import KeyValueCache, Transformer


class TransformerTranslator(nn.Module):
    r"""A Transformer between two embeddings and an output layer, trained to translate.

    Words enter as their embedding times :math:`\sqrt d` plus the sinusoidal position; the embedding starts with
    variance :math:`1/d`, so that word and position are of about the same size.

    Args:
        source_size: Number of the source language's tokens.
        target_size: Number of the target language's tokens.
        d_model: Features of embeddings and states; a multiple of ``nhead``.
        nhead: Heads of each attention.
        num_layers: Blocks of the encoder, and of the decoder.
        dim_feedforward: Features between a block's last two matrices; ``4 * d_model`` when left out.
        dropout: Chance with which a number is set to 0 in training.
        norm_first: Whether each norm stands before its part (trains without warm-up) or after the sum, as in the paper.
        tie_weights: Whether the output layer's matrix is the target embedding itself.

    Raises:
        ValueError: If an argument is out of range, or ``nhead`` does not divide ``d_model``.

    Example:
        >>> model = TransformerTranslator(source_size=9, target_size=11, d_model=8, nhead=2)
        >>> source, target_in = torch.tensor([[5, 6, 3]]), torch.tensor([[2, 8]])
        >>> model(source, target_in).shape
        torch.Size([1, 11, 2])
        >>> log_probs, state = model.step(torch.tensor([2]), model.encode(source))
        >>> log_probs.shape
        torch.Size([1, 11])

    Source: Vaswani et al. (2017), "Attention is all you need"; tied weights: Press and Wolf (2017).
    Chapter: transformer.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        d_model: int = 128,
        nhead: int = 4,
        num_layers: int = 2,
        dim_feedforward: int | None = None,
        dropout: float = 0.1,
        norm_first: bool = True,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        self.source_embedding = make_embedding("source_size", source_size, d_model)
        self.target_embedding = make_embedding("target_size", target_size, d_model)
        for words in (self.source_embedding, self.target_embedding):
            with torch.no_grad():
                words.weight.mul_(d_model**-0.5)
        width = 4 * d_model if dim_feedforward is None else dim_feedforward
        self.transformer = Transformer(
            d_model, nhead, num_layers, num_layers, width, dropout, batch_first=True, norm_first=norm_first
        )
        self.dropout = Dropout(dropout)
        self.output = Linear(d_model, target_size)
        if tie_weights:
            self.output.weight = self.target_embedding.weight

    def forward(
        self, source: Int[Tensor, "batch source"], target_in: Int[Tensor, "batch target"], need_weights: bool = False
    ) -> Any:
        """Logits for the word after each word of ``target_in``, (batch, vocabulary, target).

        With ``need_weights`` also the weights with which each decoder layer and head looks at the source, (batch,
        layers, heads, target, source).
        """
        padding = source == PAD
        words = self._embed("source", source, self.source_embedding)
        inputs = words, self._embed("target_in", target_in, self.target_embedding)
        masks = {
            "src_key_padding_mask": padding,
            "memory_key_padding_mask": padding,
            "tgt_mask": ~causal_mask(target_in.shape[1], device=target_in.device),
            "tgt_is_causal": True,
        }
        if not need_weights:
            return self.output(self.transformer(*inputs, **masks)).mT
        with _watch(self._looks) as weights:
            logits = self.output(self.transformer(*inputs, **masks)).mT
        return logits, torch.stack(weights, dim=1)

    def encode(self, source: Int[Tensor, "batch source"]) -> State:
        """Read sentences; the decoder's state before the first word: the source's keys and values, and none written."""
        mask = source != PAD
        words = self._embed("source", source, self.source_embedding)
        memory = self.transformer.encoder(words, src_key_padding_mask=~mask)
        key, value = (torch.stack([look.project(memory, role) for look in self._looks], dim=1) for role in (1, 2))
        nothing = {"key": key[..., :0, :], "value": value[..., :0, :]}
        return {"memory_key": key, "memory_value": value, "mask": mask} | nothing

    def step(self, tokens: Int[Tensor, " rows"], state: State) -> tuple[Float[Tensor, "rows vocabulary"], State]:
        """Log-probabilities of the word after ``tokens``, one token a row, and the state with which to go on."""
        cache = _Cache(self._selves, self._looks, state)
        words = self._embed("tokens", tokens.unsqueeze(1), self.target_embedding, cache.length)
        # The memory itself is not asked for again, as the cache holds its keys and values: anything stands in for it.
        outputs = self.transformer.decoder(words, words, memory_key_padding_mask=~state["mask"], cache=cache)
        return log_softmax(self.output(outputs.squeeze(1)), dim=-1), state | cache.written()

    @property
    def _selves(self) -> list[MultiheadAttention]:
        """Each decoder layer's attention to what is written."""
        return [layer.self_attn for layer in self.transformer.decoder.layers]  # type: ignore[union-attr]

    @property
    def _looks(self) -> list[MultiheadAttention]:
        """Each decoder layer's attention to the source."""
        return [layer.multihead_attn for layer in self.transformer.decoder.layers]  # type: ignore[union-attr]

    def _embed(self, name: str, tokens: Tensor, embedding: Embedding, start: int = 0) -> Tensor:
        """The words, scaled to the size of the positions that are added."""
        check_tokens(name, tokens)
        words = embedding(tokens) * sqrt(embedding.embedding_dim)
        end = start + tokens.shape[1]
        positions = sinusoidal_positions(end, embedding.embedding_dim, device=tokens.device, dtype=words.dtype)
        return self.dropout(words + positions[start:])


class _Cache(KeyValueCache):
    """A cache made from a state's tensors, (rows, layers, heads, time, head_dim), anew at each step.

    So the state before the step stays what it was, and a search may go on from it again.
    """

    def __init__(self, selves: list[MultiheadAttention], looks: list[MultiheadAttention], state: State) -> None:
        super().__init__()
        self._steps = dict(zip(selves, _layers(state["key"], state["value"]), strict=True))
        self._memory = dict(zip(looks, _layers(state["memory_key"], state["memory_value"]), strict=True))

    def written(self) -> State:
        """Keys and values of all words so far."""
        keys, values = (list(kept) for kept in zip(*self._steps.values(), strict=True))
        return {"key": torch.stack(keys, dim=1), "value": torch.stack(values, dim=1)}


def _layers(key: Tensor, value: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each layer's keys and values."""
    return list(zip(key.unbind(1), value.unbind(1), strict=True))


@contextmanager
def _watch(attentions: list[MultiheadAttention]) -> Iterator[list[Tensor]]:
    """Collect the weights of each head of attentions that are called meanwhile without being asked for them."""
    weights: list[Tensor] = []

    def collect(attention: MultiheadAttention, inputs: tuple, output: tuple) -> None:
        weights.append(attention.forward(*inputs[:4], need_weights=True, average_attn_weights=False)[1])  # type: ignore

    handles = [attention.register_forward_hook(collect) for attention in attentions]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()
