"""Beam search: at every step the few best hypotheses go on, all sentences and hypotheses in one batch."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from dlbook._checks import check_option, check_range
from dlbook.beam_search._search import (
    Finished,
    Hypotheses,
    Limits,
    Step,
    Tokens,
    check_start,
    full,
    pick,
    reorder,
    rows_of,
)
from dlbook.beam_search.scoring import Coverage, Ranking
from dlbook.beam_search.tree import SearchTree

STOPS = ("exact", "full", "never")
BLOCK = 64  # the quickest of 32, 64 and 128 on a CPU, three times as quick as topk over 32,000 words


def beam_search(
    step: Step,
    start: Int[Tensor, " batch"],
    state: Any = None,
    *,
    width: int = 5,
    max_length: int,
    min_length: int = 0,
    end: Tokens = None,
    forbidden: Tokens = None,
    length_penalty: float = 0.0,
    length_rule: str = "power",
    coverage: Coverage | None = None,
    n_best: int = 1,
    stop: str = "exact",
    record: int = 0,
    pad: int = 0,
) -> Hypotheses:
    r"""Search with ``width`` open hypotheses a sentence for the token sequence of highest score.

    .. math:: \text{score}(y) = \frac{\sum_j \log p(y_j \mid y_{<j})}{\operatorname{divisor}(|y|)} + \text{coverage}

    Each step continues every open hypothesis by every token, and ranks the continuations of a sentence by the sum of
    their log-probabilities. Among the ``width`` best, those that end are set aside with their score; the ``width`` best
    that do not end go on. Among equals the hypothesis that was ahead goes first, then the lower token. No sentence
    depends on the others of its batch. It is not certain that the best sequence is found, unless the width holds all.
    The sums have their gradients; search under ``torch.no_grad()`` where none is wanted.

    Args:
        step: ``step(tokens, state) -> (log_probs, state)``: from the last token of each hypothesis, shape (rows,), and
            the state to log-probabilities, shape (rows, vocabulary), and the next state. It is called with one row a
            sentence at first and then with a sentence's hypotheses one after the other. It may forbid tokens itself, by
            minus infinity. What it returns is added up as it is.
        start: The token before the first one, one per sentence.
        state: The first step's: tensors of one row per sentence, nested in tuples, lists, dicts or dataclasses, and
            objects with ``reorder(index)``, which returns the state whose row ``i`` is this one's row ``index[i]``.
        width: Open hypotheses a sentence; 1 is greedy search (wholly so without a length penalty).
        max_length: Most tokens of a hypothesis, the end included; what is still open then counts as finished.
        min_length: Fewest tokens, the end included.
        end: The token, or tokens, that end a hypothesis.
        forbidden: A token, or tokens, that are never said.
        length_penalty: Exponent of :func:`length_divisor`; 0 for none.
        length_rule: ``"power"`` or ``"gnmt"``.
        coverage: Takes the state that ``step`` returned; gives each row a number, at most 0, that is added to the score
            of what ends there, such as :func:`coverage_penalty` of attention that the state adds up.
        n_best: Hypotheses to return, at most ``width``.
        stop: When a sentence's search ends: ``"exact"`` once no open hypothesis can beat the ``n_best`` finished (sure
            where no value of ``step`` is above 0); ``"full"`` as soon as ``width`` hypotheses have finished;
            ``"never"`` before ``max_length``.
        record: Candidates of each step to keep for the ``trees``; those that the search itself needs always are. 0
            keeps no tree.
        pad: What fills the tokens up.

    Returns:
        The ``n_best`` hypotheses of each sentence, the best first.

    Raises:
        ValueError: If a number is out of range, an option unknown, or a shape not as expected.
        TypeError: If ``start`` holds no whole numbers, ``step`` does not return log-probabilities and a state, or the
            state holds what cannot be reordered.

    Example:
        >>> from dlbook.beam_search import table_step
        >>> chances = torch.tensor([[0.0, 0.6, 0.4], [0.3, 0.4, 0.3], [0.0, 0.9, 0.1]])
        >>> found = beam_search(table_step(chances), torch.tensor([0]), width=2, max_length=2, n_best=2)
        >>> found.tokens.tolist(), found.log_probs.exp()
        ([[[2, 1], [1, 1]]], tensor([[0.3600, 0.2400]]))

    Source: Graves (2012), "Sequence transduction with recurrent neural networks"; Wu et al. (2016), section 7.
    Chapter: beam_search.
    """
    check_start(start)
    check_range("width", width, 1)
    check_range("n_best", n_best, 1, width)
    check_range("record", record, 0)
    check_option("stop", stop, STOPS)
    limits = Limits.of(max_length, min_length, end, forbidden, pad)
    ranking = Ranking(length_penalty, length_rule, coverage)
    return _Search(limits, ranking, width, n_best, stop, record).run(step, start, state)


@dataclass
class _Beams:
    """The open hypotheses, or the candidates to be: the best first."""

    totals: Tensor  # (batch, hypotheses), sums of log-probabilities
    tokens: Tensor  # (batch, hypotheses, length)
    log_probs: Tensor  # (batch, hypotheses), of the last token
    parents: Tensor  # (batch, hypotheses), which open hypothesis of the step before it continues

    @classmethod
    def empty(cls, batch: int, like: Tensor) -> "_Beams":
        zeros = like.new_zeros(batch, 1)
        tokens = torch.zeros(batch, 1, 0, dtype=torch.long, device=like.device)
        return cls(zeros, tokens, zeros, zeros.long())

    def expand(self, log_probs: Tensor, count: int) -> "_Beams":
        """The ``count`` best continuations of each sentence: they are among the ``count`` best of each hypothesis."""
        batch, open_ = self.totals.shape
        values, tokens = _top(log_probs, min(count, log_probs.shape[1]))
        values = full(values).unflatten(0, (batch, open_))
        totals = (self.totals[:, :, None] + values).flatten(1)
        best = totals.sort(dim=1, descending=True, stable=True).indices[:, :count]
        parents, tokens = best // values.shape[2], tokens.unflatten(0, (batch, open_)).flatten(1).gather(1, best)
        history = torch.cat([pick(self.tokens, parents), tokens[:, :, None]], 2)
        return _Beams(totals.gather(1, best), history, values.flatten(1).gather(1, best), parents)

    def keep(self, index: Tensor) -> "_Beams":
        """The candidates that the index names, in its order."""
        totals, log_probs, parents = (x.gather(1, index) for x in (self.totals, self.log_probs, self.parents))
        return _Beams(totals, pick(self.tokens, index), log_probs, parents)


@dataclass
class _Search:
    """One call of :func:`beam_search`."""

    limits: Limits
    ranking: Ranking
    width: int
    n_best: int
    stop: str
    record: int

    def run(self, step: Step, start: Tensor, state: Any) -> Hypotheses:
        tokens = start
        for length in range(1, self.limits.max_length + 1):
            log_probs, state = self.limits.run(step, tokens, state, length)
            if length == 1:
                self._begin(start, full(log_probs))
            rows, last = len(tokens), length == self.limits.max_length
            self._advance(log_probs, state, length, last)
            # Without an end nothing can finish early, and no time is lost on asking the device.
            if last or (self.limits.end and bool(self.done.all())):
                break
            tokens = self.beams.tokens[:, :, -1].flatten()
            state = reorder(state, rows_of(self.beams.parents, rows), rows)
        pool = self.pool
        trees = _trees(start, self.steps, pool) if self.record else ()
        return self.limits.result(pool.tokens, pool.scores, pool.log_probs, pool.lengths, trees)

    def _begin(self, start: Tensor, like: Tensor) -> None:
        self.beams = _Beams.empty(len(start), like)
        self.pool = Finished(len(start), self.n_best, self.limits, like)
        self.finished = torch.zeros_like(start)
        self.done = torch.zeros_like(start, dtype=torch.bool)
        self.steps: list[dict[str, Tensor]] = []

    def _advance(self, log_probs: Tensor, state: Any, length: int, last: bool) -> None:
        """Continue, set aside what ends, and keep the best of what does not."""
        # Each open hypothesis ends in at most so many ways: as many candidates as are left fill the beam.
        needed = self.width * (1 + len(self.limits.end))
        found = self.beams.expand(log_probs, max(needed, self.record))
        ends = self.limits.ends(found.tokens[:, :, -1])
        leading = torch.arange(found.totals.shape[1], device=ends.device) < self.width
        finishing = (found.totals > -torch.inf) & leading & ~self.done[:, None] & (ends | last)
        kept = ends.byte().sort(dim=1, stable=True).indices[:, : self.width]
        if self.limits.end or last:
            scores = self.ranking.scores(found.totals, length, found.parents, state)
            scores = scores.masked_fill(~finishing, -torch.inf)
            self.pool.add(scores, found.totals.masked_fill(~finishing, -torch.inf), found.tokens)
        else:
            scores = found.totals
        if self.record:
            self.steps.append(self._note(found, scores, finishing, kept.masked_fill(ends.gather(1, kept), -1)))
        self.beams = found.keep(kept)
        self.beams.totals = self.beams.totals.masked_fill(ends.gather(1, kept), -torch.inf)
        self.finished = self.finished + finishing.sum(1)
        self.done = self.done | self._settled(length)

    def _settled(self, length: int) -> Tensor:
        """Which sentences' searches are over."""
        # The totals can only fall, so this is the most that an open hypothesis may still reach.
        bound = self.ranking.bound(self.beams.totals.amax(1), length, self.limits.max_length, self.limits.min_length)
        if self.stop == "exact":
            return bound <= self.pool.scores[:, -1]
        dead = bound == -torch.inf
        return dead | (self.finished >= self.width) if self.stop == "full" else dead

    def _note(self, found: _Beams, scores: Tensor, finishing: Tensor, kept: Tensor) -> dict[str, Tensor]:
        """What a drawing needs of this step; nothing of a sentence whose search is over."""
        return {
            "totals": found.totals.masked_fill(self.done[:, None], -torch.inf),
            "log_probs": found.log_probs,
            "tokens": found.tokens[:, :, -1],
            "parents": found.parents,
            "scores": scores,
            "finishing": finishing,
            "kept": kept,
        }


