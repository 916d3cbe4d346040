r"""A mean of values, weighted by a softmax over scores: the scores are what attentions differ in.

The masks say where a query *may* attend: ``True`` keeps a score, ``False`` sets it to :math:`-\infty`, so that the
softmax gives it no weight.
"""

from math import sqrt

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import dropout

from dlbook._checks import check_floating, check_range, check_same, check_tensor, check_whole

Mask = Bool[Tensor, "..."] | Float[Tensor, "..."]
Mean = Float[Tensor, "... query value_dim"]
Weights = Float[Tensor, "... query key"]


def scaled_dot_product_attention(
    query: Float[Tensor, "... query head_dim"],
    key: Float[Tensor, "... key head_dim"],
    value: Float[Tensor, "... key value_dim"],
    attn_mask: Mask | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    need_weights: bool = False,
) -> Mean | tuple[Mean, Weights]:
    r"""Attention by dot products, as ``torch.nn.functional.scaled_dot_product_attention``.

    .. math:: \operatorname{softmax}\Big(\frac{Q K^\top}{\sqrt d}\Big)\, V

    The dot product of two vectors of :math:`d` independent standard normal numbers has variance :math:`d`; divided by
    :math:`\sqrt d` it has variance 1, and the softmax starts out soft. Leading dimensions broadcast.

    Args:
        query: What is looked for.
        key: What each value is found by.
        value: What is averaged.
        attn_mask: Of a shape that broadcasts to (..., query, key): boolean, ``True`` where a query may attend, or
            floating point, added to the scores. A query that may attend nowhere gets zeros.
        dropout_p: Chance with which a weight is set to 0 and the others scaled up. It acts always: pass 0 to evaluate.
        is_causal: Let query :math:`i` attend to keys 0 to :math:`i` only.
        scale: Factor of the scores; :math:`1/\sqrt d` when left out.
        enable_gqa: Grouped queries: keys and values may have fewer heads (dimension -3), each serving several
            neighbouring query heads.
        need_weights: Whether to return the weights too (not in torch).

    Returns:
        One mean of values for each query; with ``need_weights`` also the weights, in ``[0, 1]``, before dropout.

    Raises:
        TypeError: If an argument is no floating-point tensor, or dtypes differ.
        ValueError: If shapes or devices do not fit together, or ``dropout_p`` is out of range.

    Example:
        >>> keys = torch.tensor([[10.0, 0.0], [0.0, 10.0]])
        >>> scaled_dot_product_attention(torch.tensor([[10.0, 0.0]]), keys, torch.tensor([[1.0], [2.0]]))
        tensor([[1.]])

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.2.1. Chapter: attention.
    """
    _check_operands(query, key, value)
    check_range("dropout_p", dropout_p, 0, 1)
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(f"key: expected {query.shape[-1]} features, as query has; got {key.shape[-1]}")
    if enable_gqa:
        key, value = _share_heads("key", key, query), _share_heads("value", value, query)
    # Scaling the queries is cheaper than scaling the scores: there are as many rows, but fewer columns.
    factor = 1 / sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scores = (query * factor) @ key.mT
    if is_causal:
        scores.masked_fill_(~causal_mask(query.shape[-2], key.shape[-2], device=query.device), -torch.inf)
    return _weighted_mean(_mask(scores, attn_mask), value, dropout_p, need_weights)


def additive_attention(
    query: Float[Tensor, "... query hidden"],
    key: Float[Tensor, "... key hidden"],
    value: Float[Tensor, "... key value_dim"],
    weight: Float[Tensor, " hidden"],
    attn_mask: Mask | None = None,
    *,
    need_weights: bool = False,
) -> Mean | tuple[Mean, Weights]:
    r"""Attention whose scores come from a network with one hidden layer, as in the first attention for translation.

    .. math:: a_{ij} = v^\top \tanh(W q_i + U k_j)

    The two products need to be done once for each query and each key, not for each pair: they are the caller's.

    Args:
        query: What is looked for, already projected: :math:`W q`.
        key: What each value is found by, already projected: :math:`U k`.
        value: What is averaged.
        weight: The output weights :math:`v` of the scoring network.
        attn_mask: As in :func:`scaled_dot_product_attention`.
        need_weights: Whether to return the weights too.

    Returns:
        One mean of values for each query; with ``need_weights`` also the weights, in ``[0, 1]``.

    Raises:
        TypeError: If an argument is no floating-point tensor, or dtypes differ.
        ValueError: If shapes or devices do not fit together.

    Example:
        >>> query, key = torch.zeros(1, 2), torch.tensor([[100.0, 100.0], [-100.0, -100.0]])
        >>> additive_attention(query, key, torch.tensor([[1.0], [2.0]]), torch.tensor([10.0, 10.0]))
        tensor([[1.]])

    Source: Bahdanau et al. (2015), "Neural machine translation by jointly learning to align and translate".
    Chapter: attention.
    """
    _check_operands(query, key, value)
    check_floating("weight", weight)
    check_same("weight", weight, "query", query)
    for name, operand in (("key", key), ("weight", weight)):
        if operand.shape[-1] != query.shape[-1]:
            raise ValueError(f"{name}: expected {query.shape[-1]} features, as query has; got {operand.shape[-1]}")
    scores = torch.tanh(query.unsqueeze(-2) + key.unsqueeze(-3)) @ weight
    return _weighted_mean(_mask(scores, attn_mask), value, 0.0, need_weights)


