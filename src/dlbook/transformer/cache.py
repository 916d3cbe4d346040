"""The keys and values of what has been read and written already.

A decoder that writes word by word asks, at each step, about one new position only. The keys and values of the earlier
ones have not changed, for no position sees a later one: kept, they need not be computed again.
"""

from jaxtyping import Int
from torch import Tensor, cat

from dlbook.attention import MultiheadAttention


class KeyValueCache:
    """Keys and values of a growing sequence, and of the memory it looks at, for every attention of a model.

    Pass one to each call of a decoder (or of an encoder used as one) with the new steps only; every call adds them.

    Example:
        >>> import torch
        >>> from dlbook.transformer import TransformerDecoder, TransformerDecoderLayer
        >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, batch_first=True), 2).eval()
        >>> words, memory, cache = torch.randn(1, 3, 8), torch.randn(1, 5, 8), KeyValueCache()
        >>> steps = [decoder(words[:, t : t + 1], memory, cache=cache) for t in range(3)]
        >>> cache.length
        3

    Source: Shazeer (2019), "Fast transformer decoding: one write-head is all you need". Chapter: transformer.
    """

    def __init__(self) -> None:
        self._steps: dict[MultiheadAttention, tuple[Tensor, Tensor]] = {}
        self._memory: dict[MultiheadAttention, tuple[Tensor, Tensor]] = {}

    @property
    def length(self) -> int:
        """Number of steps kept."""
        return next(iter(self._steps.values()))[0].shape[2] if self._steps else 0

    def extend(self, attention: MultiheadAttention, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add new steps' keys and values, (batch, heads, time, head_dim); return those of all steps."""
        if attention in self._steps:
            old_key, old_value = self._steps[attention]
            if old_key.shape[0] != key.shape[0]:
                raise ValueError(f"cache: expected a batch of {old_key.shape[0]}, as before; got {key.shape[0]}")
            key, value = cat([old_key, key], dim=2), cat([old_value, value], dim=2)
        self._steps[attention] = key, value
        return key, value

    def remember(self, attention: MultiheadAttention, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values of the memory, (batch, time, features), computed at the first call only."""
        if attention not in self._memory:
            self._memory[attention] = attention.project(memory, 1), attention.project(memory, 2)
        return self._memory[attention]

    def reorder(self, index: Int[Tensor, " batch"]) -> "KeyValueCache":
        """A new cache whose sequence ``i`` is this one's sequence ``index[i]``, as beam search needs it."""
        new = KeyValueCache()
        for old, kept in ((self._steps, new._steps), (self._memory, new._memory)):
            for attention, (key, value) in old.items():
                kept[attention] = key.index_select(0, index), value.index_select(0, index)
        return new
