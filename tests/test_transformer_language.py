"""The decoder-only language model: against torch's blocks, causality, and step by step with a cache."""

import math

import pytest
import torch
from torch import nn

from dlbook.attention import sinusoidal_positions
from dlbook.transformer import KeyValueCache, LanguageModel

BATCH, TIME, WORDS, MODEL, HEADS, WIDTH = 3, 7, 11, 10, 2, 13


def build(device, **options):
    torch.manual_seed(0)
    options = {"dropout": 0.0} | options
    return LanguageModel(WORDS, MODEL, HEADS, 2, WIDTH, **options).to(device, torch.float64).eval()


def tokens(device):
    return torch.randint(WORDS, (BATCH, TIME), generator=torch.Generator().manual_seed(1)).to(device)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
def test_it_is_torchs_encoder_between_an_embedding_and_an_output_layer(device, norm_first, causal):
    model, text = build(device, norm_first=norm_first, causal=causal), tokens(device)
    options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": norm_first}
    where = {"dtype": torch.float64, "device": device}
    block = nn.TransformerEncoderLayer(MODEL, HEADS, WIDTH, **options, **where)
    peer = nn.TransformerEncoder(block, 2, nn.LayerNorm(MODEL, **where) if norm_first else None)
    peer.load_state_dict(model.blocks.state_dict())
    words = model.embedding.weight[text] * math.sqrt(MODEL)
    words = words + sinusoidal_positions(TIME, MODEL, **where)
    mask = nn.Transformer.generate_square_subsequent_mask(TIME, **where) if causal else None
    expected = peer(words, mask=mask) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(text), expected.mT)


def test_a_later_token_changes_nothing_before_it_unless_the_model_may_look_ahead(device):
    text = tokens(device)
    other = text.clone()
    other[:, 4] = (other[:, 4] + 1) % WORDS
    model = build(device)
    changed = (model(text) - model(other)).abs().amax(dim=(0, 1)) > 0
    assert changed.tolist() == [False] * 4 + [True] * 3
    model = build(device, causal=False)
    assert ((model(text) - model(other)).abs().amax(dim=(0, 1)) > 0).all()


@pytest.mark.parametrize("pieces", [[1] * TIME, [3, 1, 3], [TIME]])
def test_with_a_cache_the_scores_are_those_of_the_whole_text(device, pieces):
    model, text, cache = build(device), tokens(device), KeyValueCache()
    expected, end = model(text).log_softmax(1), 0
    for piece in pieces:
        log_probs, cache = model.step(text[:, end : end + piece], cache)
        end += piece
        torch.testing.assert_close(log_probs, expected[..., end - 1])
    assert cache.length == TIME


def test_the_copied_blocks_differ_and_tied_weights_are_one(device):
    model = build(device, tie_weights=True)
    first, second = (layer.linear1.weight for layer in model.blocks.layers)
    assert not torch.equal(first, second)
    assert model.output.weight is model.embedding.weight
    model(tokens(device)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.bad_input
def test_errors_name_the_argument(device):
    with pytest.raises(ValueError, match="vocabulary_size"):
        LanguageModel(0)
    with pytest.raises(ValueError, match="num_heads"):
        LanguageModel(WORDS, 10, 3)
    with pytest.raises(ValueError, match="tokens: expected"):
        build(device)(torch.zeros(4, dtype=torch.long, device=device))
    with pytest.raises(ValueError, match="causal: expected"):
        build(device, causal=False).step(tokens(device), KeyValueCache())
