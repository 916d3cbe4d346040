"""Several attentions side by side, each in its own small space, as ``torch.nn.MultiheadAttention``."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, pad

from dlbook._checks import check_ndim, check_range, check_same, check_tensor, check_whole
from dlbook.activations import softmax
from dlbook.attention.weighted import scaled_dot_product_attention

Mask = Bool[Tensor, "..."] | Float[Tensor, "..."]


class MultiheadAttention(nn.Module):
    r"""Multi-head attention, as ``torch.nn.MultiheadAttention``.

    In its boolean masks ``True`` means *left out*, the opposite of :func:`scaled_dot_product_attention`'s.

    .. math:: \operatorname{concat}(\text{head}_1, \dots, \text{head}_h)\, W^O, \qquad
        \text{head}_i = \operatorname{attention}(Q W_i^Q, K W_i^K, V W_i^V)

    Each head scores matches in a space of its own of ``embed_dim / num_heads`` features, so that one can follow the
    grammar while another follows the meaning, at the cost of one head as wide as all of them.

    Args:
        embed_dim: Features of queries and outputs.
        num_heads: Number of heads; it divides ``embed_dim``.
        dropout: Chance with which a weight is set to 0 in training.
        bias: Whether the projections have biases.
        add_bias_kv: Whether to append one learned key and value.
        add_zero_attn: Whether to append a key and a value of zeros.
        kdim: Features of the keys; ``embed_dim`` when left out.
        vdim: Features of the values; ``embed_dim`` when left out.
        batch_first: Whether a batch is (batch, time, features) instead of (time, batch, features).
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If an argument is out of range or ``num_heads`` does not divide ``embed_dim``.

    Example:
        >>> x = torch.zeros(5, 2, 8)
        >>> output, weights = MultiheadAttention(8, num_heads=4)(x, x, x)
        >>> output.shape, weights.shape
        (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.2.2. Chapter: attention.
    """

    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole("embed_dim", embed_dim, 1)
        check_whole("num_heads", num_heads, 1)
        check_range("dropout", dropout, 0, 1)
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim: expected a multiple of num_heads={num_heads}; got {embed_dim}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        same = self.kdim == self.vdim == embed_dim
        shapes = {
            "q_proj_weight": None if same else (embed_dim, embed_dim),
            "k_proj_weight": None if same else (embed_dim, self.kdim),
            "v_proj_weight": None if same else (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim) if same else None,
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            fresh = None if shape is None else nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, fresh)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Glorot's uniform start for the projections, zero biases."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                nn.init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                nn.init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                nn.init.xavier_normal_(bias)

    def forward(
        self,
        query: Float[Tensor, "... embed_dim"],
        key: Float[Tensor, "... kdim"],
        value: Float[Tensor, "... vdim"],
        key_padding_mask: Mask | None = None,
        need_weights: bool = True,
        attn_mask: Mask | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Float[Tensor, "... embed_dim"], Float[Tensor, "..."] | None]:
        """Attend; arguments and results as torch's.

        Args:
            query: One sequence or a batch of them.
            key: The same, of as many sequences.
            value: The same, as long as ``key``.
            key_padding_mask: (batch, key): ``True`` leaves a key out; floating point is added to its scores.
            need_weights: Whether to return weights too. A query that may attend nowhere then gets NaN, as torch's, and
                otherwise zeros.
            attn_mask: (query, key), or (batch × heads, query, key): ``True`` leaves a pair out; floating point is
                added.
            average_attn_weights: Whether to return the mean weights over the heads instead of each head's.
            is_causal: A hint that ``attn_mask`` is the causal mask; the mask itself is still needed.

        Returns:
            The outputs, laid out as ``query`` is; and the weights, (batch, query, key) or (batch, heads, query, key).
        """
        self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise ValueError("attn_mask: expected the causal mask, since is_causal is set; got None")
        single = query.ndim == 2
        if single and key_padding_mask is not None:
            key_padding_mask = key_padding_mask[None]
        operands: dict[int, Tensor] = {}
        for x in (query, key, value):
            # One tensor given thrice stays one tensor, whose three projections are one product.
            operands.setdefault(id(x), x[None] if single else x if self.batch_first else x.transpose(0, 1))
        batches = [operands[id(x)] for x in (query, key, value)]
        q, k, v = self._project(*batches)
        output, weights = self.attend(q, k, v, key_padding_mask, attn_mask, need_weights)
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if single:
            return output[0], None if weights is None else weights[0]
        return (output if self.batch_first else output.transpose(0, 1)), weights

    def project(
        self, input: Float[Tensor, "batch time features"], role: int
    ) -> Float[Tensor, "batch heads time head_dim"]:
        """Each head's queries (``role`` 0), keys (1) or values (2)."""
        if self.in_proj_weight is None:
            weight: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)[role]
        else:
            weight = self.in_proj_weight.chunk(3)[role]
        return self._split(
            linear(input, weight, None if self.in_proj_bias is None else self.in_proj_bias.chunk(3)[role])
        )

    def attend(
        self,
        query: Float[Tensor, "batch heads query head_dim"],
        key: Float[Tensor, "batch heads key head_dim"],
        value: Float[Tensor, "batch heads key head_dim"],
        key_padding_mask: Mask | None = None,
        attn_mask: Mask | None = None,
        need_weights: bool = False,
    ) -> tuple[Float[Tensor, "batch query embed_dim"], Float[Tensor, "batch heads query key"] | None]:
        """Attention of projected heads and the output projection; masks as ``forward``'s, a batch of them."""
        chance = self.dropout if self.training else 0.0
        mask, weights = self._merge(attn_mask, key_padding_mask, query, key.shape[2]), None
        if need_weights:
            scores = (query * self.head_dim**-0.5) @ key.mT
            weights = dropout(softmax(scores if mask is None else scores + mask, dim=-1), chance)
            output = weights @ value
        else:
            output: Any = scaled_dot_product_attention(query, key, value, mask, chance)
        return linear(output.transpose(1, 2).flatten(2), self.out_proj.weight, self.out_proj.bias), weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Queries, keys and values of each head, with the key and value that are appended."""
        if query is key and key is value and self.in_proj_weight is not None:
            heads = [self._split(x) for x in linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)]
        else:
            heads = [self.project(x, role) for role, x in enumerate((query, key, value))]
        if self.bias_k is not None and self.bias_v is not None:
            for role, extra in ((1, self.bias_k), (2, self.bias_v)):
                heads[role] = torch.cat([heads[role], self._split(extra.expand(len(query), 1, -1))], dim=2)
        return [heads[0], *(pad(x, (0, 0, 0, 1)) for x in heads[1:])] if self.add_zero_attn else heads

    def _split(self, x: Tensor) -> Tensor:
        """(batch, time, heads × head_dim) as (batch, heads, time, head_dim)."""
        return x.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _merge(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor, keys: int
    ) -> Tensor | None:
        """Both masks as one that is added to the scores of all heads; what was appended may always be attended to."""
        batch, _, queries, _ = query.shape
        appended = int(self.bias_k is not None) + int(self.add_zero_attn)
        keys -= appended
        merged = None
        if attn_mask is not None:
            shapes = [(queries, keys), (batch * self.num_heads, queries, keys)]
            merged = _additive("attn_mask", attn_mask, shapes, query)
            merged = merged.view(-1, self.num_heads if merged.ndim == 3 else 1, queries, keys)
        if key_padding_mask is not None:
            padding = _additive("key_padding_mask", key_padding_mask, [(batch, keys)], query)[:, None, None]
            merged = padding if merged is None else merged + padding
        return pad(merged, (0, appended)) if merged is not None and appended else merged

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        form = "(batch, time, features)" if self.batch_first else "(time, batch, features)"
        for name, x, features in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            check_tensor(name, x)
            check_ndim(name, x, (2, 3), f"{form} or (time, features)")
            if x.ndim != query.ndim:
                raise ValueError(f"{name}: expected {query.ndim} dimensions, as query has; got {x.ndim}")
            if x.shape[-1] != features:
                raise ValueError(f"{name}: expected {features} features; got {x.shape[-1]}")
            check_same(name, x, "the layer's weight", self.out_proj.weight)
        if key.shape[:-1] != value.shape[:-1]:
            raise ValueError(
                f"value: expected {tuple(key.shape[:-1])} before its features, as key; got {tuple(value.shape)}"
            )
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and key.shape[batch] != query.shape[batch]:
            raise ValueError(f"key: expected a batch of {query.shape[batch]}, as query; got {key.shape[batch]}")


def _additive(name: str, mask: Tensor, shapes: list[tuple[int, ...]], query: Tensor) -> Tensor:
    """The mask as numbers to add: minus infinity where a boolean mask leaves out."""
    check_tensor(name, mask)
    if tuple(mask.shape) not in shapes:
        raise ValueError(f"{name}: expected shape {' or '.join(map(str, shapes))}; got {tuple(mask.shape)}")
    if mask.dtype == torch.bool:
        return query.new_zeros(mask.shape).masked_fill(mask, -torch.inf)
    if not mask.is_floating_point():
        raise TypeError(f"{name}: expected a boolean or floating-point mask; got dtype {mask.dtype}")
    return mask.to(query.dtype)