def causal_mask(
    query_length: int, key_length: int | None = None, offset: int = 0, device: torch.device | str | int | None = None
) -> Bool[Tensor, "query key"]:
    r"""The mask with which no position sees a later one: ``True`` where :math:`j \le i + \text{offset}`.

    Args:
        query_length: Number of queries.
        key_length: Number of keys; as many as queries and offset together when left out.
        offset: Number of keys that stand before the first query, such as those kept in a cache.
        device: Where the mask lives.

    Returns:
        ``True`` where a query may attend. ``torch.nn.MultiheadAttention`` and the Transformer want the opposite.

    Raises:
        ValueError: If a length is negative.

    Example:
        >>> causal_mask(2, 3)
        tensor([[ True, False, False],
                [ True,  True, False]])

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.2.3. Chapter: attention.
    """
    check_whole("query_length", query_length)
    key_length = query_length + offset if key_length is None else key_length
    check_whole("key_length", key_length)
    positions = torch.arange(query_length, device=device) + offset
    return torch.arange(key_length, device=device) <= positions[:, None]


def _mask(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The scores, with minus infinity where a boolean mask forbids, or a floating-point mask added."""
    if mask is None:
        return scores
    check_tensor("attn_mask", mask)
    try:
        fits = torch.broadcast_shapes(mask.shape, scores.shape) == scores.shape
    except RuntimeError:
        fits = False
    if not fits:
        expected = tuple(scores.shape)
        raise ValueError(f"attn_mask: expected a shape that broadcasts to {expected}; got {tuple(mask.shape)}")
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    check_same("attn_mask", mask, "query", scores)
    return scores + mask


def _weighted_mean(
    scores: Tensor, value: Tensor, dropout_p: float, need_weights: bool
) -> Tensor | tuple[Tensor, Tensor]:
    """The softmax of the scores times the values; zeros where all scores are minus infinity."""
    narrow = scores.dtype in (torch.bfloat16, torch.float16)
    exponentials, total = _exponentials(scores.float() if narrow else scores)
    if narrow or need_weights:
        # Half precision could overflow if it divided only after the sum.
        weights = (exponentials / total).to(value.dtype)
        mean = dropout(weights, dropout_p) @ value
        return (mean, weights) if need_weights else mean
    # Dividing the few values of each mean is cheaper than dividing all weights.
    return dropout(exponentials, dropout_p) @ value / total


def _exponentials(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Numerators and denominator of a softmax over the last dimension; a row of minus infinities gives 0 and 1."""
    if scores.shape[-1] == 0:
        return scores, scores.new_ones(*scores.shape[:-1], 1)
    # Detached: the shift cancels out. The largest score's exponential is 1: a sum of 0 means that nothing is allowed.
    largest = scores.detach().amax(-1, keepdim=True)
    # In place: the scores are fresh, the largest tensor here, and nothing else needs them.
    exponentials = scores.sub_(largest.masked_fill_(largest == -torch.inf, 0.0)).exp_()
    total = exponentials.sum(-1, keepdim=True)
    return exponentials, total + (total == 0)


def _share_heads(name: str, tensor: Tensor, query: Tensor) -> Tensor:
    """Each head repeated for its group of query heads."""
    if query.ndim < 3 or tensor.ndim < 3 or query.shape[-3] % max(tensor.shape[-3], 1):
        got = f"{tuple(tensor.shape)} with query's {tuple(query.shape)}"
        raise ValueError(f"{name}: expected heads (dimension -3) that divide query's when enable_gqa is set; got {got}")
    return tensor.repeat_interleave(query.shape[-3] // tensor.shape[-3], dim=-3)


def _check_operands(query: Tensor, key: Tensor, value: Tensor) -> None:
    for name, operand in (("query", query), ("key", key), ("value", value)):
        check_floating(name, operand)
        check_same(name, operand, "query", query)
        if operand.ndim < 2:
            raise ValueError(f"{name}: expected shape (..., length, features); got {tuple(operand.shape)}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"value: expected as many as keys, {key.shape[-2]}; got {value.shape[-2]}")
