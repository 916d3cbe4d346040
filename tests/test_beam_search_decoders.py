"""Beam search over decoders, with caches that follow the hypotheses or stay put, and beside transformers'."""

import pytest
import torch

from dlbook.beam_search import Ancestry, beam_search, greedy_search, sample, sampling_distribution
from dlbook.transformer import (
    KeyValueCache,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

BATCH, SOURCE, MODEL, HEADS, WORDS = 3, 5, 14, 2, 17


class Translator:
    """A decoder with random weights, and the steps with which it can be searched."""

    def __init__(self, device="cpu"):
        where = {"device": device, "dtype": torch.float64}
        layer = TransformerDecoderLayer(MODEL, HEADS, 19, batch_first=True, **where)
        self.decoder = TransformerDecoder(layer, 2).eval()
        for parameter in self.decoder.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        self.words = torch.randn(WORDS, MODEL, **where)
        self.positions = torch.randn(31, MODEL, **where)
        self.memory = torch.randn(BATCH, SOURCE, MODEL, **where)
        self.padding = torch.arange(SOURCE, device=device) >= torch.tensor([[5], [3], [4]], device=device)
        self.start = torch.zeros(BATCH, dtype=torch.long, device=device)

    def log_probs(self, x):
        return torch.log_softmax(x @ self.words.T, dim=-1)

    def anew(self, tokens, state):
        """No cache: everything said goes through the decoder again."""
        said, memory, padding = state
        said = torch.cat([said, tokens[:, None]], 1)
        n = said.shape[1]
        future = torch.ones(n, n, dtype=torch.bool, device=said.device).triu(1)
        x = self.words[said] + self.positions[:n]
        x = self.decoder(x, memory, tgt_mask=future, memory_key_padding_mask=padding)
        return self.log_probs(x[:, -1]), (said, memory, padding)

    def cached(self, tokens, state):
        cache, memory, padding = state
        x = self.words[tokens][:, None] + self.positions[cache.length]
        x = self.decoder(x, memory, memory_key_padding_mask=padding, cache=cache)
        return self.log_probs(x[:, 0]), (cache, memory, padding)

    def pooled(self):
        """A step whose cache is one pool a sentence, which never moves."""
        cache = KeyValueCache()

        def step(tokens, state):
            position = self.positions[state.places.shape[1]]
            state, visible = state.extend()
            x = self.words[tokens].unflatten(0, (BATCH, -1)) + position
            hidden = ~visible.repeat_interleave(HEADS, 0)
            x = self.decoder(x, self.memory, tgt_mask=hidden, memory_key_padding_mask=self.padding, cache=cache)
            return self.log_probs(x.flatten(0, 1)), state

        return step

    def states(self):
        """The first states of the three steps."""
        said = torch.zeros(BATCH, 0, dtype=torch.long, device=self.start.device)
        return (said, self.memory, self.padding), (KeyValueCache(), self.memory, self.padding)


def same(ours, other):
    assert torch.equal(ours.tokens, other.tokens)
    torch.testing.assert_close(ours.scores, other.scores)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"end": 1, "n_best": 4, "length_penalty": 0.7, "min_length": 4}])
def test_a_decoder_finds_the_same_with_either_cache_as_without(device, options):
    model = Translator(device)
    said, cache = model.states()
    options = {"width": 5, "max_length": 11, **options}
    anew = beam_search(model.anew, model.start, said, **options)
    same(beam_search(model.cached, model.start, cache, **options), anew)
    same(beam_search(model.pooled(), model.start, Ancestry(BATCH, device), **options), anew)
    assert bool((anew.scores[:, 0] >= greedy_search(model.anew, model.start, said, max_length=11).scores[:, 0]).any())


@torch.no_grad()
def test_samples_of_a_decoder_with_either_cache(device):
    model = Translator(device)
    said, cache = model.states()
    drawn = [
        sample(step, model.start, state, max_length=7, num_samples=2, generator=torch.Generator(device).manual_seed(1))
        for step, state in ((model.anew, said), (model.cached, cache), (model.pooled(), Ancestry(BATCH, device)))
    ]
    same(drawn[1], drawn[0])
    same(drawn[2], drawn[0])


