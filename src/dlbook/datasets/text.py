"""Text to learn from: English sentences with their French translations, and Shakespeare letter by letter."""

import re
import unicodedata
import zlib

from dlbook._checks import check_option, check_whole
from dlbook.datasets.examples import SPLITS, Pair, first
from dlbook.datasets.files import SOURCES, read_file

# Typographic forms of one thing become that thing; what has no width vanishes.
_CHARACTERS = {"’": "'", "‘": "'", "–": "-", "—": "-", "\u00ad": "", "\u200b": ""}
# A mark is a token of its own; but "3.5", "10,000" and "2:30" stay whole, and so do hyphenated words.
_MARKS = r"\.{3}|[.,:](?!\d)|(?<!\d)[.,:]|[^\w\s.,:'-]|-(?!\w)|(?<!\w)-"
_CONTRACTION = r"n't\b|'(?:s|m|re|ve|ll|d)\b"
_ELISION = r"'(?<!\baujourd')(?=\w)"
_PRONOUN = r"-(?:t-)?(?:je|tu|ils?|elles?|on|ce|nous|vous|moi|toi|lui|leur|l[ae]s?|y|en)\b"


def tatoeba(split: str = "train", *, max_length: int | None = None, pairs: int | None = None) -> list[Pair]:
    """English sentences and French translations by volunteers, as tokens; 3 MB, downloaded at the first call.

    Normalised: Unicode NFC, lower case, plain apostrophes and blanks. Marks are tokens of their own; contractions and
    French pronouns behind the verb are cut off (``do n't``, ``l' eau``, ``as -tu``); other hyphenated words stay whole.
    Pairs that are then equal count once.

    The English words decide which part a pair belongs to (8 in 10 to train, 1 each to validation and test), and nothing
    else does. So all translations of a sentence are in one part, whether it ends in ``.`` or ``!`` and whatever
    ``max_length`` is. A French sentence may be in two parts, where it translates two English ones.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        max_length: Leave out pairs with more tokens than this on either side; None for no limit.
        pairs: How many pairs, the same ones each time; None for all.

    Returns:
        Pairs ``(English tokens, French tokens)``, shuffled, but translations of the same English words in a row.

    Raises:
        DataUnavailable: If the file is missing and cannot be fetched, or is damaged; it says what to put where.
        TypeError: If a number is not whole.
        ValueError: If the split is unknown, a number below 1, or there are fewer than ``pairs`` pairs.

    Example:
        >>> from dlbook import datasets
        >>> found = datasets.available("tatoeba")
        >>> pairs = datasets.tatoeba(max_length=8) if found else datasets.number_words()
        >>> type(pairs[0])
        <class 'tuple'>

    Source: tatoeba.org and manythings.org/anki, 7 April 2019, licence CC BY 2.0. Chapter: seq2seq.
    """
    check_option("split", split, SPLITS)
    if max_length is not None:
        check_whole("max_length", max_length, 1)
    source = SOURCES["tatoeba"]
    lines = [line.split("\t") for line in read_file(source, *source.files).decode().split("\n") if line]
    english = _tokenise([line[0] for line in lines], _CONTRACTION)
    keys = [" ".join(re.findall(r"\w+", sentence)) for sentence in english]
    # a checksum is as good as a random number, and the same on every machine
    shuffled = sorted((zlib.crc32(key.encode()), key, row) for row, key in enumerate(keys))
    start, stop = (share * 2**32 for share in SPLITS[split])
    rows = [row for value, _, row in shuffled if start <= value < stop]
    french = _tokenise([lines[row][1] for row in rows], _PRONOUN, _ELISION)
    unique = dict.fromkeys((english[row], sentence) for row, sentence in zip(rows, french, strict=True))
    found = [(one.split(" "), other.split(" ")) for one, other in unique]
    if max_length is not None:
        found = [pair for pair in found if max(map(len, pair)) <= max_length]
    return first(found, pairs)


def _tokenise(sentences: list[str], cut_before: str, cut_after: str = "(?!)") -> list[str]:
    """The sentences normalised, a blank between any two tokens; all at once, which takes a fraction of the time."""
    text = unicodedata.normalize("NFC", "".join(f"{sentence}\n" for sentence in sentences)).lower()
    for character, plain in _CHARACTERS.items():
        text = text.replace(character, plain)
    text = re.sub(_MARKS, r" \g<0> ", text)
    text = re.sub(cut_before, r" \g<0>", text)
    text = re.sub(cut_after, r"\g<0> ", text)
    return [" ".join(line.split()) for line in text.split("\n")[:-1]]


def shakespeare(split: str = "all") -> str:
    """Speeches from Shakespeare's plays, 1,115,394 letters and marks; 1 MB, downloaded at the first call.

    Args:
        split: ``"train"`` for the first nine tenths, ``"validation"`` for the rest (published results on this text are
            for that cut), ``"all"`` for both.

    Returns:
        The text, in 65 different characters.

    Raises:
        DataUnavailable: If the file is missing and cannot be fetched, or is damaged; it says what to put where.
        ValueError: If the split is unknown.

    Example:
        >>> from dlbook import datasets
        >>> text = datasets.shakespeare() if datasets.available("shakespeare") else "First Citizen:"
        >>> text[:14]
        'First Citizen:'

    Source: Karpathy's char-rnn (2015); the plays are in the public domain. Chapter: recurrent.
    """
    check_option("split", split, ("all", "train", "validation"))
    source = SOURCES["shakespeare"]
    text = read_file(source, *source.files).decode()
    cut = len(text) * 9 // 10
    return {"all": text, "train": text[:cut], "validation": text[cut:]}[split]
