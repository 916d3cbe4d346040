r"""What a finished hypothesis is worth, beside its probability.

Every further token makes a hypothesis less likely, so the sum of log-probabilities favours the short. A divisor that
grows with the length evens that out; a penalty on source words never attended to asks for all of them to be said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_option, check_range

RULES = ("power", "gnmt")
Coverage = Callable[[Any], Tensor]


def length_divisor(
    length: float | Shaped[Tensor, "*shape"], alpha: float, rule: str = "power"
) -> float | Float[Tensor, "*shape"]:
    r"""By what a hypothesis's sum of log-probabilities is divided.

    .. math:: n^\alpha \quad\text{(power)}, \qquad \Big(\frac{5 + n}{6}\Big)^\alpha \quad\text{(gnmt)}

    With :math:`\alpha = 0` it is 1 and the sum itself counts. With ``"power"`` and :math:`\alpha = 1` hypotheses are
    compared by their mean log-probability a token. GNMT's rule is gentler with the first few words.

    Args:
        length: Number of tokens :math:`n`, the end included, at least 1.
        alpha: How much the length is made up for; below 0 short hypotheses gain.
        rule: ``"power"``, as in transformers' ``length_penalty``, or ``"gnmt"``.

    Returns:
        A positive number; larger for longer hypotheses where ``alpha`` is above 0.

    Raises:
        ValueError: If the rule is unknown or ``alpha`` is not finite.

    Example:
        >>> length_divisor(7, alpha=0.5, rule="gnmt"), length_divisor(16, alpha=0.5)
        (1.4142135623730951, 4.0)

    Source: Wu et al. (2016), "Google's neural machine translation system", equation 14. Chapter: beam_search.
    """
    check_option("length_rule", rule, RULES)
    check_range("length_penalty", alpha, open_low=True, open_high=True)
    return ((5 + length) / 6 if rule == "gnmt" else length) ** float(alpha)


def coverage_penalty(attended: Float[Tensor, "*rows source"], beta: float = 0.2) -> Float[Tensor, "*rows"]:
    r"""Penalty for source words that a hypothesis has not attended to.

    .. math:: \beta \sum_i \log \min\Big(\sum_j a_{ji},\ 1\Big)

    Args:
        attended: Attention that each source word :math:`i` has got, added up over the tokens :math:`j` so far. Set the
            padding of shorter sentences to 1.
        beta: Weight of the penalty, at least 0.

    Returns:
        At most 0, which every word wholly attended to gives; minus infinity if a word has got none.

    Raises:
        TypeError: If ``attended`` is not a floating-point tensor.
        ValueError: If ``beta`` is below 0.

    Example:
        >>> coverage_penalty(torch.tensor([[1.0, 2.0, 1.0], [1.0, 2.0, 0.5]]), beta=1.0)
        tensor([ 0.0000, -0.6931])

    Source: Wu et al. (2016), "Google's neural machine translation system", equation 14. Chapter: beam_search.
    """
    check_floating("attended", attended)
    check_range("beta", beta, 0, open_high=True)
    if beta == 0:
        return attended.new_zeros(attended.shape[:-1])  # 0 times minus infinity would be NaN
    return beta * torch.log(attended.clamp(max=1)).sum(-1)


@dataclass(frozen=True)
class Ranking:
    """How finished hypotheses are ranked."""

    alpha: float
    rule: str
    coverage: Coverage | None

    def __post_init__(self) -> None:
        length_divisor(1, self.alpha, self.rule)  # it checks both

    def scores(self, totals: Tensor, length: int, parents: Tensor, state: Any) -> Tensor:
        """Score of each hypothesis if it ends with ``length`` tokens; ``state`` is that of the parents' rows."""
        scores = totals / length_divisor(length, self.alpha, self.rule)
        if self.coverage is None:
            return scores
        extra = self.coverage(state)
        batch = len(totals)
        if extra.ndim != 1 or len(extra) % max(batch, 1):
            raise ValueError(f"coverage: expected one number per row of the state; got shape {tuple(extra.shape)}")
        extra = extra.unflatten(0, (batch, len(extra) // max(batch, 1)))
        return scores + extra.gather(1, parents).to(scores.dtype)

    def bound(self, totals: Tensor, length: int, max_length: int, min_length: int) -> Tensor:
        """The most that a hypothesis of ``length`` tokens can reach, if neither its total nor coverage exceeds 0."""
        longest = max_length if self.alpha > 0 else max(length + 1, min_length)
        return totals / length_divisor(longest, self.alpha, self.rule)
