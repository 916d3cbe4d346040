r"""The baseline that a recurrent network has to beat: counting which token followed which.

An n-gram model remembers the last :math:`n - 1` tokens to the letter and nothing before them. The longer its memory,
the more of what it meets it has never seen; smoothing says what it then answers.

A gram is one number, its tokens the digits in base ``classes``, the newest the last. So the context of a gram is the
gram without its last digit, and counting is sorting.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlbook._checks import check_ndim, check_option, check_tensor, check_whole

SMOOTHING = ("witten_bell", "kneser_ney", "add_one")


class NGram:
    r"""Probabilities of the next token from counts of what followed the last few.

    .. math:: p_n(w \mid h) = \frac{c(hw) + t(h)\, p_{n-1}(w \mid h')}{c(h) + t(h)}, \qquad p_0 = 1/V

    with :math:`c` counts, :math:`t(h)` the number of different tokens seen after the context :math:`h`, and :math:`h'`
    the context without its oldest token (Witten and Bell's smoothing). A context that was never seen leaves it to the
    shorter one.

    ``"kneser_ney"`` takes a discount from every count and hands what it saved to the shorter context, where not how
    often a gram was seen counts, but after how many different tokens:
    :math:`(\max(c(hw) - d, 0) + d\, t(h)\, p_{n-1}(w \mid h')) / c(h)`, with :math:`d = n_1 / (n_1 + 2 n_2)` from the
    numbers of grams seen once and twice. ``"add_one"`` is Laplace's :math:`(c(hw) + 1) / (c(h) + V)`.

    Args:
        order: :math:`n`: the token and the :math:`n - 1` before it; 1 counts tokens alone.
        classes: :math:`V`: how many different tokens there are.
        smoothing: ``"witten_bell"``, ``"kneser_ney"`` or ``"add_one"``.

    Raises:
        ValueError: If ``order`` or ``classes`` is below 1, ``classes**order`` does not fit 63 bits, or ``smoothing`` is
            none of the three.

    Example:
        >>> model = NGram(order=2, classes=3).fit(torch.tensor([0, 1, 0, 1, 0, 2]))
        >>> model.log_probs(torch.tensor([[0, 1], [0, 2]])).exp()[:, 1]
        tensor([0.5333, 0.2889])

    Source: Witten and Bell (1991), "The zero-frequency problem"; Kneser and Ney (1995), "Improved backing-off for
        m-gram language modeling"; Chen and Goodman (1999), "An empirical study of smoothing techniques". Chapter:
        recurrent.
    """

    def __init__(self, order: int, classes: int, smoothing: str = "witten_bell") -> None:
        check_whole("order", order, 1)
        check_whole("classes", classes, 1)
        check_option("smoothing", smoothing, SMOOTHING)
        if classes**order >= 2**63:
            raise ValueError(f"order: expected classes**order below 2**63; got {classes}**{order}")
        self.order, self.classes, self.smoothing = order, classes, smoothing
        self.counts_: list[tuple[Tensor, ...]] = []

    def fit(self, tokens: Int[Tensor, " time"]) -> "NGram":
        """Count a text's grams of every length up to ``order``, and return the model itself.

        Raises:
            ValueError: If the text is empty or a token is no class.
        """
        check_ndim("tokens", tokens, (1,), "(time,)")
        if not len(tokens):
            raise ValueError("tokens: expected at least one; got none")
        self.counts_ = []
        for length, grams in reversed(list(enumerate(self._grams(tokens), 1))):
            if self.smoothing == "kneser_ney" and self.counts_:
                grams = self.counts_[-1][0] % self.classes**length  # each longer gram once, without its oldest token
            grams, counts = grams.unique(return_counts=True)
            contexts, inverse, types = (grams // self.classes).unique_consecutive(
                return_inverse=True, return_counts=True
            )
            totals = torch.zeros_like(contexts).index_add(0, inverse, counts)
            self.counts_.append((grams, counts, contexts, totals, types))
        self.counts_.reverse()
        return self

    def log_probs(self, tokens: Int[Tensor, "*batch time"]) -> Float[Tensor, "*batch time"]:
        """The log-probability of each token of a text, given those before it; the first ones have shorter contexts.

        Raises:
            RuntimeError: If the model has counted nothing yet.
            ValueError: If a token is no class.
        """
        if not self.counts_:
            raise RuntimeError("log_probs: expected a model that has read a text; call fit first")
        probs = torch.full(tokens.shape, 1 / self.classes, device=tokens.device)
        for length, (grams, known) in enumerate(zip(self._grams(tokens), self.counts_, strict=False), 1):
            seen, counts, contexts, totals, types = known
            found = _look_up(seen, counts, grams)
            total, kinds = (_look_up(contexts, column, grams // self.classes) for column in (totals, types))
            shorter = probs[..., length - 1 :]
            longer = self._smooth(found, total, kinds, shorter, counts)
            probs = torch.cat([probs[..., : length - 1], longer], dim=-1)
        return probs.log()

    def _smooth(self, found: Tensor, total: Tensor, kinds: Tensor, shorter: Tensor, counts: Tensor) -> Tensor:
        """Probabilities from counts and from those of the context that is a token shorter."""
        if self.smoothing == "add_one":
            return (found + 1) / (total + self.classes)
        if self.smoothing == "witten_bell":
            longer = (found + kinds * shorter) / (total + kinds).clamp(min=1)
        else:
            once, twice = (counts == 1).sum(), (counts == 2).sum()
            discount = torch.where(once > 0, once / (once + 2 * twice).clamp(min=1), 0.5)
            longer = ((found - discount).clamp(min=0) + discount * kinds * shorter) / total.clamp(min=1)
        return torch.where(total > 0, longer, shorter)

    def _grams(self, tokens: Tensor) -> list[Tensor]:
        """The grams of every length, each a number; one fewer with each token more."""
        check_tensor("tokens", tokens)
        if tokens.is_floating_point() or (tokens.numel() and not (0 <= tokens.min() and tokens.max() < self.classes)):
            raise ValueError(f"tokens: expected whole numbers from 0 to {self.classes - 1}")
        tokens = tokens.long()
        grams = [tokens]
        for length in range(1, min(self.order, tokens.shape[-1])):
            older = tokens[..., : tokens.shape[-1] - length]
            grams.append(grams[-1][..., 1:] + self.classes**length * older)
        return grams


def _look_up(keys: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """The values of the wanted keys; 0 for those that are not among the sorted ``keys``."""
    place = torch.searchsorted(keys, wanted.contiguous()).clamp(max=len(keys) - 1)
    return torch.where(keys[place] == wanted, values[place], 0)
