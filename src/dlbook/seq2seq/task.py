"""A translation task from end to end: sentence pairs with their vocabularies, training, and marks for the result.

The chapters from seq2seq to beam_search share one task, and so do their long runs on real sentences: what differs from
model to model is the model.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from dlbook import schedules, training
from dlbook._checks import check_range, check_whole
from dlbook.losses import cross_entropy
from dlbook.metrics import bleu
from dlbook.optimizers import AdamW
from dlbook.seq2seq.data import Pair, encode_pairs
from dlbook.seq2seq.decoding import Search, translate
from dlbook.seq2seq.vocabulary import PAD, Vocabulary
from dlbook.training.checkpoint import History


class TranslationTask(NamedTuple):
    """Sentence pairs to learn from, held-out ones to be judged by, and the words of both languages."""

    train: Sequence[Pair]
    test: Sequence[Pair]
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary


class Marks(NamedTuple):
    """How good translations are: ``exact`` and ``bleu`` for all, ``right`` and ``translations`` one by one."""

    exact: float
    bleu: float
    right: list[bool]
    translations: list[list[str]]


def translation_task(
    train: Sequence[Pair], test: Sequence[Pair], min_count: int = 1, max_size: int | None = None
) -> TranslationTask:
    """A task of sentence pairs, the vocabularies made of the training pairs alone.

    Args:
        train: Pairs to learn from.
        test: Held-out pairs.
        min_count: How often a word must occur to be taken in.
        max_size: Largest number of entries of each vocabulary; no limit when left out.

    Returns:
        The pairs and the two vocabularies.

    Raises:
        ValueError: If there are no training pairs, or a number is out of range.

    Example:
        >>> task = translation_task([(["two"], ["deux"]), (["ten"], ["dix"])], [(["ten"], ["dix"])])
        >>> len(task.source_vocabulary)
        6

    Source: Sutskever et al. (2014), section 3.1. Chapter: seq2seq.
    """
    if not train:
        raise ValueError("train: expected at least one pair of sentences; got none")
    vocabularies = (Vocabulary(sentences, min_count, max_size) for sentences in zip(*train, strict=True))
    return TranslationTask(train, test, *vocabularies)


def fit_translator(
    model: nn.Module,
    task: TranslationTask,
    *,
    epochs: int = 6,
    lr: float = 1e-2,
    batch_size: int = 64,
    label_smoothing: float = 0.0,
    weight_decay: float = 0.0,
) -> History:
    """Train a translator on a task's sentence pairs, by teacher forcing.

    AdamW follows one cycle of the learning rate, which spares the start and settles the end, whatever the model.

    Args:
        model: A translator, called with the source and the target behind ``BOS``.
        task: What to learn.
        epochs: Passes over the training pairs.
        lr: Highest learning rate.
        batch_size: Pairs a step.
        label_smoothing: Probability in [0, 1] that the targets give to all words alike.
        weight_decay: AdamW's.

    Returns:
        The history of ``training.fit``; losses are a word, in nats.

    Raises:
        TypeError: If ``task`` is no task.
        ValueError: If a number is out of range.

    Example:
        >>> from dlbook.seq2seq import Seq2Seq
        >>> task = translation_task([(["two"], ["deux"]), (["ten"], ["dix"])], [])
        >>> model = Seq2Seq(len(task.source_vocabulary), len(task.target_vocabulary), hidden_size=8)
        >>> fit_translator(model, task, epochs=2)["epoch"]
        [1, 2]

    Source: Vaswani et al. (2017), section 5; one cycle: Smith and Topin (2018). Chapter: seq2seq.
    """
    _check_task(task, part="train")
    check_range("lr", lr, 0)
    check_whole("epochs", epochs, 1)
    check_whole("batch_size", batch_size, 1)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets, ignore_index=PAD, label_smoothing=label_smoothing)

    data = encode_pairs(task.train, *task[2:], device=next(model.parameters()).device)
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    steps = epochs * -(-len(task.train) // batch_size)
    scheduler = schedules.as_scheduler(optimizer, schedules.one_cycle(max_lr=lr, total_steps=steps))
    return training.fit(model, data, loss, optimizer, epochs=epochs, batch_size=batch_size, scheduler=scheduler)


def mark_translator(
    model: nn.Module, task: TranslationTask, *, search: Search | None = None, max_length: int = 50
) -> Marks:
    """Translate a task's held-out sentences and compare with the references.

    A source sentence may stand in several pairs, each with another translation: all of these are references for it.

    Args:
        model: A translator.
        task: Its ``test`` is translated.
        search: As in ``translate``; each next word is the most likely one when left out.
        max_length: Longest translation without ``search``, in tokens.

    Returns:
        ``exact``, the share in [0, 1] of translations equal to a reference; the corpus's ``bleu`` in [0, 100]; both for
        each different source sentence once. ``right`` and ``translations`` have an entry for each pair of ``test``.

    Raises:
        TypeError: If ``task`` is no task.
        ValueError: If the task has no test pairs.

    Example:
        >>> from dlbook.seq2seq import Seq2Seq
        >>> task = translation_task([(["two"], ["deux"])], [(["two"], ["deux"])])
        >>> marks = mark_translator(Seq2Seq(5, 5, hidden_size=8), task, max_length=3)
        >>> marks.right == [marks.exact == 1]
        True

    Source: Papineni et al. (2002). Chapter: seq2seq.
    """
    _check_task(task, part="test")
    references: dict[tuple[str, ...], list[list[str]]] = {}
    for source, target in task.test:
        references.setdefault(tuple(source), []).append(list(target))
    found = translate(model, [list(source) for source in references], *task[2:], search=search, max_length=max_length)
    by_source = dict(zip(references, found, strict=True))
    exact = {source: by_source[source] in known for source, known in references.items()}
    sources = [tuple(source) for source, _ in task.test]
    return Marks(
        sum(exact.values()) / len(exact),
        bleu(found, list(references.values())).item(),
        [exact[source] for source in sources],
        [by_source[source] for source in sources],
    )


def _check_task(task: TranslationTask, part: str) -> None:
    if not isinstance(task, TranslationTask):
        raise TypeError(f"task: expected a TranslationTask; got {type(task).__name__}")
    if not getattr(task, part):
        raise ValueError(f"task: expected pairs of sentences in its {part} part; got none")
