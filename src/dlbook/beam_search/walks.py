"""One hypothesis at a time: always the best token, or a random one."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlbook._checks import check_floating, check_range
from dlbook.beam_search._search import Hypotheses, Limits, Step, Tokens, check_start, full, reorder


def greedy_search(
    step: Step,
    start: Int[Tensor, " batch"],
    state: Any = None,
    *,
    max_length: int,
    min_length: int = 0,
    end: Tokens = None,
    forbidden: Tokens = None,
    pad: int = 0,
) -> Hypotheses:
    r"""Say the most probable token at every step, and never look back.

    .. math:: y_j = \arg\max_y\, \log p(y \mid y_{<j})

    Args:
        step: As in :func:`beam_search`.
        start: The token before the first one, one per sentence.
        state: The first step's, as in :func:`beam_search`; its rows are never reordered here.
        max_length: Most tokens, the end included.
        min_length: Fewest tokens, the end included.
        end: The token, or tokens, that end a sentence.
        forbidden: A token, or tokens, that are never said.
        pad: What fills the tokens up.

    Returns:
        One hypothesis per sentence, whose score is its sum of log-probabilities.

    Raises:
        ValueError: If a number is out of range or a shape not as expected.
        TypeError: If ``start`` holds no whole numbers or ``step`` does not return log-probabilities and a state.

    Example:
        >>> from dlbook.beam_search import table_step
        >>> chances = torch.tensor([[0.0, 0.6, 0.4], [0.3, 0.4, 0.3], [0.0, 0.9, 0.1]])
        >>> found = greedy_search(table_step(chances), torch.tensor([0]), max_length=2)
        >>> found.tokens.tolist(), found.log_probs.exp()
        ([[[1, 1]]], tensor([[0.2400]]))

    Source: Jurafsky and Martin, "Speech and language processing", section on greedy decoding. Chapter: beam_search.
    """
    limits = Limits.of(max_length, min_length, end, forbidden, pad)
    return _walk(step, start, state, limits, 1, lambda log_probs: log_probs.argmax(1))


def sample(
    step: Step,
    start: Int[Tensor, " batch"],
    state: Any = None,
    *,
    max_length: int,
    num_samples: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_length: int = 0,
    end: Tokens = None,
    forbidden: Tokens = None,
    generator: torch.Generator | None = None,
    pad: int = 0,
) -> Hypotheses:
    r"""Draw each token at random, by the probabilities that :func:`sampling_distribution` leaves.

    .. math:: y_j = \arg\max_y\, \big(\log p(y \mid y_{<j}) + g_y\big), \qquad g_y = -\log(-\log u_y)

    With uniform :math:`u_y`, the noise :math:`g_y` is Gumbel's, and each token comes out on top exactly as often as its
    probability says.

    Args:
        step: As in :func:`beam_search`.
        start: The token before the first one, one per sentence.
        state: The first step's, as in :func:`beam_search`.
        max_length: Most tokens, the end included.
        num_samples: Hypotheses per sentence, each drawn for itself: two may be the same.
        temperature: As in :func:`sampling_distribution`, like the next two.
        top_k: Only so many of the most probable tokens may come.
        top_p: Only the most probable tokens that together have this probability may come.
        min_length: Fewest tokens, the end included.
        end: The token, or tokens, that end a hypothesis.
        forbidden: A token, or tokens, that are never said.
        generator: Source of the random numbers, on the device of the log-probabilities; torch's global one when None.
        pad: What fills the tokens up.

    Returns:
        The hypotheses in the order drawn. ``log_probs``, and ``scores`` with them, are the model's own: without
        temperature and truncation.

    Raises:
        ValueError: If a number is out of range or a shape not as expected.
        TypeError: If ``start`` holds no whole numbers, ``step`` does not return log-probabilities and a state, or the
            state holds what cannot be reordered.

    Example:
        >>> from dlbook.beam_search import table_step
        >>> chances = torch.tensor([[0.0, 0.6, 0.4], [0.3, 0.4, 0.3], [0.0, 0.9, 0.1]])
        >>> seed = torch.Generator().manual_seed(0)
        >>> drawn = sample(table_step(chances), torch.tensor([0]), max_length=2, num_samples=1000, generator=seed)
        >>> bool((drawn.tokens[0, :, 0] == 1).float().mean().sub(0.6).abs() < 0.05)
        True

    Source: Holtzman et al. (2020), "The curious case of neural text degeneration"; Gumbel (1954). Chapter: beam_search.
    """
    check_range("num_samples", num_samples, 1)
    _check_distribution(temperature, top_k, top_p)
    limits = Limits.of(max_length, min_length, end, forbidden, pad)

    def draw(log_probs: Tensor) -> Tensor:
        weights = sampling_distribution(log_probs.detach(), temperature, top_k, top_p)
        uniform = torch.rand(weights.shape, generator=generator, device=weights.device, dtype=weights.dtype)
        # The logarithm of 0 is minus infinity: noise that never wins, where the opposite end would always win.
        return (weights - torch.log(-torch.log(uniform))).argmax(1)

    return _walk(step, start, state, limits, num_samples, draw)


def sampling_distribution(
    log_probs: Float[Tensor, "*batch vocabulary"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "*batch vocabulary"]:
    r"""Log-probabilities made sharper or flatter, and cut to the likely tokens.

    .. math:: p_i \leftarrow \frac{p_i^{1/T}}{\sum_j p_j^{1/T}}

    First the temperature, then ``top_k``, then ``top_p``, each renormalized. Half precision is widened to float32.

    Args:
        log_probs: Log-probabilities or logits.
        temperature: :math:`T`: 1 changes nothing, more is flatter, less sharper, and 0 leaves the most probable alone.
        top_k: Number of the most probable tokens that are left, at least 1.
        top_p: The fewest of the most probable tokens are left whose probabilities add up to this much, in (0, 1].

    Returns:
        Log-probabilities in nats, in ``[-inf, 0]``; of equal ones, the lower token is left first.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If ``log_probs`` is not a floating-point tensor.

    Example:
        >>> chances = torch.tensor([0.5, 0.25, 0.15, 0.1])
        >>> sampling_distribution(chances.log(), top_p=0.7).exp()
        tensor([0.6667, 0.3333, 0.0000, 0.0000])

    Source: Fan et al. (2018), "Hierarchical neural story generation" (top-k); Holtzman et al. (2020) (top-p).
    Chapter: beam_search.
    """
    check_floating("log_probs", log_probs)
    _check_distribution(temperature, top_k, top_p)
    if temperature == 0:
        temperature, top_k = 1.0, 1
    scores = full(log_probs)
    # The largest becomes 0 before the division, so that a tiny temperature cannot overflow all of them.
    scores = _normalize((scores - _largest(scores)) / temperature)
    if top_k is None and top_p is None:
        return scores
    ranked, tokens = scores.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked = ranked.masked_fill(torch.arange(ranked.shape[-1], device=ranked.device) >= top_k, -torch.inf)
        ranked = _normalize(ranked)
    if top_p is not None and top_p < 1:
        chances = ranked.exp()
        # A token stays if those before it have not reached top_p: so one always does.
        ranked = _normalize(ranked.masked_fill(chances.cumsum(-1) - chances >= top_p, -torch.inf))
    return torch.zeros_like(ranked).scatter(-1, tokens, ranked)


def _largest(scores: Tensor) -> Tensor:
    """The largest of each row; 0 where all are minus infinity, so that nothing turns into NaN."""
    largest = scores.detach().amax(-1, keepdim=True)
    return largest.masked_fill(largest == -torch.inf, 0.0)


def _normalize(scores: Tensor) -> Tensor:
    """Log-probabilities in proportion to the scores' exponentials; a row of minus infinities stays one."""
    shifted = scores - _largest(scores)
    total = shifted.exp().sum(-1, keepdim=True)
    return shifted - (total + (total == 0)).log()


