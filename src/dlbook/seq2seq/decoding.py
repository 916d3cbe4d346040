"""What works on any translator: translating sentences, and training a decoder on its own words.

A translator is a module with two methods: ``encode(source)`` gives a state, and ``step(tokens, state)`` gives
log-probabilities of the next word and the state with which to go on.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dlbook._checks import check_range, check_whole
from dlbook.seq2seq.recurrent import check_tokens
from dlbook.seq2seq.vocabulary import BOS, EOS, Vocabulary, check_sentences

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
Search = Callable[[Step, Any, Tensor], Tensor]


@torch.no_grad()
def translate(
    model: Any,
    sentences: Sequence[Sequence[str]],
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    *,
    search: Search | None = None,
    max_length: int = 50,
    batch_size: int = 256,
) -> list[list[str]]:
    """Translate sentences, word by word.

    The model is in evaluation mode meanwhile (no dropout) and then again in the mode it was in. Sentences of about the
    same length share a batch.

    Args:
        model: A translator, such as :class:`Seq2Seq` or :class:`TransformerTranslator`.
        sentences: What to translate: lists of tokens.
        source_vocabulary: The source language's words.
        target_vocabulary: The target language's words.
        search: Called with the model's step, the state, and ``BOS`` for each sentence; returns token numbers,
            (sentences, time). When left out, each next word is the most likely one.
        max_length: Longest translation without ``search``, in tokens.
        batch_size: Sentences at a time.

    Returns:
        A list of tokens for each sentence.

    Raises:
        TypeError: If ``model`` is no translator, or a sentence is a string instead of a list of tokens.
        ValueError: If ``max_length`` or ``batch_size`` is below 1.

    Example:
        >>> from dlbook.seq2seq import Seq2Seq
        >>> words = Vocabulary([["two"]])
        >>> model = Seq2Seq(len(words), len(words), hidden_size=8)
        >>> len(translate(model, [["two", "two"], ["two"]], words, words, max_length=3))
        2

    Source: Sutskever et al. (2014), section 3.2. Chapter: seq2seq.
    """
    _check_translator(model)
    check_sentences("sentences", sentences)
    check_whole("max_length", max_length, 1)
    check_whole("batch_size", batch_size, 1)
    device, training = next(model.parameters()).device, model.training
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    translations: dict[int, list[str]] = {}
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            source = source_vocabulary.encode_batch([sentences[i] for i in rows], eos=True, device=device)
            state, first = model.encode(source), source.new_full((len(rows),), BOS)
            if search is None:
                ids = _greedy(model.step, state, first, max_length)
            else:
                ids = search(model.step, state, first)
            translations |= zip(rows, target_vocabulary.decode_batch(ids), strict=True)
    finally:
        model.train(training)
    return [translations[i] for i in range(len(sentences))]


def _greedy(step: Any, state: Any, tokens: Tensor, max_length: int) -> Tensor:
    """The most likely word at each step, until every sentence has ended; what follows an end means nothing."""
    written, finished = [], torch.zeros_like(tokens, dtype=torch.bool)
    for _ in range(max_length):
        log_probs, state = step(tokens, state)
        tokens = log_probs.argmax(-1)
        written.append(tokens)
        finished |= tokens == EOS
        if finished.all():
            break
    return torch.stack(written, dim=1)


def scheduled_sampling(
    model: Any,
    source: Int[Tensor, "batch source"],
    target_in: Int[Tensor, "batch target"],
    teacher_forcing: float = 0.5,
) -> Float[Tensor, "batch vocabulary target"]:
    """Log-probabilities of a target whose words the decoder reads only now and then, and otherwise its own.

    With teacher forcing alone a decoder never meets a mistake of its own before it is put to use. Here it does: at each
    step and for each sentence, chance decides whether it reads the right word before or the one that it found most
    likely. It must go step by step for that, and is slower.

    Args:
        model: A translator, such as :class:`Seq2Seq` or :class:`TransformerTranslator`.
        source: Sentences, filled up with ``PAD``.
        target_in: Their translations behind ``BOS``, filled up with ``PAD``.
        teacher_forcing: Chance with which the decoder reads the right word; with 1 the result is the model's own.

    Returns:
        Log-probabilities of the word after each word, laid out as a loss wants them.

    Raises:
        TypeError: If ``model`` is no translator or ``target_in`` no tensor.
        ValueError: If ``teacher_forcing`` is out of range or ``target_in`` has another shape.

    Example:
        >>> from dlbook.seq2seq import Seq2Seq
        >>> model = Seq2Seq(9, 11, hidden_size=8)
        >>> scheduled_sampling(model, torch.tensor([[5, 6, 3]]), torch.tensor([[2, 8]])).shape
        torch.Size([1, 11, 2])

    Source: Bengio et al. (2015), "Scheduled sampling for sequence prediction with recurrent neural networks".
    Chapter: seq2seq.
    """
    _check_translator(model)
    check_tokens("target_in", target_in)
    check_range("teacher_forcing", teacher_forcing, 0, 1)
    forced = torch.rand(target_in.shape, device=target_in.device) < teacher_forcing
    state, found = model.encode(source), []
    tokens = target_in[:, 0]
    for time in range(target_in.shape[1]):
        if time:
            tokens = torch.where(forced[:, time], target_in[:, time], found[-1].argmax(-1))
        log_probs, state = model.step(tokens, state)
        found.append(log_probs)
    return torch.stack(found, dim=2)


def _check_translator(model: Any) -> None:
    if not (hasattr(model, "encode") and hasattr(model, "step") and isinstance(model, nn.Module)):
        raise TypeError(f"model: expected a module with encode and step; got {type(model).__name__}")
