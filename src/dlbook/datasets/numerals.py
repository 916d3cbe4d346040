"""Numbers in words, English to French: a translation task without a file, whose every answer can be checked.

It is small, and yet no dictionary solves it. French counts on from sixty by twenties: 71 is *soixante et onze*, sixty
and eleven; 97 is *quatre-vingt-dix-sept*, four twenties ten seven. So *seven* becomes *sept* or *dix-sept*, and *one*
becomes *un*, *et un* or *onze*, as the neighbours require.
"""

from collections import Counter
from functools import cache

import torch

from dlbook._checks import check_option, check_range, check_whole
from dlbook.datasets.examples import SPLITS, Pair, first

LIMIT = 1_000_000

_ENGLISH = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_FRENCH = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit"
    " dix-neuf"
).split()
_FRENCH_TENS = "vingt trente quarante cinquante soixante soixante quatre-vingt quatre-vingt".split()


def number_words(
    split: str = "train",
    *,
    pairs: int | None = None,
    low: int = 0,
    high: int = 9_999,
    seed: int = 0,
    even_lengths: bool = False,
) -> list[Pair]:
    """Numbers in English and in French words, as tokens: cut at spaces and hyphens, the hyphens left out.

    The seed alone decides which part a number belongs to (8 in 10 to train, 1 each to validation and test) and the
    order. So no number is in two parts, not even if one part is drawn from 0-999 and another from 0-999,999.
    ``spell_number`` states the spelling.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        pairs: How many; None for all that this part has in the range.
        low: Smallest number.
        high: Largest number; below a million.
        seed: Another seed, another split and another order.
        even_lengths: Whether numbers of one digit, two digits, three ... take turns, as long as there are any. Drawn
            evenly from a large range, nearly all numbers would be long.

    Returns:
        Pairs ``(English tokens, French tokens)``, shuffled, each number at most once. Below a million there are 31
        English and 27 French words, and a number takes at most 11 of the one and 13 of the other.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If the split is unknown, the range is empty or not within [0, 999,999], or it has fewer numbers of
            this part than ``pairs``.

    Example:
        >>> number_words("test", pairs=1, low=70, high=99)
        [(['ninety', 'seven'], ['quatre', 'vingt', 'dix', 'sept'])]

    Source: written for this book. Chapter: seq2seq.
    """
    check_option("split", split, SPLITS)
    _check("low", low, 0, LIMIT - 1)
    _check("high", high, low, LIMIT - 1)
    # all numbers in one order, whatever the range; the parts are cut from that
    order = torch.randperm(LIMIT, generator=torch.Generator().manual_seed(seed))
    start, stop = (round(share * LIMIT) for share in SPLITS[split])
    part = order[start:stop]
    numbers = part[(part >= low) & (part <= high)].tolist()
    if even_lengths:
        numbers = _in_turns(numbers)
    return [(_tokens(number, "english"), _tokens(number, "french")) for number in first(numbers, pairs)]


def spell_number(number: int, language: str = "english") -> str:
    """A whole number in words.

    English as in Britain, with *and* after the hundreds. French as in France (elsewhere 70 and 90 are *septante* and
    *nonante*), in the spelling before the reform of 1990: hyphens below a hundred only, and none around *et*. *Cent*
    and *quatre-vingt* take an *s* where they are multiplied and end the number; *mille* never does.

    Args:
        number: From 0 to 999,999.
        language: ``"english"`` or ``"french"``.

    Returns:
        The words; no two numbers have the same ones.

    Raises:
        TypeError: If the number is not whole.
        ValueError: If the number is out of range or the language is another one.

    Example:
        >>> spell_number(280_097, "french")
        'deux cent quatre-vingt mille quatre-vingt-dix-sept'

    Source: Grevisse and Goosse, Le Bon Usage, on the numerals. Chapter: seq2seq.
    """
    _check("number", number, 0, LIMIT - 1)
    check_option("language", language, ("english", "french"))
    thousands, rest = divmod(number, 1000)
    if language == "english":
        words = [f"{_english(thousands)} thousand"] if thousands else []
        words += ["and"] if thousands and 0 < rest < 100 else []
        words += [_english(rest)] if rest or not thousands else []
    else:
        words = [_french(thousands, last=False)] if thousands > 1 else []
        words += ["mille"] if thousands else []
        words += [_french(rest, last=True)] if rest or not thousands else []
    return " ".join(words)


def _check(name: str, value: int, low: int, high: int) -> None:
    check_whole(name, value)
    check_range(name, value, low, high)


def _in_turns(numbers: list[int]) -> list[int]:
    """The numbers in an order in which those of one digit, two digits, ... take turns."""
    seen = Counter[int]()
    turns = []
    for number in numbers:
        digits = len(str(number))
        turns.append((seen[digits], digits, number))
        seen[digits] += 1
    return [number for _, _, number in sorted(turns)]


def _tokens(number: int, language: str) -> list[str]:
    return spell_number(number, language).replace("-", " ").split()


@cache
def _english(number: int) -> str:
    """A number below a thousand."""
    hundreds, rest = divmod(number, 100)
    tens, unit = divmod(rest, 10)
    if hundreds:
        return f"{_ENGLISH[hundreds]} hundred" + (f" and {_english(rest)}" if rest else "")
    if tens < 2:
        return _ENGLISH[rest]
    return _ENGLISH_TENS[tens - 2] + (f"-{_ENGLISH[unit]}" if unit else "")


@cache
def _french(number: int, last: bool) -> str:
    """A number below a thousand; ``last`` if nothing follows, where the plural shows."""
    hundreds, rest = divmod(number, 100)
    tens, unit = divmod(rest, 10)
    if hundreds:
        cent = "cent" if hundreds == 1 else f"{_FRENCH[hundreds]} cent"
        plural = "s" if last and hundreds > 1 else ""
        return f"{cent} {_french(rest, last)}" if rest else cent + plural
    if tens < 2:
        return _FRENCH[rest]
    unit += 10 if tens in (7, 9) else 0  # seventy is sixty and ten, ninety is eighty and ten
    if unit in (1, 11) and tens < 8:
        return f"{_FRENCH_TENS[tens - 2]} et {_FRENCH[unit]}"
    if unit == 0:
        return _FRENCH_TENS[tens - 2] + ("s" if last and tens == 8 else "")
    return f"{_FRENCH_TENS[tens - 2]}-{_FRENCH[unit]}"