def _check_distribution(temperature: float, top_k: int | None, top_p: float | None) -> None:
    check_range("temperature", temperature, 0, open_high=True)
    if top_k is not None:
        check_range("top_k", top_k, 1)
    if top_p is not None:
        check_range("top_p", top_p, 0, 1, open_low=True)


def _walk(
    step: Step, start: Tensor, state: Any, limits: Limits, copies: int, choose: Callable[[Tensor], Tensor]
) -> Hypotheses:
    """So many hypotheses per sentence, each token chosen from its log-probabilities."""
    check_start(start)
    tokens, said = start, []
    index = torch.arange(len(start), device=start.device).repeat_interleave(copies)
    lengths, going = torch.zeros_like(index), torch.ones_like(index, dtype=torch.bool)
    totals: Any = 0.0
    for length in range(1, limits.max_length + 1):
        log_probs, state = limits.run(step, tokens, state, length)
        if length == 1 and copies > 1:
            log_probs, state = log_probs.index_select(0, index), reorder(state, index, len(start))
        tokens = choose(log_probs)
        gains = full(log_probs.gather(1, tokens[:, None])[:, 0])
        totals = totals + gains.masked_fill(~going, 0.0)
        lengths = lengths + going
        said.append(tokens)
        going = going & ~limits.ends(tokens)
        if limits.end and not bool(going.any()):
            break
    shape = (len(start), copies)
    totals = totals.view(shape)
    return limits.result(torch.stack(said, 1).unflatten(0, shape), totals, totals, lengths.view(shape))
