"""Transformer layers and models against torch's, and decoding with a cache against decoding without."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from dlbook import activations
from dlbook.transformer import (
    KeyValueCache,
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

BATCH, SOURCE, TARGET, MODEL, HEADS, HIDDEN = 2, 5, 7, 12, 3, 11
OPTIONS = [
    {},
    {"norm_first": True, "activation": "gelu"},
    {"batch_first": True, "bias": False},
    {"batch_first": True, "norm_first": True, "layer_norm_eps": 0.1, "activation": activations.softplus},
]
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")


def twins(name, device="cpu", **options):
    """Ours and torch's, with the same random parameters, without dropout."""
    options = {"dropout": 0.0, "dtype": torch.float64, "device": device} | options
    peers = options
    if callable(options.get("activation")):
        peers = options | {"activation": functional.softplus}
    if name == "Transformer":
        sizes = (MODEL, HEADS, 2, 3, HIDDEN)
        ours, peer = Transformer(*sizes, **options), nn.Transformer(*sizes, **peers)
    else:
        ours = globals()[name](MODEL, HEADS, HIDDEN, **options)
        peer = getattr(nn, name)(MODEL, HEADS, HIDDEN, **peers)
    for parameter in peer.parameters():
        nn.init.normal_(parameter, std=0.4)
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    return ours, peer


def sequences(module_options, device="cpu", batch=(BATCH,)):
    """A source and a target, as leaves."""
    made = [torch.randn(*batch, n, MODEL, dtype=torch.float64, device=device) for n in (SOURCE, TARGET)]
    if batch and not module_options.get("batch_first"):
        made = [x.transpose(0, 1) for x in made]
    return [x.requires_grad_() for x in made]


def future(n, device="cpu"):
    return torch.ones(n, n, dtype=torch.bool, device=device).triu(1)


def padding(n, device="cpu"):
    left_out = torch.zeros(BATCH, n, dtype=torch.bool, device=device)
    left_out[1, -2:] = True
    return left_out


def agree(ours, peer, inputs, **arguments):
    mine, torchs = ours(*inputs, **arguments), peer(*inputs, **arguments)
    torch.testing.assert_close(mine, torchs)
    upstream = torch.randn_like(torchs)
    a = torch.autograd.grad(mine, [*inputs, *ours.parameters()], upstream)
    b = torch.autograd.grad(torchs, [*inputs, *peer.parameters()], upstream)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_encoder_layer_is_torchs(device, options):
    ours, peer = twins("TransformerEncoderLayer", device, **options)
    source, _ = sequences(options, device)
    agree(ours, peer, [source])
    agree(ours, peer, [source], src_mask=future(SOURCE, device), is_causal=True)
    agree(ours, peer, [source], src_key_padding_mask=padding(SOURCE, device))
    added = torch.randn(BATCH * HEADS, SOURCE, SOURCE, dtype=torch.float64, device=device)
    agree(ours, peer, [source], src_mask=added)
    agree(ours, peer, sequences(options, device, ())[:1], src_mask=future(SOURCE, device))


@pytest.mark.parametrize("options", OPTIONS)
def test_the_decoder_layer_is_torchs(device, options):
    ours, peer = twins("TransformerDecoderLayer", device, **options)
    source, target = sequences(options, device)
    agree(ours, peer, [target, source])
    masks = {"tgt_mask": future(TARGET, device), "memory_mask": future(TARGET, device)[:, :SOURCE] & False}
    masks["memory_mask"][:, 3] = True
    agree(ours, peer, [target, source], **masks, tgt_is_causal=True)
    paddings = {"tgt_key_padding_mask": padding(TARGET, device), "memory_key_padding_mask": padding(SOURCE, device)}
    agree(ours, peer, [target, source], **paddings)
    agree(ours, peer, [target, source], **masks, **paddings)
    source, target = sequences(options, device, ())
    agree(ours, peer, [target, source], **masks)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_whole_model_is_torchs(device, options):
    ours, peer = twins("Transformer", device, **options)
    agree(ours, peer, sequences(options, device))
    agree(ours, peer, sequences(options, device, ()))
    agree(
        ours,
        peer,
        sequences(options, device),
        src_mask=torch.randn(SOURCE, SOURCE, dtype=torch.float64, device=device),
        tgt_mask=Transformer.generate_square_subsequent_mask(TARGET, device, torch.float64),
        memory_mask=torch.randn(TARGET, SOURCE, dtype=torch.float64, device=device),
    )
    arguments = {
        "tgt_mask": future(TARGET, device),
        "src_key_padding_mask": padding(SOURCE, device),
        "memory_key_padding_mask": padding(SOURCE, device),
        "tgt_key_padding_mask": padding(TARGET, device),
    }
    agree(ours, peer, sequences(options, device), **arguments, tgt_is_causal=True)
    inputs = sequences(options, device)
    torch.testing.assert_close(ours.eval()(*inputs), peer.eval()(*inputs))


