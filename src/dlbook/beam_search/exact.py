"""Exact search: the most likely sequence with certainty, by widening a beam until nothing can have been lost."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from dlbook._checks import check_range
from dlbook.beam_search._search import Hypotheses, Step, Tokens, reorder
from dlbook.beam_search.beam import beam_search


def exact_search(
    step: Step,
    start: Int[Tensor, " batch"],
    state: Any = None,
    *,
    max_length: int,
    min_length: int = 0,
    end: Tokens = None,
    forbidden: Tokens = None,
    width: int = 8,
    max_width: int = 4096,
    pad: int = 0,
) -> Hypotheses:
    r"""The most likely sequence of each sentence, found by beams that double their width until they are sure.

    Sequences of one length exclude each other. So at most :math:`1/p` of them can have a probability of :math:`p` or
    more, and a beam of that width keeps every beginning of a sequence of probability :math:`p`. If what it found is at
    least that likely, then so is the best, and the beam has not lost it.

    Where :func:`exhaustive_search` scores all sequences there are, this takes as many hypotheses as the best one's
    improbability asks for: few where the model is sure.

    Args:
        step: As in :func:`beam_search`; the probabilities of each row may not add up to more than 1.
        start: The token before the first one, one per sentence.
        state: The first step's, as in :func:`beam_search`.
        max_length: Most tokens of a hypothesis, the end included.
        min_length: Fewest tokens, the end included.
        end: The token, or tokens, that end a hypothesis.
        forbidden: A token, or tokens, that are never said.
        width: Of the first beam; it doubles for the sentences that are left.
        max_width: Widest beam that you are ready to run.
        pad: What fills the tokens up.

    Returns:
        One hypothesis per sentence, whose score is its sum of log-probabilities: none is more likely.

    Raises:
        ValueError: If a sentence is not certain with ``max_width``, a number is out of range, or a shape not as
            expected.
        TypeError: As for :func:`beam_search`.

    Example:
        >>> from dlbook.beam_search import table_step
        >>> chances = torch.tensor([[0.0, 0.6, 0.4], [0.3, 0.4, 0.3], [0.0, 0.9, 0.1]])
        >>> found = exact_search(table_step(chances), torch.tensor([0]), max_length=2, width=1)
        >>> found.tokens.tolist(), found.log_probs.exp()
        ([[[2, 1]]], tensor([[0.3600]]))

    Source: Stahlberg and Byrne (2019), "On NMT search errors and model errors" (by depth first). Chapter: beam_search.
    """
    check_range("width", width, 1)
    check_range("max_width", max_width, width)
    limits = {"max_length": max_length, "min_length": min_length, "end": end, "forbidden": forbidden, "pad": pad}
    best = found = beam_search(step, start, state, width=width, **limits)  # type: ignore[arg-type]
    rows = torch.arange(len(start), device=start.device)
    while len(left := _uncertain(found, width)):
        if 2 * width > max_width:
            raise ValueError(f"max_width: expected enough to be certain; {len(left)} sentences are not with {width}")
        rows, width = rows[left], 2 * width
        start, state = start[left], reorder(state, left, len(start))
        found = beam_search(step, start, state, width=width, **limits)  # type: ignore[arg-type]
        best = _replace(best, rows, found, pad)
    return best


def _uncertain(found: Hypotheses, width: int) -> Tensor:
    """The sentences for which a beam of this width may have lost a likelier hypothesis than it found."""
    return (found.log_probs[:, 0].exp() * width < 1).nonzero()[:, 0]


def _replace(best: Hypotheses, rows: Tensor, found: Hypotheses, pad: int) -> Hypotheses:
    """The results, those of some rows replaced by others."""
    longest = max(best.tokens.shape[2], found.tokens.shape[2])
    old, new = (torch.nn.functional.pad(x.tokens, (0, longest - x.tokens.shape[2]), value=pad) for x in (best, found))
    tokens = old.index_copy(0, rows, new)
    values = (a.index_copy(0, rows, b) for a, b in zip(best[1:4], found[1:4], strict=True))
    scores, log_probs, lengths = values
    return Hypotheses(tokens[..., : int(lengths.max())], scores, log_probs, lengths)
