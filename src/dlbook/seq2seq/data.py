"""Pairs of sentences as batches of tensors: what the model reads, what it is told, and what it should say."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from dlbook._checks import check_whole
from dlbook.seq2seq.vocabulary import Vocabulary

Pair = tuple[Sequence[str], Sequence[str]]
Device = torch.device | str | int | None


class Batch(NamedTuple):
    """A batch of sentence pairs, in the order that ``dlbook.training.fit`` wants: inputs, then targets."""

    source: Int[Tensor, "batch source"]
    target_in: Int[Tensor, "batch target"]
    target_out: Int[Tensor, "batch target"]


def encode_pairs(
    pairs: Sequence[Pair], source_vocabulary: Vocabulary, target_vocabulary: Vocabulary, device: Device = None
) -> Batch:
    """Sentence pairs as three padded tensors, ready for ``dlbook.training.fit``.

    The source ends with ``EOS``. The target comes twice: as the decoder reads it, behind ``BOS``, and as it should
    write it, one word ahead and ended by ``EOS``. With teacher forcing the model is so told at each step what the right
    word before was, whatever it would have written itself.

    Args:
        pairs: Source and target sentences, each a list of tokens.
        source_vocabulary: The source language's words.
        target_vocabulary: The target language's words.
        device: Where the tensors live.

    Returns:
        ``source``, ``target_in`` and ``target_out``, filled up with ``PAD``.

    Raises:
        TypeError: If a sentence is a string instead of a list of tokens.
        ValueError: If there is no pair, or something is not a pair.

    Example:
        >>> pairs = [(["two"], ["deux"]), (["twenty", "one"], ["vingt", "et", "un"])]
        >>> english, french = Vocabulary(x for x, _ in pairs), Vocabulary(y for _, y in pairs)
        >>> source, target_in, target_out = encode_pairs(pairs, english, french)
        >>> target_in
        tensor([[2, 4, 0, 0],
                [2, 7, 5, 6]])
        >>> target_out
        tensor([[4, 3, 0, 0],
                [7, 5, 6, 3]])

    Source: Sutskever et al. (2014), "Sequence to sequence learning with neural networks"; teacher forcing: Williams and
    Zipser (1989). Chapter: seq2seq.
    """
    _check_pairs(pairs)
    sources, targets = [list(side) for side in zip(*pairs, strict=True)]
    return Batch(
        source_vocabulary.encode_batch(sources, eos=True, device=device),
        target_vocabulary.encode_batch(targets, bos=True, device=device),
        target_vocabulary.encode_batch(targets, eos=True, device=device),
    )


def batches(
    pairs: Sequence[Pair],
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    batch_size: int = 64,
    *,
    seed: int = 0,
    device: Device = None,
) -> Iterator[Batch]:
    """One epoch of batches of sentences of about the same length, in random order.

    Sentences of a batch are all filled up to the longest of them: sorted by length, few of the numbers are padding.
    What is random is who shares a batch among sentences of equal length, and the order of the batches.

    Args:
        pairs: Source and target sentences, each a list of tokens.
        source_vocabulary: The source language's words.
        target_vocabulary: The target language's words.
        batch_size: Pairs in a batch; the batch of the longest sentences takes what is left.
        seed: Settles the order; take another one each epoch.
        device: Where the tensors live.

    Returns:
        An iterator over batches, which encodes each one when its turn comes.

    Raises:
        TypeError: If a sentence is a string instead of a list of tokens.
        ValueError: If there is no pair, something is not a pair, or ``batch_size`` is below 1.

    Example:
        >>> pairs = [(["one"], ["un"]), (["one", "hundred"], ["cent"]), (["two"], ["deux"])]
        >>> english, french = Vocabulary(x for x, _ in pairs), Vocabulary(y for _, y in pairs)
        >>> [tuple(batch.source.shape) for batch in batches(pairs, english, french, batch_size=2, seed=1)]
        [(2, 2), (1, 3)]

    Source: Sutskever et al. (2014), section 3.4. Chapter: seq2seq.
    """
    check_whole("batch_size", batch_size, 1)
    _check_pairs(pairs)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pairs), generator=generator).tolist()
    order.sort(key=lambda i: (len(pairs[i][0]), len(pairs[i][1])))
    starts = range(0, len(order), batch_size)
    turns = torch.randperm(len(starts), generator=generator).tolist()
    return (
        encode_pairs(
            [pairs[i] for i in order[starts[turn] : starts[turn] + batch_size]],
            source_vocabulary,
            target_vocabulary,
            device,
        )
        for turn in turns
    )


def _check_pairs(pairs: Sequence[Pair]) -> None:
    if len(pairs) == 0:
        raise ValueError("pairs: expected at least one pair of sentences; got none")
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"pairs: expected a source and a target sentence in each; got {pair!r}")
