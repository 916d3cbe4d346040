"""BLEU: how many of a translation's words, pairs, triples and quadruples of words a reference translation shares."""

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlbook._checks import check_option, check_range

Sentence = str | Sequence[Hashable]
SMOOTHING_VALUES = {"none": 0.0, "exp": 0.0, "floor": 0.1, "add-k": 1.0}


def bleu(
    hypotheses: Sequence[Sentence],
    references: Sequence[Sequence[Sentence]],
    *,
    reduction: str = "corpus",
    smooth_method: str = "exp",
    smooth_value: float | None = None,
    effective_order: bool = False,
    max_ngram_order: int = 4,
) -> Float[Tensor, "*sentences"]:
    r"""Bilingual evaluation understudy: precision of n-grams, with a penalty for translations that are too short.

    .. math:: 100 \cdot \min\bigl(1, e^{1 - r/h}\bigr) \cdot \Bigl(\prod_{n=1}^{N} p_n\Bigr)^{1/N}

    Here :math:`p_n` is the share of the hypotheses' n-grams that a reference holds, each counted at most as often as
    the reference holds it; :math:`h` and :math:`r` are the lengths of hypotheses and references.

    Args:
        hypotheses: Translations: lists of tokens, or strings, which are split at white space.
        references: For each of them one or more reference translations.
        reduction: ``"corpus"``: counts are summed over all sentences first. ``"none"``: one number for each sentence.
        smooth_method: What to do about an order without a match, which would make the product 0: ``"none"``,
            ``"floor"`` (count ``smooth_value`` matches), ``"add-k"`` (add ``smooth_value`` to counts of all orders
            above 1), ``"exp"`` (count a half, at the next such order a quarter ...).
        smooth_value: The number used by ``"floor"`` and ``"add-k"``; 0.1 and 1 when ``None``.
        effective_order: Whether to leave out orders longer than the hypothesis, as one does for single sentences.
        max_ngram_order: Longest n-grams that count.

    Returns:
        Numbers in ``[0, 100]``; best value 100.

    Raises:
        TypeError: If ``hypotheses`` is a single string.
        ValueError: If the lengths differ, there is no hypothesis, one has no reference, or an option is unknown.

    Example:
        >>> bleu(["the cat sat on the mat"], [["the cat lay on the mat"]], smooth_method="floor")
        tensor(25.4066)

    Source: Papineni et al. (2002); Post (2018), "A call for clarity in reporting BLEU scores". Chapter: metrics.
    """
    check_option("reduction", reduction, ("corpus", "none"))
    check_option("smooth_method", smooth_method, tuple(SMOOTHING_VALUES))
    check_range("max_ngram_order", max_ngram_order, 1)
    _check_sentences(hypotheses, references)
    correct, total, length, closest = _counts(hypotheses, references, max_ngram_order)
    if reduction == "corpus":
        correct, total, length, closest = (part.sum(0, keepdim=True) for part in (correct, total, length, closest))
    value = SMOOTHING_VALUES[smooth_method] if smooth_value is None else smooth_value
    score = _score(correct, total, length, closest, smooth_method, value, effective_order).to(torch.get_default_dtype())
    return score[0] if reduction == "corpus" else score


def _check_sentences(hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> None:
    if isinstance(hypotheses, str):
        raise TypeError("hypotheses: expected a sequence of sentences; got one string")
    if len(hypotheses) != len(references) or not len(hypotheses):
        raise ValueError(
            f"references: expected as many as hypotheses, and at least 1; got {len(references)} for {len(hypotheses)}"
        )
    for i, several in enumerate(references):
        if isinstance(several, str) or not len(several):
            raise ValueError(f"references[{i}]: expected a list of one or more sentences; got {several!r}")


def _counts(
    hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]], orders: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each sentence: matches and n-grams of each order, length of the hypothesis and of the closest reference."""
    sentences = [*hypotheses, *(one for several in references for one in several)]
    words = [s.split() if isinstance(s, str) else s for s in sentences]
    vocabulary: dict[Hashable, int] = {}
    stream = torch.tensor([vocabulary.setdefault(word, len(vocabulary)) for s in words for word in s], dtype=torch.long)
    length = torch.tensor([len(s) for s in words])
    count = len(hypotheses)
    owner = torch.arange(count).repeat_interleave(torch.tensor([len(several) for several in references]))
    # Which sentence of the list each word is in, and whose hypothesis or reference that is.
    segment = torch.arange(len(words)).repeat_interleave(length)
    owner = torch.cat([torch.arange(count), owner])

    gram, matches = stream, []
    for order in range(1, orders + 1):
        if order > 1:
            # An n-gram is an (n - 1)-gram and one word more: number the pairs.
            gram = gram[:-1] * max(len(vocabulary), 1) + stream[order - 1 :]
            gram = gram.unique(return_inverse=True)[1]
        begins = segment[: len(gram)]
        inside = begins == segment[order - 1 :]
        matches.append(_matches(gram[inside], begins[inside], owner, count))
    total = (length[:count, None] - torch.arange(orders)).clamp(min=0)
    return torch.stack(matches, 1), total, length[:count], _closest(length, owner, count)


def _matches(gram: Tensor, segment: Tensor, owner: Tensor, count: int) -> Int[Tensor, " count"]:
    """How many n-grams of each hypothesis a reference has too, each at most as often as the reference has it."""
    size = int(gram.max()) + 1 if len(gram) else 1
    key, often = (segment * size + gram).unique(return_counts=True)
    segment, key = key // size, owner[key // size] * size + key % size
    mine, wanted = segment < count, segment >= count
    known, index = key[wanted].unique(return_inverse=True)
    most = torch.zeros_like(known).scatter_reduce(0, index, often[wanted], "amax")
    if not len(known):
        return torch.zeros(count, dtype=torch.long)
    place = torch.searchsorted(known, key[mine]).clamp(max=len(known) - 1)
    shared = torch.where(known[place] == key[mine], often[mine].minimum(most[place]), 0)
    return torch.zeros(count, dtype=torch.long).index_add(0, segment[mine], shared)


def _closest(length: Tensor, owner: Tensor, count: int) -> Int[Tensor, " count"]:
    """Length of the reference that is nearest in length to the hypothesis; of two, the shorter."""
    mine, reference, owner = length[:count], length[count:], owner[count:]
    size = int(length.max()) + 1
    rank = (reference - mine[owner]).abs() * size + reference
    return torch.zeros(count, dtype=torch.long).scatter_reduce(0, owner, rank, "amin", include_self=False) % size


def _score(
    correct: Tensor, total: Tensor, length: Tensor, reference: Tensor, method: str, value: float, effective: bool
) -> Float[Tensor, " sentences"]:
    """BLEU from counts (sentences, orders), as sacreBLEU's ``compute_bleu``."""
    correct, total, orders = correct.double(), total.double(), correct.shape[1]
    missing = correct.sum(1) == 0
    if method == "add-k":
        correct[:, 1:] += value
        total[:, 1:] += value
    present, none = total > 0, (correct == 0) & (total > 0)
    if method == "floor":
        correct = torch.where(none, value, correct)
    elif method == "exp":
        correct = torch.where(none, 0.5 ** none.cumsum(1), correct)
    log_precision = torch.where(present, correct / total, 0.0).log()
    if effective:
        mean = torch.where(present, log_precision, 0.0).sum(1) / present.sum(1)
    else:
        mean = log_precision.sum(1) / orders
    penalty = (1 - reference / length).clamp(max=0)
    return torch.where(missing, 0.0, 100 * (penalty + mean).exp())