def test_same_names_same_start_and_torchs_mask():
    torch.manual_seed(2)
    ours = Transformer(MODEL, HEADS, 2, 3, HIDDEN)
    torch.manual_seed(2)
    peer = nn.Transformer(MODEL, HEADS, 2, 3, HIDDEN)
    assert list(ours.state_dict()) == list(peer.state_dict())
    for (name, mine), torchs in zip(ours.named_parameters(), peer.parameters(), strict=True):
        assert torch.equal(mine, torchs), name
    assert torch.equal(
        Transformer.generate_square_subsequent_mask(5), nn.Transformer.generate_square_subsequent_mask(5)
    )


def test_the_papers_sizes():
    with torch.device("meta"):
        model = Transformer()
    assert sum(p.numel() for p in model.parameters()) == 44_140_544


def test_dropout_acts_in_training_only():
    ours, peer = twins("Transformer", dropout=0.3)
    inputs = sequences({})
    assert not torch.equal(ours(*inputs), ours(*inputs))
    torch.testing.assert_close(ours.eval()(*inputs), peer.eval()(*inputs))
    # With everything dropped, only the shortcut is left.
    x = torch.randn(SOURCE, BATCH, MODEL)
    for layer in (TransformerEncoderLayer, TransformerDecoderLayer):
        closed = layer(MODEL, HEADS, HIDDEN, dropout=1.0, norm_first=True)
        assert torch.equal(closed(x) if layer is TransformerEncoderLayer else closed(x, x), x)


def test_stacks_of_other_layers():
    encoder = TransformerEncoder(TransformerEncoderLayer(MODEL, HEADS, HIDDEN, dropout=0.0), 2)
    decoder = TransformerDecoder(TransformerDecoderLayer(MODEL, HEADS, HIDDEN, dropout=0.0), 2)
    model = Transformer(MODEL, HEADS, custom_encoder=encoder, custom_decoder=decoder)
    source, target = torch.randn(SOURCE, BATCH, MODEL), torch.randn(TARGET, BATCH, MODEL)
    torch.testing.assert_close(model(source, target), decoder(target, encoder(source)))
    # The layers are copies, not the same layer twice.
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight


@pytest.mark.parametrize("options", OPTIONS)
def test_decoding_with_a_cache_equals_decoding_without(device, options):
    ours, _ = twins("Transformer", device, **options)
    source, target = (x.detach() for x in sequences(options, device))
    time = 1 if options.get("batch_first") else 0
    hidden = padding(SOURCE, device)
    memory = ours.encoder(source, src_key_padding_mask=hidden)
    whole = ours.decoder(target, memory, tgt_mask=future(TARGET, device), memory_key_padding_mask=hidden)
    for sizes in ([1] * TARGET, [3, 1, 3], [TARGET]):
        cache = KeyValueCache()
        assert cache.length == 0
        parts = [
            ours.decoder(part, memory, memory_key_padding_mask=hidden, cache=cache)
            for part in target.split(sizes, dim=time)
        ]
        assert cache.length == TARGET
        torch.testing.assert_close(torch.cat(parts, dim=time), whole)


