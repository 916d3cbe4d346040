"""Sequence to sequence: one network reads a sentence, another writes its translation, and both are trained as one.

Three translators differ in one thing each. ``Seq2Seq`` is recurrent, and all that its decoder knows of the source is
the encoder's last state; with ``attention`` it looks back at all of them; ``TransformerTranslator`` has attention in
place of the recurrence too. All three are called with ``(source, target_in)``, train on the same batches, and have
``encode(source)`` and ``step(tokens, state)``, which is what every search over words needs.

``vocabulary`` numbers the words, ``data`` makes batches of sentence pairs, ``recurrent`` and ``transformer`` have the
models, ``decoding`` what works on any of them, and ``task`` their training and their marks. ``PAD``, ``UNK``, ``BOS``
and ``EOS`` are the numbers of the special tokens in every vocabulary.
"""

from dlbook.seq2seq.data import Batch, batches, encode_pairs
from dlbook.seq2seq.decoding import scheduled_sampling, translate
from dlbook.seq2seq.recurrent import Decoder, Encoder, Seq2Seq
from dlbook.seq2seq.task import Marks, TranslationTask, fit_translator, mark_translator, translation_task
from dlbook.seq2seq.transformer import TransformerTranslator
from dlbook.seq2seq.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "UNK",
    "Batch",
    "Decoder",
    "Encoder",
    "Marks",
    "Seq2Seq",
    "TransformerTranslator",
    "TranslationTask",
    "Vocabulary",
    "batches",
    "encode_pairs",
    "fit_translator",
    "mark_translator",
    "scheduled_sampling",
    "translate",
    "translation_task",
]