def _top(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` best of each row, with their tokens; of equal ones the lower, which ``topk`` leaves open."""
    if count < log_probs.shape[1]:
        values, tokens = _candidates(log_probs, count + 1)
        split = (values[:, -1] == values[:, -2]) & (values[:, -1] > -torch.inf)
        if not bool(split.any()):
            tokens = tokens[:, :count].sort(dim=1).values
            values, order = log_probs.gather(1, tokens).sort(dim=1, descending=True, stable=True)
            return values, tokens.gather(1, order)
    # Equals on both sides of the edge, or all are wanted: the slow way.
    values, tokens = log_probs.sort(dim=1, descending=True, stable=True)
    return values[:, :count], tokens[:, :count]


def _candidates(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``topk`` of each row; in a large vocabulary, only of those blocks whose maxima are largest, for they hold it."""
    rows, size = log_probs.shape
    blocks = size // BLOCK
    if blocks < 4 * count:
        return log_probs.topk(count, 1)
    maxima = log_probs[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK)).amax(2)
    inside = torch.arange(BLOCK, device=log_probs.device)
    chosen = (maxima.topk(count, 1).indices[:, :, None] * BLOCK + inside).flatten(1)
    rest = torch.arange(blocks * BLOCK, size, device=log_probs.device).expand(rows, -1)
    chosen = torch.cat([chosen, rest], 1)
    values, places = log_probs.gather(1, chosen).topk(count, 1)
    return values, chosen.gather(1, places)


def _trees(start: Tensor, steps: list[dict[str, Tensor]], pool: Finished) -> tuple[SearchTree, ...]:
    """One tree per sentence."""
    plain = [{name: value.tolist() for name, value in step.items()} for step in steps]
    lengths = pool.lengths.masked_fill(pool.log_probs == -torch.inf, 0)
    best = [tokens[0][: length[0]] for tokens, length in zip(pool.tokens.tolist(), lengths.tolist(), strict=True)]
    return tuple(
        SearchTree.of(token, [{name: value[i] for name, value in step.items()} for step in plain], best[i])
        for i, token in enumerate(start.tolist())
    )