def test_an_encoder_with_a_cache_is_a_language_model():
    ours, _ = twins("Transformer", batch_first=True)
    words = torch.randn(BATCH, TARGET, MODEL, dtype=torch.float64)
    hidden = padding(TARGET).flip(1)
    mask = future(TARGET)
    whole = ours.encoder(words, mask=mask, src_key_padding_mask=hidden)
    cache, parts = KeyValueCache(), []
    for t in range(TARGET):
        parts.append(ours.encoder(words[:, t : t + 1], src_key_padding_mask=hidden[:, : t + 1], cache=cache))
    torch.testing.assert_close(torch.cat(parts, dim=1)[0], whole[0])
    # The second sentence begins with two padded positions, which nothing looks at.
    torch.testing.assert_close(torch.cat(parts, dim=1)[1, 2:], whole[1, 2:])


def test_a_reordered_cache_goes_on_with_the_other_sentence():
    ours, _ = twins("Transformer", batch_first=True)
    memory = torch.randn(3, SOURCE, MODEL, dtype=torch.float64)
    first, second = torch.randn(2, 3, 1, MODEL, dtype=torch.float64)
    order = torch.tensor([2, 0, 0])
    cache = KeyValueCache()
    ours.decoder(first, memory, cache=cache)
    moved = cache.reorder(order)
    mine = ours.decoder(second, memory[order], cache=moved)
    whole = ours.decoder(torch.cat([first[order], second], dim=1), memory[order], tgt_mask=future(2))
    torch.testing.assert_close(mine, whole[:, 1:])
    assert (cache.length, moved.length) == (1, 2)


@pytest.mark.parametrize("change", [lambda x: x + 100, lambda x: x * 1000, lambda x: x[:, :0]])
def test_extremes(device, change):
    ours, peer = twins("Transformer", device)
    inputs = [change(x.detach()) for x in sequences({}, device)]
    torch.testing.assert_close(ours(*inputs), peer(*inputs))


def test_bfloat16(device):
    ours, _ = twins("Transformer", device)
    inputs = [x.detach() for x in sequences({}, device)]
    wide, narrow = ours(*inputs), ours.bfloat16()(*[x.bfloat16() for x in inputs])
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.double(), wide, atol=0.15, rtol=0.1)


COMPILED = """
import torch
from dlbook.transformer import KeyValueCache, Transformer
ours = Transformer(12, 3, 1, 2, 11, batch_first=True).eval()
source, target = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
mask = ours.generate_square_subsequent_mask(7)
whole = torch.compile(ours, fullgraph=True, backend="eager")
torch.testing.assert_close(whole(source, target, tgt_mask=mask), ours(source, target, tgt_mask=mask))
"""


def test_compiles_whole():
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


X = torch.zeros(SOURCE, BATCH, MODEL)


def model(**options):
    return Transformer(MODEL, HEADS, 1, 1, HIDDEN, **options)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Transformer(MODEL, 5), ValueError, "embed_dim: expected a multiple of num_heads=5; got 12"),
        (lambda: Transformer(MODEL, HEADS, 0), ValueError, "num_layers: expected at least 1"),
        (lambda: model(activation="tanh"), ValueError, "activation: expected one of 'relu', 'gelu'"),
        (lambda: TransformerEncoderLayer(MODEL, HEADS, 0), ValueError, "dim_feedforward: expected at least 1"),
        (
            lambda: model()(X[..., :3], X),
            ValueError,
            "src: expected two or three dimensions, the last of them d_model=12",
        ),
        (lambda: model()(X, X[0, 0]), ValueError, "tgt: expected two or three dimensions"),
        (lambda: model()(X, X[:, :1]), ValueError, "tgt: expected a batch of 2, as src; got 1"),
        (lambda: model()(X, X, src_mask=future(3)), ValueError, r"attn_mask: expected shape \(5, 5\) or \(6, 5, 5\)"),
        (lambda: model()(X, X, tgt_is_causal=True), ValueError, "attn_mask: expected the causal mask"),
        (lambda: model().encoder(X[:, 0], cache=KeyValueCache()), ValueError, "cache: expected a batch of sequences"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.bad_input
def test_a_cache_keeps_its_batch():
    layer, cache = TransformerEncoderLayer(MODEL, HEADS, HIDDEN), KeyValueCache()
    layer(X, cache=cache)
    with pytest.raises(ValueError, match="cache: expected a batch of 2, as before; got 1"):
        layer(X[:, :1], cache=cache)
    assert cache.length == SOURCE
