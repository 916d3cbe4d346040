"""Steps to search with: a table of chances, and the family tree that spares a decoder's cache the moving."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dlbook._checks import check_floating, check_range


def table_step(chances: Float[Tensor, "vocabulary vocabulary"]) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
    r"""A step whose next token depends on the last one alone, by a table.

    Args:
        chances: Row :math:`i` holds the probabilities of the tokens after token :math:`i`.

    Returns:
        A ``step(tokens, state)`` for any of the searches; the state passes through as it is.

    Raises:
        ValueError: If the table is not square or a number is no probability.
        TypeError: If it is not a floating-point tensor.

    Example:
        >>> step = table_step(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        >>> step(torch.tensor([0, 1]), None)
        (tensor([[-0.6931, -0.6931],
                [ 0.0000,    -inf]]), None)

    Source: Shannon (1948), "A mathematical theory of communication", sections 2 and 3. Chapter: beam_search.
    """
    check_floating("chances", chances)
    if chances.ndim != 2 or chances.shape[0] != chances.shape[1]:
        raise ValueError(f"chances: expected shape (vocabulary, vocabulary); got {tuple(chances.shape)}")
    if not bool(((chances >= 0) & (chances <= 1)).all()):
        raise ValueError("chances: expected numbers in [0, 1]; got others among them")
    log_probs = chances.log()
    return lambda tokens, state: (log_probs.index_select(0, tokens), state)


class Ancestry:
    """Which of a sentence's earlier tokens each open hypothesis descends from: state of a decoder that moves no keys.

    Reordering a cache of keys and values copies all of it at every step. Here each sentence keeps one pool instead, in
    which every step appends the tokens of all its open hypotheses, and nothing ever moves: the open hypotheses are as
    many queries at once, and each sees its own ancestors through a mask. Only this list of ancestors is reordered. The
    source sentence, too, is looked at by all hypotheses of a sentence together, and need not be copied for each.

    The cache is not part of the state: the step keeps it, for one search.

    Args:
        batch: Number of sentences.
        device: Where the search runs.

    Raises:
        ValueError: If ``batch`` is negative, or hypotheses do not divide evenly among the sentences.

    Example:
        >>> from dlbook.beam_search import beam_search
        >>> from dlbook.transformer import KeyValueCache, TransformerDecoder, TransformerDecoderLayer
        >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, batch_first=True), 2).eval()
        >>> words, memory, cache = torch.randn(11, 8), torch.randn(3, 5, 8), KeyValueCache()
        >>> def step(tokens, state):
        ...     state, visible = state.extend()
        ...     hidden = ~visible.repeat_interleave(2, dim=0)  # once for each head; True is left out
        ...     x = words[tokens].unflatten(0, (3, -1))  # a sentence's hypotheses take the place of time
        ...     x = decoder(x, memory, tgt_mask=hidden, cache=cache)
        ...     return torch.log_softmax(x.flatten(0, 1) @ words.T, dim=1), state
        >>> beam_search(step, torch.zeros(3, dtype=torch.long), Ancestry(3), width=4, max_length=7).tokens.shape
        torch.Size([3, 1, 7])

    Source: Miao et al. (2024), "SpecInfer" (attention over a tree). Chapter: beam_search.
    """

    def __init__(self, batch: int, device: torch.device | str | int | None = None) -> None:
        check_range("batch", batch, 0)
        self.batch = batch
        self.size = 0
        """Tokens in each sentence's pool."""
        self.places: Int[Tensor, "rows length"] = torch.zeros(batch, 0, dtype=torch.long, device=device)
        """Where in its sentence's pool each hypothesis finds its tokens, from the first to the last."""

    def reorder(self, index: Int[Tensor, " rows"]) -> "Ancestry":
        """The ancestry whose hypothesis ``i`` is this one's ``index[i]``, one of the same sentence."""
        return self._with(self.places.index_select(0, index), self.size)

    def extend(self) -> tuple["Ancestry", Bool[Tensor, "batch hypotheses pool"]]:
        """With one more token for every hypothesis, and the mask for it: ``True`` where a hypothesis may attend."""
        if len(self.places) % max(self.batch, 1):
            raise ValueError(f"rows: expected a multiple of batch={self.batch}; got {len(self.places)}")
        count = len(self.places) // max(self.batch, 1)
        new = torch.arange(count, device=self.places.device) + self.size
        grown = self._with(torch.cat([self.places, new.repeat(self.batch)[:, None]], 1), self.size + count)
        visible = new.new_zeros(self.batch, count, grown.size, dtype=torch.bool)
        return grown, visible.scatter_(2, grown.places.unflatten(0, (self.batch, count)), True)

    def _with(self, places: Tensor, size: int) -> "Ancestry":
        other = Ancestry(self.batch, places.device)
        other.places, other.size = places, size
        return other
