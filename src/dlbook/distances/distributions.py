"""Distances between distributions; only one of the three is a metric, and only one knows what lies next to what."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from dlbook._checks import check_tensor

from ._common import compared, result_dtype, widened


def kl_divergence(
    p: Float[Tensor, "*left outcomes"], q: Float[Tensor, "*right outcomes"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Kullback-Leibler divergence: the extra nats paid for coding ``p`` with a code made for ``q``.

    .. math:: D(p \,\|\, q) = \sum_i p_i \log\frac{p_i}{q_i}

    No metric: it is not symmetric, and the triangle inequality fails.

    Args:
        p: Probabilities along the last axis; leading dimensions broadcast.
        q: Probabilities to compare them with.
        pairwise: Whether to compare every row of ``p`` with every row of ``q``.

    Returns:
        Nats, 0 or more; 0 for equal distributions, infinity where ``p`` allows what ``q`` rules out.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> kl_divergence(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
        tensor(0.1438)

    Source: Kullback and Leibler (1951), "On information and sufficiency"; scipy.special.rel_entr. Chapter: distances.
    """
    first, second = widened(*compared(("p", "q"), p, q, pairwise))
    return _relative_entropy(first, second).sum(-1).to(result_dtype(p, q))


def js_divergence(
    p: Float[Tensor, "*left outcomes"], q: Float[Tensor, "*right outcomes"], *, pairwise: bool = False
) -> Float[Tensor, "..."]:
    r"""Jensen-Shannon divergence: both distributions against their mixture; symmetric and never infinite.

    .. math:: \tfrac12 D\bigl(p \,\|\, m\bigr) + \tfrac12 D\bigl(q \,\|\, m\bigr), \qquad m = \tfrac12 (p + q)

    Its square root is a metric.

    Args:
        p: Probabilities along the last axis; leading dimensions broadcast.
        q: Probabilities to compare them with.
        pairwise: Whether to compare every row of ``p`` with every row of ``q``.

    Returns:
        Nats in ``[0, log 2]``; 0 for equal distributions.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit.

    Example:
        >>> js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        tensor(0.6931)

    Source: Lin (1991), "Divergence measures based on the Shannon entropy". Chapter: distances.
    """
    first, second = widened(*compared(("p", "q"), p, q, pairwise))
    middle = (first + second) / 2
    total = _relative_entropy(first, middle) + _relative_entropy(second, middle)
    return (total.sum(-1) / 2).to(result_dtype(p, q))


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    """Elements p log(p / q), with 0 log 0 = 0 and a gradient that is finite there."""
    p, q = torch.broadcast_tensors(p, q)
    absent, ruled_out = p == 0, (p > 0) & (q == 0)
    safe = absent | ruled_out
    value = p * (torch.where(safe, 1.0, p).log() - torch.where(safe, 1.0, q).log())
    return torch.where(ruled_out, torch.inf, torch.where(absent, 0.0, value))


def wasserstein_1d(
    x1: Real[Tensor, "*left n"],
    x2: Real[Tensor, "*right m"],
    weight1: Real[Tensor, "*left n"] | None = None,
    weight2: Real[Tensor, "*right m"] | None = None,
    *,
    pairwise: bool = False,
) -> Float[Tensor, "..."]:
    r"""Wasserstein distance on the line: the least mass times way that turns one heap of earth into another.

    .. math:: \int_{-\infty}^{\infty} |F(x) - G(x)| \, dx

    On the line it is the area between the two cumulative distribution functions :math:`F` and :math:`G`.

    Args:
        x1: Where the first distribution's samples lie, along the last axis; leading dimensions broadcast.
        x2: Where the second's lie; there may be another number of them.
        weight1: How much mass lies at each; all alike when ``None``. Only the proportions matter.
        weight2: The same for ``x2``.
        pairwise: Whether to compare every row of ``x1`` with every row of ``x2``.

    Returns:
        Distances in the units of the samples, 0 or more.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit or a distribution has no sample.

    Example:
        >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 4.0]))
        tensor(3.)

    Source: Villani (2003), "Topics in optimal transportation", section 2.2; scipy.stats.wasserstein_distance. Chapter:
        distances.
    """
    first, second = compared(("x1", "x2"), x1, x2, pairwise, equal=False)
    mass1, mass2 = _mass("weight1", weight1, "x1", x1), _mass("weight2", weight2, "x2", x2)
    if pairwise:
        mass1, mass2 = mass1[..., :, None, :], mass2[..., None, :, :]
    first, second, mass1, mass2 = widened(first, second, mass1, mass2)
    batch = torch.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    first, mass1, second, mass2 = (t.expand(*batch, t.shape[-1]) for t in (first, mass1, second, mass2))
    # Along all samples in order, each one's mass lifts F or lowers it by G's: the sum so far is F - G.
    where, order = torch.cat([first, second], -1).sort(-1)
    steps = torch.cat([mass1 / mass1.sum(-1, keepdim=True), -mass2 / mass2.sum(-1, keepdim=True)], -1)
    gap = steps.gather(-1, order).cumsum(-1)[..., :-1]
    return (gap.abs() * where.diff(dim=-1)).sum(-1).to(result_dtype(x1, x2))


def _mass(name: str, weight: Tensor | None, samples_name: str, samples: Tensor) -> Tensor:
    if not samples.shape[-1]:
        raise ValueError(f"{samples_name}: expected at least one sample; got shape {tuple(samples.shape)}")
    if weight is None:
        return torch.ones_like(samples)
    check_tensor(name, weight)
    if weight.shape != samples.shape:
        raise ValueError(
            f"{name}: expected the shape of {samples_name}, {tuple(samples.shape)}; got {tuple(weight.shape)}"
        )
    return weight
