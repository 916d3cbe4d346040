"""Vocabularies, batches of sentence pairs, and translating with any translator."""

import json
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlbook import training
from dlbook.losses import cross_entropy
from dlbook.seq2seq import (
    BOS,
    EOS,
    PAD,
    UNK,
    Batch,
    Seq2Seq,
    TransformerTranslator,
    Vocabulary,
    batches,
    encode_pairs,
    scheduled_sampling,
    translate,
)

SENTENCES = [["the", "cat", "sat"], ["the", "cat"], ["the", "dog", "sat", "down"]]
WORDS = st.text(min_size=1).filter(lambda word: word not in ("<pad>", "<unk>", "<bos>", "<eos>"))


def test_words_are_numbered_by_count_then_alphabet():
    vocabulary = Vocabulary(SENTENCES)
    assert vocabulary.tokens == ["<pad>", "<unk>", "<bos>", "<eos>", "the", "cat", "sat", "dog", "down"]
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert vocabulary == Vocabulary(reversed(SENTENCES))
    assert vocabulary != Vocabulary(SENTENCES[:2])
    assert len(vocabulary) == 9
    assert "dog" in vocabulary
    assert "cow" not in vocabulary
    assert repr(vocabulary) == "Vocabulary(9 tokens)"


def test_rare_words_are_left_out():
    assert Vocabulary(SENTENCES, min_count=2).tokens[4:] == ["the", "cat", "sat"]
    assert Vocabulary(SENTENCES, max_size=6).tokens[4:] == ["the", "cat"]
    assert Vocabulary(SENTENCES, min_count=3, max_size=6).tokens[4:] == ["the"]
    assert len(Vocabulary([], max_size=4)) == 4


def test_unknown_words_and_special_tokens():
    vocabulary = Vocabulary(SENTENCES)
    assert vocabulary.encode(["the", "cow", "<unk>", "<eos>"]) == [4, UNK, UNK, EOS]
    assert vocabulary.decode([BOS, 4, UNK, PAD, 5, EOS, 6]) == ["the", "<unk>", "cat"]
    assert vocabulary.decode(torch.tensor([4, 5])) == ["the", "cat"]
    assert vocabulary.decode([]) == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(WORDS, max_size=7), min_size=1, max_size=5))
def test_what_is_encoded_can_be_decoded(sentences):
    vocabulary = Vocabulary(sentences)
    assert [vocabulary.decode(vocabulary.encode(sentence)) for sentence in sentences] == sentences
    rows = vocabulary.encode_batch(sentences, bos=True, eos=True)
    assert vocabulary.decode_batch(rows) == sentences
    assert (rows != PAD).sum(1).tolist() == [len(sentence) + 2 for sentence in sentences]


def test_a_batch_is_filled_up(device):
    vocabulary = Vocabulary(SENTENCES)
    rows = vocabulary.encode_batch(SENTENCES[:2], eos=True, device=device)
    assert torch.equal(rows, torch.tensor([[4, 5, 6, EOS], [4, 5, EOS, PAD]], device=device))
    assert vocabulary.encode_batch(SENTENCES[1:2], bos=True).tolist() == [[BOS, 4, 5]]
    assert vocabulary.encode_batch([]).shape == (0, 0)
    assert vocabulary.encode_batch([[]]).shape == (1, 0)


def test_a_vocabulary_goes_to_a_file_and_back(tmp_path):
    vocabulary = Vocabulary([["été", "line\nbreak", '"']])
    vocabulary.save(tmp_path / "words.json")
    assert Vocabulary.load(tmp_path / "words.json") == vocabulary
    assert "été" in (tmp_path / "words.json").read_text(encoding="utf-8")


