"""Losses for embeddings: what is alike should lie together, what is not should lie apart."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_range, check_tensor

from ._common import check_shape, reduce, result_dtype, widen
from .classification import cross_entropy

Array = Shaped[Tensor, "..."]


def cosine_embedding_loss(
    input1: Float[Tensor, "..."],
    input2: Float[Tensor, "..."],
    target: Array,
    margin: float = 0,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Turns similar vectors to one direction, and dissimilar ones until their cosine falls below a margin.

    .. math:: \ell = \begin{cases} 1 - \cos(x_1, x_2) & y = 1 \\ \max(0,\, \cos(x_1, x_2) - m) & y = -1 \end{cases}

    Args:
        input1: Vectors, ``(batch, features)`` or ``(features,)``.
        input2: Vectors to compare with them.
        target: 1 for a similar pair, -1 for a dissimilar one: ``(batch,)`` or one.
        margin: Cosine :math:`m` that is low enough.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each pair, or their mean or sum, each in ``[0, 2]`` for a margin of -1 to 1; best value 0.

    Raises:
        TypeError: If an input is not a floating-point tensor.
        ValueError: If shapes do not fit or ``reduction`` is unknown.

    Example:
        >>> x, y = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 2.0], [3.0, 0.0]])
        >>> cosine_embedding_loss(x, y, torch.tensor([1, -1]), reduction="none")
        tensor([1., 1.])

    Source: torch.nn.functional.cosine_embedding_loss. Chapter: losses.
    """
    check_floating("input1", input1)
    check_floating("input2", input2)
    check_tensor("target", target)
    check_ndim("target", target, (0, 1), "(batch,) or ()")
    for name, value in (("input1", input1), ("input2", input2)):
        check_ndim(name, value, (target.ndim + 1,), "(batch, features)" if target.ndim else "(features,)")
    try:
        torch.broadcast_shapes(input1.shape, input2.shape, (*target.shape, 1))
    except RuntimeError:
        shapes = ", ".join(str(tuple(t.shape)) for t in (input1, input2, target))
        raise ValueError(
            f"input1, input2, target: expected one batch and one number of features; got {shapes}"
        ) from None
    a, b = widen(input1), widen(input2)
    # Inside the root, the small number keeps the cosine of a zero vector, and its gradient, finite.
    lengths = ((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12)
    cosine = (a * b).sum(-1) / lengths.sqrt()
    loss = torch.where(target == 1, 1 - cosine, 0.0) + torch.where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return reduce(loss, reduction, result_dtype(input1, input2))


def triplet_margin_loss(
    anchor: Float[Tensor, "..."],
    positive: Float[Tensor, "..."],
    negative: Float[Tensor, "..."],
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Wants the anchor nearer to the positive than to the negative, by a margin.

    .. math:: \ell = \max\big(0,\, d(a, p) - d(a, n) + m\big), \qquad d(x, y) = \lVert x - y + \epsilon\rVert_p

    Args:
        anchor: Vectors, ``(..., features)``.
        positive: Vectors of the same kind as the anchors.
        negative: Vectors of another kind.
        margin: Lead :math:`m`, above 0, that is enough.
        p: Order of the norm.
        eps: Added to each difference, so that the norm's gradient exists where two vectors are equal.
        swap: Whether to count the negative's distance to the positive where that is smaller than to the anchor.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each triplet, or their mean or sum; best value 0.

    Raises:
        TypeError: If an input is not a floating-point tensor.
        ValueError: If shapes do not fit, ``margin`` is not above 0 or ``reduction`` is unknown.

    Example:
        >>> triplet_margin_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]), torch.tensor([[1.5]]))
        tensor(0.5000)

    Source: Schroff et al. (2015), "FaceNet"; Balntas et al. (2016) for ``swap``. Chapter: losses.
    """
    loss = triplet_margin_with_distance_loss(
        *(widen(t) if isinstance(t, Tensor) else t for t in (anchor, positive, negative)),
        distance_function=partial(_distance, p=p, eps=eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )
    return loss.to(torch.promote_types(result_dtype(anchor, positive), negative.dtype))


def triplet_margin_with_distance_loss(
    anchor: Float[Tensor, "..."],
    positive: Float[Tensor, "..."],
    negative: Float[Tensor, "..."],
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Triplet loss with a distance of your own.

    .. math:: \ell = \max\big(0,\, d(a, p) - d(a, n) + m\big)

    Args:
        anchor: Vectors, ``(..., features)``.
        positive: Vectors of the same kind as the anchors.
        negative: Vectors of another kind.
        distance_function: Takes two batches of vectors, returns their distances; Euclid's when ``None``.
        margin: Lead :math:`m`, above 0, that is enough.
        swap: Whether to count the negative's distance to the positive where that is smaller than to the anchor.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each triplet, or their mean or sum; best value 0.

    Raises:
        TypeError: If an input is not a floating-point tensor.
        ValueError: If shapes do not fit, ``margin`` is not above 0 or ``reduction`` is unknown.

    Example:
        >>> def city_blocks(x, y):
        ...     return (x - y).abs().sum(-1)
        >>> a, p, n = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 0.5]])
        >>> triplet_margin_with_distance_loss(a, p, n, distance_function=city_blocks)
        tensor(0.5000)

    Source: Schroff et al. (2015), "FaceNet". Chapter: losses.
    """
    check_range("margin", margin, 0, open_low=True)
    named = (("anchor", anchor), ("positive", positive), ("negative", negative))
    for name, value in named:
        check_floating(name, value)
        check_ndim(name, value, (anchor.ndim,), "as anchor's")
    try:
        torch.broadcast_shapes(*(value.shape for _, value in named))
    except RuntimeError:
        shapes = ", ".join(str(tuple(value.shape)) for _, value in named)
        raise ValueError(f"anchor, positive, negative: expected one shape; got {shapes}") from None
    distance = distance_function or _distance
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        to_negative = torch.minimum(to_negative, distance(positive, negative))
    return reduce((margin + to_positive - to_negative).clamp(min=0), reduction)


