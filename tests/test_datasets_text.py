import gzip
import hashlib
import os
import re
import unicodedata
from itertools import pairwise

import pytest

from dlbook import datasets
from dlbook.datasets import files

PARTS = ("train", "validation", "test")

# Written by hand, after the rules of the spelling before 1990.
FRENCH = {
    0: "zéro", 1: "un", 7: "sept", 10: "dix", 11: "onze", 16: "seize", 17: "dix-sept", 19: "dix-neuf", 20: "vingt",
    21: "vingt et un", 22: "vingt-deux", 30: "trente", 31: "trente et un", 45: "quarante-cinq", 51: "cinquante et un",
    60: "soixante", 61: "soixante et un", 69: "soixante-neuf", 70: "soixante-dix", 71: "soixante et onze",
    72: "soixante-douze", 76: "soixante-seize", 77: "soixante-dix-sept", 79: "soixante-dix-neuf", 80: "quatre-vingts",
    81: "quatre-vingt-un", 83: "quatre-vingt-trois", 90: "quatre-vingt-dix", 91: "quatre-vingt-onze",
    97: "quatre-vingt-dix-sept", 99: "quatre-vingt-dix-neuf", 100: "cent", 101: "cent un", 111: "cent onze",
    121: "cent vingt et un", 171: "cent soixante et onze", 180: "cent quatre-vingts", 181: "cent quatre-vingt-un",
    200: "deux cents", 201: "deux cent un", 280: "deux cent quatre-vingts", 300: "trois cents",
    999: "neuf cent quatre-vingt-dix-neuf", 1000: "mille", 1001: "mille un", 1100: "mille cent",
    1200: "mille deux cents", 1789: "mille sept cent quatre-vingt-neuf", 2000: "deux mille",
    2080: "deux mille quatre-vingts",
    21_000: "vingt et un mille", 71_071: "soixante et onze mille soixante et onze", 80_000: "quatre-vingt mille",
    80_080: "quatre-vingt mille quatre-vingts", 100_000: "cent mille", 180_200: "cent quatre-vingt mille deux cents",
    200_000: "deux cent mille", 200_200: "deux cent mille deux cents", 300_001: "trois cent mille un",
    999_999: "neuf cent quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf",
}  # fmt: skip
ENGLISH = {
    0: "zero", 1: "one", 12: "twelve", 13: "thirteen", 18: "eighteen", 20: "twenty", 40: "forty", 55: "fifty-five",
    81: "eighty-one", 97: "ninety-seven", 100: "one hundred", 101: "one hundred and one",
    342: "three hundred and forty-two", 900: "nine hundred", 1000: "one thousand", 1001: "one thousand and one",
    1100: "one thousand one hundred",
    2021: "two thousand and twenty-one", 2345: "two thousand three hundred and forty-five",
    15_000: "fifteen thousand", 101_000: "one hundred and one thousand", 100_001: "one hundred thousand and one",
    100_100: "one hundred thousand one hundred",
    999_999: "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- numbers in words


@pytest.mark.parametrize(("language", "table"), [("french", FRENCH), ("english", ENGLISH)])
def test_numbers_are_spelled_as_written_by_hand(language, table):
    assert {number: datasets.spell_number(number, language) for number in table} == table


SMALL_FRENCH = {word: number for number, word in FRENCH.items() if number < 70 and word.isalpha()}
SMALL_FRENCH |= dict(zip("deux trois quatre cinq six huit neuf".split(), (2, 3, 4, 5, 6, 8, 9), strict=True))
SMALL_FRENCH |= dict(
    zip("douze treize quatorze quinze quarante cinquante".split(), (12, 13, 14, 15, 40, 50), strict=True)
)
SMALL_ENGLISH = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
SMALL_ENGLISH = {word: number for number, word in enumerate(SMALL_ENGLISH.split())}
SMALL_ENGLISH |= {"seventeen": 17, "eighteen": 18, "nineteen": 19}
SMALL_ENGLISH |= {word: 20 + 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty".split())}
SMALL_ENGLISH["ninety"] = 90


def value(tokens: list[str], thousand: str, hundred: str, small: dict[str, int]) -> int:
    """The number that words stand for, by rules of their own: the check goes the other way round."""
    for word, factor in ((thousand, 1000), (hundred, 100)):
        if word in tokens:
            cut = tokens.index(word)
            head, tail = tokens[:cut], tokens[cut + 1 :]
            return factor * (value(head, thousand, hundred, small) or 1) + value(tail, thousand, hundred, small)
    if tokens[:2] == ["quatre", "vingt"]:
        return 80 + value(tokens[2:], thousand, hundred, small)
    return sum(small[token] for token in tokens if token not in ("et", "and"))


def french_value(tokens: list[str]) -> int:
    singular = [token.removesuffix("s") if token in ("cents", "vingts") else token for token in tokens]
    return value(singular, "mille", "cent", SMALL_FRENCH)


def english_value(tokens: list[str]) -> int:
    return value(tokens, "thousand", "hundred", SMALL_ENGLISH)


def test_the_parts_hold_each_number_once_and_its_words_can_be_read_back():
    pairs = [pair for part in PARTS for pair in datasets.number_words(part)]
    values = [(english_value(source), french_value(target)) for source, target in pairs]
    assert sorted(values) == [(number, number) for number in range(10_000)]


@pytest.mark.parametrize(("language", "read"), [("english", english_value), ("french", french_value)])
def test_no_two_numbers_below_a_million_have_the_same_words(language, read):
    numbers = {*range(0, 1_000_000, 1000), *range(80, 1_000_000, 1000), *range(0, 1_000_000, 97), 999_999}
    for number in numbers:
        assert read(datasets.spell_number(number, language).replace("-", " ").split()) == number


def test_words_are_tokens_without_hyphens_and_few():
    pairs = datasets.number_words(high=999_999, pairs=20_000)
    sizes = [len({word for pair in pairs for word in pair[side]}) for side in (0, 1)]
    assert sizes == [30, 26]  # the docstring's, without "zero": it is one number among a million
    assert all(word.isalpha() for pair in pairs for side in pair for word in side)
    assert [max(len(pair[side]) for pair in pairs) for side in (0, 1)] == [11, 13]


def test_the_parts_of_the_numbers_depend_on_the_seed_alone():
    small = {part: datasets.number_words(part, high=999) for part in PARTS}
    large = {part: datasets.number_words(part, high=9_999) for part in PARTS}
    assert sum(map(len, small.values())) == 1000
    assert [round(len(large[part]) / 1000) for part in PARTS] == [8, 1, 1]
    for part in PARTS:
        assert all(pair in large[part] for pair in small[part])
        assert datasets.number_words(part, high=999, pairs=11) == small[part][:11]
    assert datasets.number_words(high=999) == small["train"]
    other = datasets.number_words("test", high=999, seed=1)
    assert other != small["test"]
    spelled = [" ".join(source) for source, _ in other]
    assert spelled != sorted(spelled)  # shuffled


def test_a_range_of_one_number_is_a_range():
    pairs = [pair for part in PARTS for pair in datasets.number_words(part, low=97, high=97)]
    assert pairs == [(["ninety", "seven"], ["quatre", "vingt", "dix", "sept"])]


@pytest.mark.bad_input
def test_number_words_name_a_bad_argument():
    for arguments, message in [
        ({"split": "dev"}, "split: expected one of 'train', 'validation', 'test'; got 'dev'"),
        ({"low": -1}, "low: .*got -1"),
        ({"low": 7, "high": 5}, r"high: expected a number in \[7, .*got 5"),
        ({"high": 1_000_000}, "high: .*got 1000000"),
        ({"pairs": 0}, "pairs: .*got 0"),
        ({"pairs": 10_001}, r"pairs: expected a number in \[1, 80..\]; got 10001"),
    ]:
        with pytest.raises(ValueError, match=message):
            datasets.number_words(**arguments)
    with pytest.raises(ValueError, match=r"number: .*got 1000000"):
        datasets.spell_number(1_000_000)
    with pytest.raises(TypeError, match=r"number: expected a whole number; got 1\.5"):
        datasets.spell_number(1.5)
    with pytest.raises(TypeError, match="pairs: expected a whole number; got 'all'"):
        datasets.number_words(pairs="all")
    with pytest.raises(ValueError, match="language: expected one of 'english', 'french'; got 'latin'"):
        datasets.spell_number(1, "latin")


def test_numbers_of_all_lengths_take_turns():
    whole = {split: datasets.number_words(split, high=999, even_lengths=True) for split in PARTS}
    for split, pairs in whole.items():
        assert sorted(pairs) == sorted(datasets.number_words(split, high=999))
    spelled = {" ".join(datasets.spell_number(n).replace("-", " ").split()): len(str(n)) for n in range(1_000)}
    turns = [spelled[" ".join(english)] for english, _ in whole["train"]]
    ones, twos = turns.count(1), turns.count(2)
    assert turns[: 3 * ones] == [1, 2, 3] * ones
    assert turns[3 * ones : 3 * ones + 2 * (twos - ones)] == [2, 3] * (twos - ones)
    assert set(turns[3 * ones + 2 * (twos - ones) :]) == {3}
    assert datasets.number_words("train", pairs=7, high=999, even_lengths=True) == whole["train"][:7]


# ----------------------------------------------------------------------------------------------------------- Tatoeba

ROWS = [
    ("Stop!", "Arrête-toi\u202f!"),
    ("Stop!", "Arrêtez !"),
    ("stop.", "Ça suffit\u00a0!"),
    ("I don't know.", "Je n’en sais rien."),
    ("I don't know.", "Je n'en sais rien."),
    ("It’s 2:30 p.m., Tom's friend said.", "C'est l'heure, dit-il aujourd'hui."),
    ("He's got $10,000 - or 3.5%...", "A-t-elle « peut-être » raison\u2009?"),
    ("We'll see the part-time doctor’s car.", unicodedata.normalize("NFD", "Où êtes-vous, mémé\u200b ?")),
]
TOKENS = {
    "stop !": {"arrête -toi !", "arrêtez !"},
    "stop .": {"ça suffit !"},
    "i do n't know .": {"je n' en sais rien ."},
    "it 's 2:30 p . m . , tom 's friend said .": {"c' est l' heure , dit -il aujourd'hui ."},
    "he 's got $ 10,000 - or 3.5 % ...": {"a -t-elle « peut-être » raison ?"},
    "we 'll see the part-time doctor 's car .": {"où êtes -vous , mémé ?"},
}


@pytest.fixture
def own(monkeypatch, tmp_path):
    """A folder of the reader's, into which a test puts a text under its published name."""

    def put(name: str, text: str) -> None:
        source = files.SOURCES[name]
        (file,) = source.files
        sums = {file: hashlib.sha256(text.encode()).hexdigest()}
        monkeypatch.setitem(files.SOURCES, name, source._replace(files=sums))
        path = tmp_path / source.folder / f"{file}.gz"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(text.encode()))

    monkeypatch.setenv("DLBOOK_DATA", str(tmp_path))
    return put


def written(rows: list[tuple[str, str]]) -> str:
    return "".join(f"{source}\t{target}\n" for source, target in rows)


def joined(pairs: list[datasets.Pair]) -> list[tuple[str, str]]:
    return [(" ".join(source), " ".join(target)) for source, target in pairs]


def words(sentence: str) -> str:
    return " ".join(re.findall(r"\w+", sentence))


def test_sentences_are_normalised_cut_and_counted_once(own):
    own("tatoeba", written(ROWS))
    pairs = [pair for part in PARTS for pair in joined(datasets.tatoeba(part))]
    assert len(pairs) == 7
    found: dict[str, set[str]] = {}
    for source, target in pairs:
        found.setdefault(source, set()).add(target)
    assert found == TOKENS


def test_translations_of_one_sentence_stay_together(own):
    rows = [(f"Word{i % 600}{'.!?'[i // 600]}", f"mot {i}") for i in range(1800)]
    own("tatoeba", written(rows))
    parts = {part: joined(datasets.tatoeba(part)) for part in PARTS}
    assert [round(len(parts[part]) / 180) for part in PARTS] == [8, 1, 1]
    assert sum(map(len, parts.values())) == 1800
    seen = [{words(source) for source, _ in parts[part]} for part in PARTS]
    assert sum(map(len, seen)) == 600
    for pairs in parts.values():
        changes = sum(words(a[0]) != words(b[0]) for a, b in pairwise(pairs))
        assert changes + 1 == len({words(source) for source, _ in pairs})
    assert parts["train"] != sorted(parts["train"])


def test_the_split_does_not_depend_on_the_limits_or_the_rest_of_the_file(own, monkeypatch):
    rows = [(f"{'very ' * (i % 5)}good {i}", f"{'très ' * (i % 3)}bien {i}") for i in range(500)]
    own("tatoeba", written(rows))
    everything = datasets.tatoeba("test")
    short = datasets.tatoeba("test", max_length=4)
    assert short == [pair for pair in everything if max(map(len, pair)) <= 4]
    assert 0 < len(short) < len(everything)
    assert datasets.tatoeba("test", pairs=5) == everything[:5]
    assert datasets.tatoeba("test", max_length=4, pairs=3) == short[:3]


@pytest.mark.bad_input
def test_tatoeba_names_a_bad_argument(own):
    own("tatoeba", written([(f"good {i}", f"bien {i}") for i in range(97)]))
    for arguments, message in [
        ({"split": "dev"}, "split: expected one of 'train', 'validation', 'test'; got 'dev'"),
        ({"max_length": 0}, "max_length: .*got 0"),
        ({"pairs": 0}, "pairs: .*got 0"),
        ({"pairs": 98}, r"pairs: expected a number in \[1, ..\]; got 98"),
    ]:
        with pytest.raises(ValueError, match=message):
            datasets.tatoeba(**arguments)


@pytest.mark.skipif("DLBOOK_DATA" not in os.environ, reason="DLBOOK_DATA names no folder with the real files")
def test_the_real_sentences():
    if not datasets.available("tatoeba"):
        pytest.skip("DLBOOK_DATA does not hold tatoeba")
    parts = {part: datasets.tatoeba(part) for part in PARTS}
    assert [len(parts[part]) for part in PARTS] == [133_576, 16_726, 16_617]
    sources = [{words(" ".join(source)) for source, _ in parts[part]} for part in PARTS]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    assert (["it", "'s", "not", "real", "."], ["ce", "n'", "est", "pas", "vrai", "."]) in parts["test"]
    assert all(source and target for pairs in parts.values() for source, target in pairs)


# ------------------------------------------------------------------------------------------------------- Shakespeare


def test_shakespeare_is_cut_by_position(own):
    text = "".join(f"LORD {i}:\nSpeak, é.\n\n" for i in range(37))
    own("shakespeare", text)
    train, validation = datasets.shakespeare("train"), datasets.shakespeare("validation")
    assert datasets.shakespeare() == train + validation == text
    assert len(train) == int(0.9 * len(text))


@pytest.mark.bad_input
def test_shakespeare_names_a_bad_split(own):
    own("shakespeare", "To be")
    with pytest.raises(ValueError, match="split: expected one of 'all', 'train', 'validation'; got 'test'"):
        datasets.shakespeare("test")


@pytest.mark.skipif("DLBOOK_DATA" not in os.environ, reason="DLBOOK_DATA names no folder with the real files")
def test_the_real_plays():
    if not datasets.available("shakespeare"):
        pytest.skip("DLBOOK_DATA does not hold shakespeare")
    text = datasets.shakespeare()
    assert (len(text), len(set(text)), text.count("\n")) == (1_115_394, 65, 40_000)
    assert len(datasets.shakespeare("train")) == 1_003_854
    assert text.startswith("First Citizen:\nBefore we proceed")
