"""Words as numbers: the vocabulary, and sentences as padded rows of a tensor.

Four entries stand for no word. They have the same numbers in every vocabulary, so that models and searches need no
vocabulary to know them: ``PAD`` fills a row up, ``UNK`` stands for any word that the vocabulary lacks, ``BOS`` is
what a decoder reads first, and ``EOS`` is what it writes when it has finished.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from dlbook._checks import check_ndim, check_tensor, check_whole

SPECIAL_TOKENS = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD, UNK, BOS, EOS = range(4)


class Vocabulary:
    """The words of a language that a model knows, numbered from the most frequent down, after the special tokens.

    Words of equal count are in alphabetical order, so that the numbers do not depend on the order of the sentences.

    Args:
        sentences: Lists of tokens.
        min_count: How often a word must occur to be taken in.
        max_size: Largest number of entries, the four special tokens included; no limit when left out.

    Raises:
        TypeError: If a sentence is a string instead of a list of tokens, or a token is no string.
        ValueError: If a number is out of range, or a word looks like a special token.

    Example:
        >>> vocabulary = Vocabulary([["two", "times", "two"], ["two", "plus", "one"]])
        >>> vocabulary.encode(["two", "minus", "one"])
        [4, 1, 5]
        >>> vocabulary.decode([4, 6, 4, 3, 0])
        ['two', 'plus', 'two']

    Source: Goodfellow et al. (2016), section 12.4.2. Chapter: seq2seq.
    """

    def __init__(self, sentences: Iterable[Sequence[str]], min_count: int = 1, max_size: int | None = None) -> None:
        check_whole("min_count", min_count, 1)
        check_whole("max_size", len(SPECIAL_TOKENS) if max_size is None else max_size, len(SPECIAL_TOKENS))
        counts: Counter[str] = Counter()
        for sentence in sentences:
            counts.update(_check_sentence("sentences", sentence))
        words = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
        self._number(words if max_size is None else words[: max_size - len(SPECIAL_TOKENS)])

    def _number(self, words: Sequence[str]) -> None:
        for word in words:
            if not isinstance(word, str):
                raise TypeError(f"tokens: expected strings; got {type(word).__name__}")
        if special := set(words).intersection(SPECIAL_TOKENS):
            raise ValueError(f"tokens: expected words other than the special tokens; got {min(special)!r}")
        self.tokens = [*SPECIAL_TOKENS, *words]
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self._ids) < len(self.tokens):
            raise ValueError("tokens: expected every word once; got one twice")

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens)"

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """The number of each token; ``UNK`` for one that the vocabulary lacks."""
        return [self._ids.get(token, UNK) for token in _check_sentence("tokens", tokens)]

    def decode(self, ids: Iterable[int] | Int[Tensor, " time"]) -> list[str]:
        """The words up to the first ``EOS``; ``PAD`` and ``BOS`` are left out."""
        if isinstance(ids, Tensor):
            check_ndim("ids", ids, (1,), "(time,)")
            ids = ids.tolist()
        words = []
        for number in ids:
            if not 0 <= number < len(self):
                raise ValueError(f"ids: expected numbers from 0 to {len(self) - 1}; got {number!r}")
            if number == EOS:
                break
            if number not in (PAD, BOS):
                words.append(self.tokens[number])
        return words

    def encode_batch(
        self,
        sentences: Sequence[Sequence[str]],
        *,
        bos: bool = False,
        eos: bool = False,
        device: torch.device | str | int | None = None,
    ) -> Int[Tensor, "batch time"]:
        """Sentences as rows, filled up with ``PAD`` to the longest.

        ``rows != PAD`` is the mask of what is there, and its sum over the last dimension the sentences' lengths.

        Args:
            sentences: Lists of tokens.
            bos: Whether to put ``BOS`` before each sentence.
            eos: Whether to put ``EOS`` behind each sentence.
            device: Where the result lives.
        """
        check_sentences("sentences", sentences)
        rows = [[BOS] * bos + self.encode(sentence) + [EOS] * eos for sentence in sentences]
        longest = max(map(len, rows), default=0)
        padded = [row + [PAD] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.long, device=device).view(len(rows), longest)

    def decode_batch(self, ids: Int[Tensor, "batch time"]) -> list[list[str]]:
        """Each row's words up to its first ``EOS``."""
        check_tensor("ids", ids)
        check_ndim("ids", ids, (2,), "(batch, time)")
        return [self.decode(row) for row in ids.tolist()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the words to a JSON file, in order and without the special tokens."""
        words = self.tokens[len(SPECIAL_TOKENS) :]
        Path(path).write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Read a file that ``save`` wrote."""
        try:
            words = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"path: expected a file that Vocabulary.save wrote; {path} is none ({error})") from error
        if not isinstance(words, list):
            raise ValueError(f"path: expected a list of words in {path}; got {type(words).__name__}")
        vocabulary = cls([])
        vocabulary._number(words)
        return vocabulary


def _check_sentence(name: str, sentence: Sequence[str]) -> Sequence[str]:
    # A string is a sequence of strings, too: without this check its letters would pass for words.
    if isinstance(sentence, str) or not isinstance(sentence, Sequence):
        raise TypeError(f"{name}: expected a list of tokens for each sentence; got {type(sentence).__name__}")
    return sentence


def check_sentences(name: str, sentences: Sequence[Sequence[str]]) -> None:
    """Raise ``TypeError`` unless ``sentences`` is a list of lists of tokens."""
    if isinstance(sentences, str) or not isinstance(sentences, Sequence):
        raise TypeError(f"{name}: expected a list of sentences; got {type(sentences).__name__}")
    for sentence in sentences:
        _check_sentence(name, sentence)