def numbers(count, seed=0):
    """Pairs to learn from: the target is the source backwards, in other words."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for _ in range(count):
        length = int(torch.randint(1, 8, (), generator=generator))
        digits = torch.randint(0, 5, (length,), generator=generator).tolist()
        pairs.append(([f"x{d}" for d in digits], [f"y{d}" for d in reversed(digits)]))
    return pairs


def vocabularies(pairs):
    return Vocabulary(x for x, _ in pairs), Vocabulary(y for _, y in pairs)


def test_the_target_comes_as_it_is_read_and_as_it_is_written(device):
    pairs = numbers(11)
    words = vocabularies(pairs)
    batch = encode_pairs(pairs, *words, device=device)
    assert isinstance(batch, Batch)
    assert {tensor.device.type for tensor in batch} == {device.type}
    assert words[0].decode_batch(batch.source) == [x for x, _ in pairs]
    assert words[1].decode_batch(batch.target_out) == [y for _, y in pairs]
    assert (batch.target_in[:, 0] == BOS).all()
    # One word ahead: what is read at a step is what was to be written at the step before.
    read, written = batch.target_in[:, 1:], batch.target_out[:, :-1]
    assert torch.equal(read, written.masked_fill(written == EOS, PAD))
    lengths = torch.tensor([len(y) + 1 for _, y in pairs], device=device)
    assert torch.equal((batch.target_in != PAD).sum(1), lengths)
    assert torch.equal((batch.target_out != PAD).sum(1), lengths)
    assert ((batch.source == EOS).sum(1) == 1).all()


def test_an_epoch_holds_every_pair_once_among_others_of_its_length():
    pairs = numbers(53)
    words = vocabularies(pairs)

    first = [
        list(zip(words[0].decode_batch(batch.source), words[1].decode_batch(batch.target_out), strict=True))
        for batch in batches(pairs, *words, 7, seed=1)
    ]
    assert sorted(map(len, first)) == [4, *[7] * 7]
    assert sorted(pair for batch in first for pair in batch) == sorted(pairs)
    spans = sorted((min(len(x) for x, _ in batch), max(len(x) for x, _ in batch)) for batch in first)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_seed_settles_the_order():
    pairs = numbers(53)
    words = vocabularies(pairs)

    def epoch(seed):
        return [batch.source.tolist() for batch in batches(pairs, *words, 7, seed=seed)]

    torch.manual_seed(1)
    first = epoch(0)
    state = torch.get_rng_state()
    assert epoch(0) == first
    assert epoch(1) != first
    assert torch.equal(torch.get_rng_state(), state)


TRANSLATORS = {
    "recurrent": lambda sizes: Seq2Seq(*sizes, hidden_size=32),
    "attention": lambda sizes: Seq2Seq(*sizes, hidden_size=32, attention="additive", bidirectional=True),
    "Transformer": lambda sizes: TransformerTranslator(*sizes, d_model=32, num_layers=1, dropout=0.0),
}


@pytest.mark.parametrize("make", TRANSLATORS.values(), ids=TRANSLATORS)
def test_each_translator_learns_a_small_set_by_heart(device, make):
    pairs = numbers(13, seed=3)
    words = vocabularies(pairs)
    model = make(tuple(map(len, words))).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def loss(outputs, targets):
        return cross_entropy(outputs, targets, ignore_index=PAD)

    history = training.fit(model, encode_pairs(pairs, *words, device), loss, optimizer, epochs=80, batch_size=13)
    assert history["train_loss"][-1] < 0.1
    sources, targets = [list(side) for side in zip(*pairs, strict=True)]
    assert translate(model, sources, *words, max_length=9) == targets
    assert translate(model, sources, *words, max_length=9, batch_size=3) == targets
    assert translate(model, sources, *words, max_length=1) == [target[:1] for target in targets]


def test_the_same_seed_trains_the_same_model():
    pairs = numbers(13)
    words = vocabularies(pairs)

    def train():
        torch.manual_seed(5)
        model = Seq2Seq(*map(len, words), hidden_size=8, attention="dot_product", dropout=0.3)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for epoch in range(3):
            for source, target_in, target_out in batches(pairs, *words, 5, seed=epoch):
                optimizer.zero_grad()
                cross_entropy(model(source, target_in), target_out, ignore_index=PAD).backward()
                optimizer.step()
        return list(model.parameters())

    assert all(map(torch.equal, train(), train()))


def test_translate_uses_the_search_it_is_given_and_leaves_the_mode_alone():
    pairs = numbers(5)
    words = vocabularies(pairs)
    model = Seq2Seq(*map(len, words), hidden_size=8).train()
    seen = []

    def search(step, state, tokens):
        log_probs, _ = step(tokens, state)
        assert not torch.is_grad_enabled()
        assert not model.training
        assert log_probs.shape == (len(tokens), len(words[1]))
        seen.extend(tokens.tolist())
        return torch.tensor([[4, 5, EOS, 6]]).expand(len(tokens), -1)

    found = translate(model, [x for x, _ in pairs], *words, search=search, batch_size=2)
    assert found == [words[1].tokens[4:6]] * 5
    assert seen == [BOS] * 5
    assert model.training
    assert translate(model, [], *words) == []


def test_scheduled_sampling_reads_the_right_words_or_its_own(device):
    source, target_in = torch.tensor([[5, 6, EOS]] * 7), torch.tensor([[BOS, 4, 8, 6, 5]] * 7)
    source, target_in = source.to(device), target_in.to(device)
    model = Seq2Seq(9, 11, hidden_size=8).to(device).double()
    forced = model(source, target_in).log_softmax(1)
    torch.testing.assert_close(scheduled_sampling(model, source, target_in, 1.0), forced)
    # On its own words alone it does what greedy translation does.
    alone = scheduled_sampling(model, source, target_in, 0.0)
    own = torch.cat([target_in[:, :1], alone.argmax(1)[:, :-1]], dim=1)
    torch.testing.assert_close(alone, model(source, own).log_softmax(1))
    mixed = scheduled_sampling(model, source, target_in, 0.5)
    assert not torch.allclose(mixed, forced)
    assert not torch.allclose(mixed, alone)
    mixed.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


PAIRS = [(["a"], ["b"])]
WORD = Vocabulary([["a", "b"]])
MODEL = Seq2Seq(6, 6, hidden_size=2)


def saved(tmp_path, content):
    (tmp_path / "words.json").write_text(content)
    return tmp_path / "words.json"


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda _: Vocabulary(["the cat"]),
            TypeError,
            "sentences: expected a list of tokens for each sentence; got str",
        ),
        (lambda _: Vocabulary([3]), TypeError, "sentences: expected a list of tokens for each sentence; got int"),
        (lambda _: Vocabulary([[3]]), TypeError, "tokens: expected strings; got int"),
        (lambda _: Vocabulary([["<eos>"]]), ValueError, "tokens: expected words other than the special .*'<eos>'"),
        (lambda _: Vocabulary([["a"]], min_count=0), ValueError, "min_count: expected at least 1; got 0"),
        (lambda _: Vocabulary([["a"]], max_size=3), ValueError, "max_size: expected at least 4; got 3"),
        (lambda _: Vocabulary([["a"]], max_size=9.5), TypeError, "max_size: expected a whole number; got 9.5"),
        (lambda _: WORD.encode("a"), TypeError, "tokens: expected a list of tokens"),
        (lambda _: WORD.decode([6]), ValueError, "ids: expected numbers from 0 to 5; got 6"),
        (lambda _: WORD.decode(torch.zeros(2, 3)), ValueError, r"ids: expected shape \(time,\)"),
        (lambda _: WORD.decode_batch([4]), TypeError, "ids: expected a torch.Tensor"),
        (lambda _: WORD.decode_batch(torch.zeros(3)), ValueError, r"ids: expected shape \(batch, time\)"),
        (lambda _: WORD.encode_batch("a"), TypeError, "sentences: expected a list of sentences; got str"),
        (lambda _: WORD.encode_batch(["a"]), TypeError, "sentences: expected a list of tokens"),
        (
            lambda path: Vocabulary.load(saved(path, "no")),
            ValueError,
            "path: expected a file that Vocabulary.save wrote",
        ),
        (lambda path: Vocabulary.load(saved(path, "{}")), ValueError, "path: expected a list of words in .*; got dict"),
        (lambda path: Vocabulary.load(saved(path, '["a", "a"]')), ValueError, "tokens: expected every word once"),
        (lambda path: Vocabulary.load(saved(path, json.dumps([1]))), TypeError, "tokens: expected strings; got int"),
        (lambda _: encode_pairs([], WORD, WORD), ValueError, "pairs: expected at least one pair"),
        (lambda _: encode_pairs([(["a"],)], WORD, WORD), ValueError, "pairs: expected a source and a target"),
        (lambda _: encode_pairs([("a", ["b"])], WORD, WORD), TypeError, "sentences: expected a list of tokens"),
        (lambda _: batches(PAIRS, WORD, WORD, 0), ValueError, "batch_size: expected at least 1; got 0"),
        (lambda _: batches([], WORD, WORD), ValueError, "pairs: expected at least one pair"),
        (lambda _: translate(torch.nn.Identity(), [], WORD, WORD), TypeError, "model: expected a module with encode"),
        (lambda _: translate(MODEL, ["a"], WORD, WORD), TypeError, "sentences: expected a list of tokens"),
        (lambda _: translate(MODEL, [], WORD, WORD, max_length=0), ValueError, "max_length: expected at least 1"),
        (lambda _: translate(MODEL, [], WORD, WORD, batch_size=0), ValueError, "batch_size: expected at least 1"),
        (lambda _: scheduled_sampling(MODEL, [], []), TypeError, "target_in: expected a torch.Tensor; got list"),
        (
            lambda _: scheduled_sampling(MODEL, None, torch.zeros(1, 1), 1.5),
            ValueError,
            "teacher_forcing: expected",
        ),
    ],
)
def test_bad_input(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path)