def _distance(x: Tensor, y: Tensor, p: float = 2, eps: float = 1e-6) -> Tensor:
    return torch.linalg.vector_norm(x - y + eps, p, dim=-1)


def info_nce(
    query: Float[Tensor, "batch features"],
    key: Float[Tensor, "batch features"],
    negatives: Float[Tensor, "others features"] | None = None,
    temperature: float = 0.1,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Contrastive loss: each query should find its own key among all of them.

    .. math:: \ell_i = -\log\frac{e^{s(q_i, k_i)/\tau}}{\sum_j e^{s(q_i, k_j)/\tau}}

    It is :func:`cross_entropy` with cosines :math:`s` for logits and the key's own row for the class; minus the loss,
    plus the logarithm of the number of keys, bounds the mutual information of query and key from below.

    Args:
        query: One vector a row.
        key: Its match, in the same row; the other rows serve as negatives.
        negatives: More vectors that match no query.
        temperature: Divides the cosines, above 0: the lower, the harder the comparison.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Returns:
        One loss for each query, or their mean or sum, in nats; near 0 at best, the logarithm of the number of keys by
        chance.

    Raises:
        TypeError: If an input is not a floating-point tensor.
        ValueError: If shapes do not fit, ``temperature`` is not above 0 or ``reduction`` is unknown.

    Example:
        >>> info_nce(torch.eye(2), torch.eye(2), temperature=1.0)
        tensor(0.3133)

    Source: van den Oord et al. (2018). Chapter: losses.
    """
    check_range("temperature", temperature, 0, open_low=True)
    check_floating("query", query)
    check_floating("key", key)
    check_ndim("query", query, (2,), "(batch, features)")
    check_shape("key", key, "query", query)
    keys = key
    if negatives is not None:
        check_floating("negatives", negatives)
        check_ndim("negatives", negatives, (2,), f"(others, {query.shape[1]})")
        if negatives.shape[1] != query.shape[1]:
            raise ValueError(f"negatives: expected {query.shape[1]} features, as query has; got {negatives.shape[1]}")
        keys = torch.cat([key, negatives])
    logits = _unit(widen(query)) @ _unit(widen(keys)).T / temperature
    own = torch.arange(len(query), device=query.device)
    return cross_entropy(logits, own, reduction=reduction).to(result_dtype(query, keys))


def _unit(vectors: Tensor) -> Tensor:
    """The vectors at length 1; the bound leaves a zero vector at 0."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(min=1e-12)