@torch.no_grad()
def test_a_prompt_goes_into_the_cache_first():
    """A language model: an encoder with a cache, which has read all of the prompt but its last token."""
    layer = TransformerEncoderLayer(MODEL, HEADS, 19, batch_first=True, dtype=torch.float64)
    model, words = TransformerEncoder(layer, 2).eval(), torch.randn(WORDS, MODEL, dtype=torch.float64)
    prompt = torch.randint(WORDS, (BATCH, 4))

    def step(tokens, cache):
        return torch.log_softmax(model(words[tokens][:, None], cache=cache)[:, 0] @ words.T, 1), cache

    cache = KeyValueCache()
    model(words[prompt[:, :-1]], cache=cache)
    found = beam_search(step, prompt[:, -1], cache, width=3, max_length=5)
    whole = torch.cat([prompt, found.tokens[:, 0]], 1)
    future = torch.ones(9, 9, dtype=torch.bool).triu(1)
    log_probs = torch.log_softmax(model(words[whole], mask=future) @ words.T, 2)[:, 3:-1]
    torch.testing.assert_close(log_probs.gather(2, found.tokens[:, 0, :, None]).sum((1, 2)), found.log_probs[:, 0])


def test_ancestors_by_hand():
    ancestry, visible = Ancestry(2).extend()
    assert visible.tolist() == [[[True]], [[True]]]
    # Two hypotheses for each of the two sentences; in the second step, the second sentence's both descend from its 1st.
    ancestry, visible = ancestry.reorder(torch.tensor([0, 0, 1, 1])).extend()
    assert visible.int().tolist() == [[[1, 1, 0], [1, 0, 1]]] * 2
    ancestry, visible = ancestry.reorder(torch.tensor([1, 0, 2, 2])).extend()
    assert visible[0].int().tolist() == [[1, 0, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert visible[1].int().tolist() == [[1, 1, 0, 1, 0], [1, 1, 0, 0, 1]]
    assert (ancestry.size, ancestry.places.tolist()) == (5, [[0, 2, 3], [0, 1, 4], [0, 1, 3], [0, 1, 4]])


# beside transformers


@pytest.fixture(scope="module")
def language_model():
    """A tiny language model of transformers, in float64, whose words differ enough for a beam to matter."""
    transformers = pytest.importorskip("transformers", reason="transformers, of the extra bench, is not installed")
    torch.manual_seed(0)
    sizes = {"vocab_size": WORDS, "n_positions": 32, "n_embd": 12, "n_layer": 2, "n_head": 3}
    config = transformers.GPT2Config(**sizes, initializer_range=1.0, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    return transformers.GPT2LMHeadModel(config).double().eval()


def steps_of(model):
    def step(tokens, said):
        said = torch.cat([said, tokens[:, None]], 1)
        return torch.log_softmax(model(said).logits[:, -1], 1), said

    return step


@torch.no_grad()
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -0.7])
@pytest.mark.parametrize(("early_stopping", "stop"), [("never", "exact"), (True, "full")])
@pytest.mark.parametrize(("width", "n_best"), [(2, 1), (4, 3), (7, 7)])
def test_transformers_finds_the_same(language_model, length_penalty, early_stopping, stop, width, n_best):
    start = torch.tensor([3, 5, 11])
    theirs = language_model.generate(
        start[:, None],
        attention_mask=torch.ones(3, 1, dtype=torch.long),
        num_beams=width,
        num_return_sequences=n_best,
        max_new_tokens=13,
        min_new_tokens=2,
        length_penalty=length_penalty,
        early_stopping=early_stopping,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    options = {"width": width, "n_best": n_best, "max_length": 13, "min_length": 3, "end": 1, "pad": 2, "stop": stop}
    said = torch.zeros(3, 0, dtype=torch.long)
    ours = beam_search(steps_of(language_model), start, said, length_penalty=length_penalty, **options)
    assert torch.equal(ours.tokens.flatten(0, 1), theirs.sequences[:, 1:])
    # Theirs are added up in float32.
    torch.testing.assert_close(ours.scores.flatten().float(), theirs.sequences_scores, rtol=1e-5, atol=1e-5)
    if n_best == 7 and length_penalty < 2:
        assert len(set(ours.lengths.flatten().tolist())) > 2


@pytest.mark.parametrize("options", [{"temperature": 0.6}, {"top_k": 5}, {"top_p": 0.7}, {"top_k": 7, "top_p": 0.5}])
def test_transformers_cuts_distributions_the_same_way(options):
    process = pytest.importorskip("transformers.generation.logits_process", reason="transformers is not installed")
    logits = torch.randn(23, 29, dtype=torch.float64)
    theirs = logits
    for name, kind in (
        ("temperature", process.TemperatureLogitsWarper),
        ("top_k", process.TopKLogitsWarper),
        ("top_p", process.TopPLogitsWarper),
    ):
        if name in options:
            theirs = kind(options[name])(None, theirs)
    torch.testing.assert_close(sampling_distribution(logits, **options).exp(), theirs.softmax(1))
