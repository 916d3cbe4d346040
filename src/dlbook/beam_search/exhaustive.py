"""Exhaustive search: every sequence there is, for judging the searches that cannot afford it."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from dlbook._checks import check_range
from dlbook.beam_search._search import Finished, Hypotheses, Limits, Step, Tokens, check_start, full, reorder, rows_of
from dlbook.beam_search.scoring import Coverage, Ranking


def exhaustive_search(
    step: Step,
    start: Int[Tensor, " batch"],
    state: Any = None,
    *,
    max_length: int,
    min_length: int = 0,
    end: Tokens = None,
    forbidden: Tokens = None,
    length_penalty: float = 0.0,
    length_rule: str = "power",
    coverage: Coverage | None = None,
    n_best: int = 1,
    limit: int = 1_000_000,
    pad: int = 0,
) -> Hypotheses:
    r"""Score every sequence there is, all of one length at a time, and return the best.

    With a vocabulary of :math:`V` tokens there are :math:`V^n` sequences of :math:`n`: that is why one searches.

    Args:
        step: As in :func:`beam_search`.
        start: The token before the first one, one per sentence.
        state: The first step's, as in :func:`beam_search`.
        max_length: Most tokens of a hypothesis, the end included.
        min_length: Fewest tokens, the end included.
        end: The token, or tokens, that end a hypothesis.
        forbidden: A token, or tokens, that are never said.
        length_penalty: Exponent of :func:`length_divisor`; 0 for none.
        length_rule: ``"power"`` or ``"gnmt"``.
        coverage: As in :func:`beam_search`.
        n_best: Hypotheses to return.
        limit: Most sequences, of all sentences together, that you are ready to score.
        pad: What fills the tokens up.

    Returns:
        The ``n_best`` hypotheses of each sentence, the best first: no search finds a better one.

    Raises:
        ValueError: If there are more than ``limit`` sequences, a number is out of range, an option unknown, or a shape
            not as expected.
        TypeError: If ``start`` holds no whole numbers, ``step`` does not return log-probabilities and a state, or the
            state holds what cannot be reordered.

    Example:
        >>> from dlbook.beam_search import table_step
        >>> chances = torch.tensor([[0.0, 0.6, 0.4], [0.3, 0.4, 0.3], [0.0, 0.9, 0.1]])
        >>> found = exhaustive_search(table_step(chances), torch.tensor([0]), max_length=2)
        >>> found.tokens.tolist(), found.log_probs.exp()
        ([[[2, 1]]], tensor([[0.3600]]))

    Source: Russell and Norvig, "Artificial intelligence: a modern approach", breadth-first search.
    Chapter: beam_search.
    """
    check_start(start)
    check_range("n_best", n_best, 1)
    limits = Limits.of(max_length, min_length, end, forbidden, pad)
    ranking = Ranking(length_penalty, length_rule, coverage)
    batch, tokens = len(start), start
    history = torch.zeros(batch, 1, 0, dtype=torch.long, device=start.device)
    for length in range(1, max_length + 1):
        log_probs, state = limits.run(step, tokens, state, length)
        vocabulary = log_probs.shape[1]
        if length == 1:
            _check_count(batch, vocabulary, limits, limit)
            pool = Finished(batch, n_best, limits, full(log_probs))
            totals = pool.scores.new_zeros(batch, 1)
            open_ = _others(vocabulary, limits, start.device)
            ends = torch.tensor(sorted(set(limits.end)), dtype=torch.long, device=start.device)
        last = length == max_length
        every = totals[:, :, None] + full(log_probs).unflatten(0, (batch, history.shape[1]))
        finishing = torch.arange(vocabulary, device=start.device) if last else ends
        sums, said, parents = _continue(every, history, finishing)
        pool.add(ranking.scores(sums, length, parents, state), sums, said)
        if not last:
            totals, history, parents = _continue(every, history, open_)
            tokens = history[:, :, -1].flatten()
            state = reorder(state, rows_of(parents, len(log_probs)), len(log_probs))
    return limits.result(pool.tokens, pool.scores, pool.log_probs, pool.lengths)


def _continue(every: Tensor, history: Tensor, choice: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Totals, tokens and parents of all hypotheses continued by every token of the choice."""
    batch, count, _ = every.shape
    tokens = choice.expand(batch, count, -1)[..., None]
    said = torch.cat([history[:, :, None].expand(-1, -1, len(choice), -1), tokens], 3).flatten(1, 2)
    parents = torch.arange(count, device=every.device).repeat_interleave(len(choice)).expand(batch, -1)
    return every.index_select(2, choice).flatten(1), said, parents


def _others(vocabulary: int, limits: Limits, device: torch.device) -> Tensor:
    """The tokens that a hypothesis can go on with."""
    closed = {*limits.end, *limits.forbidden}
    return torch.tensor([t for t in range(vocabulary) if t not in closed], dtype=torch.long, device=device)


def _check_count(batch: int, vocabulary: int, limits: Limits, limit: int) -> None:
    """Raise if all hypotheses together, the longest and those that end before, are too many."""
    going = vocabulary - len({*limits.end, *limits.forbidden})
    ending = len({*limits.end} - {*limits.forbidden})
    earlier = sum(going**length * ending for length in range(limits.max_length - 1))
    count = batch * (earlier + going ** (limits.max_length - 1) * (going + ending))
    if count > limit:
        raise ValueError(
            f"max_length: expected at most limit={limit:,} sequences; {vocabulary} tokens and max_length="
            f"{limits.max_length} give {count:,} for {batch} sentence{'' if batch == 1 else 's'}"
        )
