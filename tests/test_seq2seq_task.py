"""A translation task: its vocabularies, training a translator on it, and the marks that the translator earns."""

import pytest
import torch
from torch import nn

from dlbook import datasets, training
from dlbook.seq2seq import (
    BOS,
    EOS,
    Marks,
    Seq2Seq,
    TransformerTranslator,
    TranslationTask,
    fit_translator,
    mark_translator,
    translate,
    translation_task,
)

TRAIN = [(["two"], ["deux"]), (["ten"], ["dix"]), (["two", "ten"], ["deux", "dix"])]


def small(task, **options):
    torch.manual_seed(0)
    return Seq2Seq(*(len(vocabulary) for vocabulary in task[2:]), hidden_size=16, **options)


class Parrot(nn.Module):
    """Writes the numbers of the source's words, then the end: marks can be told in advance."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def encode(self, source):
        return {"source": source, "place": torch.zeros(len(source), dtype=torch.long)}

    def step(self, tokens, state):
        chosen = state["source"].gather(1, state["place"][:, None].clamp(max=state["source"].shape[1] - 1))
        log_probs = torch.full((len(tokens), 20), -9.0).scatter(1, chosen, 0.0)
        return log_probs, state | {"place": state["place"] + 1}


def test_the_vocabularies_know_training_words_only():
    task = translation_task(TRAIN, [(["six"], ["six"])])
    assert isinstance(task, TranslationTask)
    assert task.source_vocabulary.tokens[4:] == ["ten", "two"]
    assert task.target_vocabulary.tokens[4:] == ["deux", "dix"]
    assert "six" not in task.source_vocabulary
    capped = translation_task([*TRAIN, (["ten"], ["dix"])], [], max_size=5)
    assert capped.source_vocabulary.tokens[4:] == ["ten"]
    assert translation_task(TRAIN, [], min_count=3).source_vocabulary.tokens[4:] == []


def test_marks_count_a_source_once_and_take_every_reference():
    """Of three different sources two come out right, and one stands in two pairs with two translations."""
    long, short = list("abcde"), list("bc")
    task = translation_task([(long, long)], [(long, ["c"]), (long, long), (short, short), (["c"], ["a"])])
    marks = mark_translator(Parrot(), task)
    assert isinstance(marks, Marks)
    assert marks.right == [True, True, True, False]
    assert marks.translations == [long, long, short, ["c"]]
    assert marks.exact == pytest.approx(2 / 3)
    # 7 of 8 words match, and all pairs, triples and quadruples of words; the lengths are equal.
    assert marks.bleu == pytest.approx(100 * (7 / 8) ** 0.25)


def test_a_search_of_ones_own_is_used():
    task = translation_task(TRAIN, TRAIN)
    model = small(task)

    def search(step, state, first):
        assert (first == BOS).all()
        assert step(first, state)[0].shape == (len(first), len(task.target_vocabulary))
        words = torch.tensor([*task.target_vocabulary.encode(["dix"]), EOS])
        return words.expand(len(first), 2)

    marks = mark_translator(model, task, search=search)
    assert marks.translations == [["dix"]] * 3
    assert marks.right == [False, True, False]


@pytest.mark.parametrize("attention", [None, "dot_product"])
def test_a_translator_learns_a_small_task(attention):
    task = translation_task(TRAIN * 8, TRAIN)
    model = small(task, attention=attention)
    history = fit_translator(model, task, epochs=20, batch_size=6, lr=0.03)
    assert history["epoch"] == list(range(1, 21))
    assert history["train_loss"][-1] < 0.1 * history["train_loss"][0]
    marks = mark_translator(model, task)
    assert marks.exact == 1
    assert marks.translations == translate(model, [source for source, _ in TRAIN], *task[2:])


def test_a_run_is_settled_by_its_seed():
    task = translation_task(datasets.number_words("train", pairs=50, high=99), [])

    def losses(seed, **options):
        training.seed_everything(seed)
        model = TransformerTranslator(*(len(vocabulary) for vocabulary in task[2:]), 8, 2, 1)
        return fit_translator(model, task, epochs=2, batch_size=16, **options)["train_loss"]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)
    assert losses(0) != losses(0, label_smoothing=0.1)
    assert losses(0) != losses(0, weight_decay=0.5)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": 0}, "epochs"),
        ({"lr": -1.0}, "lr"),
        ({"batch_size": 0}, "batch_size"),
        ({"label_smoothing": 2}, "label_s"),
    ],
)
def test_wrong_numbers_are_named(wrong, says):
    task = translation_task(TRAIN, [])
    with pytest.raises(ValueError, match=says):
        fit_translator(small(task), task, **wrong)


@pytest.mark.bad_input
def test_missing_pairs_are_named():
    with pytest.raises(ValueError, match="train: expected at least one pair"):
        translation_task([], TRAIN)
    task = translation_task(TRAIN, [])
    with pytest.raises(ValueError, match="task: expected pairs of sentences in its test part"):
        mark_translator(small(task), task)
