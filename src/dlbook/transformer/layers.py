"""One block of the Transformer's encoder and one of its decoder, as ``torch.nn``'s layers."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dlbook._checks import check_option, check_whole
from dlbook.activations import gelu, relu
from dlbook.attention import MultiheadAttention, causal_mask
from dlbook.neurons import Linear
from dlbook.normalization import LayerNorm
from dlbook.regularization import Dropout
from dlbook.transformer.cache import KeyValueCache

Activation = str | Callable
Device = torch.device | str | int | None
Mask = Bool[Tensor, "..."] | Float[Tensor, "..."]
Sequences = Float[Tensor, "... d_model"]


class _Block(nn.Module):
    """What both blocks have in common: self-attention, the feed-forward network, shortcuts and norms."""

    attends_memory: bool
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole("dim_feedforward", dim_feedforward, 1)
        if isinstance(activation, str):
            check_option("activation", activation, ("relu", "gelu"))
            activation = relu if activation == "relu" else gelu
        where = {"device": device, "dtype": dtype}
        parts = ("self_attn", "multihead_attn")[: 1 + self.attends_memory]
        for name in parts:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **where))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where)
        for number in range(1, len(parts) + 2):
            setattr(self, f"norm{number}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where))
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation, self.norm_first = activation, norm_first

    def _around(self, number: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """A part of the block on its shortcut, with the norm before it, or after the sum as in the paper."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        return x + dropout(part(norm(x))) if self.norm_first else norm(x + dropout(part(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


def _attend(
    attention: MultiheadAttention,
    x: Tensor,
    memory: Tensor | None,
    attn_mask: Tensor | None,
    key_padding_mask: Tensor | None,
    is_causal: bool,
    cache: KeyValueCache | None,
) -> Tensor:
    """Attention to ``memory``, or to ``x`` itself; with a cache, to the earlier steps too."""
    if cache is None:
        source = x if memory is None else memory
        return attention(x, source, source, key_padding_mask, False, attn_mask, is_causal=is_causal)[0]
    if x.ndim != 3:
        raise ValueError(f"cache: expected a batch of sequences with it, three dimensions; got shape {tuple(x.shape)}")
    if not attention.batch_first:
        x, memory = x.transpose(0, 1), None if memory is None else memory.transpose(0, 1)
    query = attention.project(x, 0)
    if memory is None:
        key, value = cache.extend(attention, attention.project(x, 1), attention.project(x, 2))
        new, total = query.shape[2], key.shape[2]
        if attn_mask is None and new > 1:
            attn_mask = ~causal_mask(new, total, offset=total - new, device=x.device)
    else:
        key, value = cache.remember(attention, memory)
    output, _ = attention.attend(query, key, value, key_padding_mask, attn_mask)
    return output if attention.batch_first else output.transpose(0, 1)


class TransformerEncoderLayer(_Block):
    r"""Self-attention and a feed-forward network, each on a shortcut, as ``torch.nn.TransformerEncoderLayer``.

    .. math:: x \leftarrow \operatorname{norm}(x + \operatorname{attention}(x)), \qquad
        x \leftarrow \operatorname{norm}(x + W_2\,\phi(W_1 x))

    With ``norm_first`` the norm stands before each part and the shortcut stays clear from the first block to the last:
    :math:`x \leftarrow x + \operatorname{attention}(\operatorname{norm}(x))`.

    Args:
        d_model: Features of the input and output.
        nhead: Number of heads; it divides ``d_model``.
        dim_feedforward: Features between the feed-forward network's two matrices.
        dropout: Chance with which a number is set to 0 in training.
        activation: ``"relu"``, ``"gelu"``, or a function.
        layer_norm_eps: Added to the variance in the norms.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        norm_first: Whether each norm stands before its part instead of after the sum.
        bias: Whether the matrices and norms have biases.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If an argument is out of range or ``nhead`` does not divide ``d_model``.

    Example:
        >>> TransformerEncoderLayer(8, nhead=2)(torch.zeros(5, 3, 8)).shape
        torch.Size([5, 3, 8])

    Source: Vaswani et al. (2017); ``norm_first``: Xiong et al. (2020). Chapter: transformer.
    """

    attends_memory = False

    def forward(
        self,
        src: Sequences,
        src_mask: Mask | None = None,
        src_key_padding_mask: Mask | None = None,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Sequences:
        """Arguments as torch's.

        With a ``cache``, ``src`` holds the new steps only, which see the earlier ones and no later ones (this is how an
        encoder serves as a language model); a mask must then cover the earlier steps' keys too.
        """
        x = self._around(
            1, src, lambda x: _attend(self.self_attn, x, None, src_mask, src_key_padding_mask, is_causal, cache)
        )
        return self._around(2, x, self._feed_forward)


class TransformerDecoderLayer(_Block):
    r"""Self-attention, attention to the encoder's output, and a feed-forward network, each on a shortcut.

    As ``torch.nn.TransformerDecoderLayer``.

    Args:
        d_model: Features of the input and output.
        nhead: Number of heads; it divides ``d_model``.
        dim_feedforward: Features between the feed-forward network's two matrices.
        dropout: Chance with which a number is set to 0 in training.
        activation: ``"relu"``, ``"gelu"``, or a function.
        layer_norm_eps: Added to the variance in the norms.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        norm_first: Whether each norm stands before its part instead of after the sum.
        bias: Whether the matrices and norms have biases.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If an argument is out of range or ``nhead`` does not divide ``d_model``.

    Example:
        >>> TransformerDecoderLayer(8, nhead=2)(torch.zeros(5, 3, 8), memory=torch.zeros(7, 3, 8)).shape
        torch.Size([5, 3, 8])

    Source: Vaswani et al. (2017); ``norm_first``: Xiong et al. (2020). Chapter: transformer.
    """

    attends_memory = True

    def forward(
        self,
        tgt: Sequences,
        memory: Sequences,
        tgt_mask: Mask | None = None,
        memory_mask: Mask | None = None,
        tgt_key_padding_mask: Mask | None = None,
        memory_key_padding_mask: Mask | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Sequences:
        """Arguments as torch's.

        With a ``cache``, ``tgt`` holds the new steps only, which see the earlier ones and no later ones; masks of the
        target must then cover the earlier steps' keys too. The memory's keys are computed at the first call.
        """

        def own(x: Tensor) -> Tensor:
            return _attend(self.self_attn, x, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal, cache)

        def other(x: Tensor) -> Tensor:
            padding = memory_key_padding_mask
            return _attend(self.multihead_attn, x, memory, memory_mask, padding, memory_is_causal, cache)

        x = self._around(1, tgt, own)
        x = self._around(2, x, other)
        return self._around(3, x, self._feed_forward)
