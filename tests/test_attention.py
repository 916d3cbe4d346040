"""Attention against torch's, by hand and by its invariants."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional

from dlbook.attention import (
    MultiheadAttention,
    additive_attention,
    causal_mask,
    rotary_embedding,
    scaled_dot_product_attention,
    sinusoidal_positions,
)

BATCH, HEADS, QUERIES, KEYS, DIM, VALUES = 2, 3, 5, 7, 11, 13


def leaf(*shape, device="cpu", dtype=torch.float64):
    return torch.randn(shape, device=device, dtype=dtype, requires_grad=True)


def operands(device="cpu", **options):
    return (
        leaf(BATCH, HEADS, QUERIES, DIM, device=device, **options),
        leaf(BATCH, HEADS, KEYS, DIM, device=device, **options),
        leaf(BATCH, HEADS, KEYS, VALUES, device=device, **options),
    )


def agree(mine, torchs, mine_leaves, torchs_leaves=None):
    torch.testing.assert_close(mine, torchs)
    upstream = torch.randn_like(torchs)
    a = torch.autograd.grad(mine, mine_leaves, upstream)
    b = torch.autograd.grad(torchs, torchs_leaves or mine_leaves, upstream)
    torch.testing.assert_close(a, b)


def sdpa_agrees(x, *more, **arguments):
    leaves = [t for t in (*x, *more) if t is not None and t.requires_grad]
    agree(
        scaled_dot_product_attention(*x, *more, **arguments),
        functional.scaled_dot_product_attention(*x, *more, **arguments),
        leaves,
    )


def masks(device):
    """Boolean and floating-point masks, small and whole, one with a row that may attend nowhere."""
    yield torch.rand(QUERIES, KEYS, device=device) > 0.4
    yield torch.rand(BATCH, 1, 1, KEYS, device=device) > 0.4
    blind = torch.rand(BATCH, HEADS, QUERIES, KEYS, device=device) > 0.4
    blind[0, 0, 0] = False
    yield blind
    yield torch.where(blind, 0.0, -torch.inf).double()
    yield leaf(HEADS, QUERIES, KEYS, device=device)


@pytest.mark.parametrize("scale", [None, 0.0, 1.7])
@pytest.mark.parametrize("number", range(5))
def test_sdpa_with_masks_is_torchs(device, number, scale):
    sdpa_agrees(operands(device), list(masks(device))[number], scale=scale)


@pytest.mark.parametrize("scale", [None, 1.7])
def test_sdpa_is_torchs(device, scale):
    sdpa_agrees(operands(device), scale=scale)
    sdpa_agrees(operands(device), scale=scale, is_causal=True)
    sdpa_agrees(
        (leaf(KEYS, DIM, device=device), leaf(QUERIES, DIM, device=device), leaf(QUERIES, VALUES, device=device))
    )
    many = (leaf(BATCH, 1, QUERIES, DIM), leaf(HEADS, KEYS, DIM), leaf(HEADS, KEYS, VALUES))
    sdpa_agrees(many)


def test_grouped_queries_are_torchs(device):
    query = leaf(BATCH, 6, QUERIES, DIM, device=device)
    key, value = leaf(BATCH, 2, KEYS, DIM, device=device), leaf(BATCH, 2, KEYS, VALUES, device=device)
    sdpa_agrees((query, key, value), enable_gqa=True)
    sdpa_agrees((query, key, leaf(BATCH, 3, KEYS, VALUES, device=device)), enable_gqa=True, is_causal=True)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 6)] * 5),
    mask=st.sampled_from(["none", "bool", "float"]),
    causal=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_sdpa_of_random_sizes_is_torchs(sizes, mask, causal, seed):
    torch.manual_seed(seed)
    batch, queries, keys, dim, values = sizes
    x = leaf(batch, queries, dim), leaf(batch, keys, dim), leaf(batch, keys, values)
    attn_mask = {"none": None, "bool": torch.rand(queries, keys) > 0.5, "float": leaf(queries, keys)}[mask]
    sdpa_agrees(x, attn_mask, is_causal=causal and attn_mask is None)


def test_dropout_draws_torchs_units_and_keeps_the_mean():
    x = operands()
    torch.manual_seed(3)
    mine = scaled_dot_product_attention(*x, dropout_p=0.3)
    torch.manual_seed(3)
    torch.testing.assert_close(mine, functional.scaled_dot_product_attention(*x, dropout_p=0.3))
    many = torch.stack([scaled_dot_product_attention(*x, dropout_p=0.3) for _ in range(2000)]).mean(0)
    torch.testing.assert_close(many, scaled_dot_product_attention(*x), atol=0.15, rtol=0)
    assert not scaled_dot_product_attention(*x, dropout_p=1.0).any()


def test_weights_on_request(device):
    query, key, value = operands(device)
    mask = causal_mask(QUERIES, KEYS, device=device)
    mask[0] = False
    mean, weights = scaled_dot_product_attention(query, key, value, mask, need_weights=True)
    assert weights.shape == (BATCH, HEADS, QUERIES, KEYS)
    torch.testing.assert_close(weights @ value, mean)
    torch.testing.assert_close(mean, scaled_dot_product_attention(query, key, value, mask))
    torch.testing.assert_close(weights[..., 1:, :].sum(-1), torch.ones_like(weights[..., 1:, 0]))
    assert not weights[..., 0, :].any()
    assert not weights.masked_select(~mask).any()


def test_hand_values():
    query, key = torch.tensor([[2.0, 0.0]]), torch.tensor([[math.sqrt(2) * math.log(3) / 2, 5.0], [0.0, -5.0]])
    mean, weights = scaled_dot_product_attention(query, key, torch.tensor([[1.0], [5.0]]), need_weights=True)
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(mean, torch.tensor([[2.0]]))


def test_the_order_of_the_keys_does_not_matter_until_positions_are_told():
    query, key, value = operands()
    order = torch.randperm(KEYS)
    shuffled = scaled_dot_product_attention(query, key[..., order, :], value[..., order, :])
    torch.testing.assert_close(shuffled, scaled_dot_product_attention(query, key, value))
    placed = key + sinusoidal_positions(KEYS, DIM, dtype=key.dtype)
    moved = key[..., order, :] + sinusoidal_positions(KEYS, DIM, dtype=key.dtype)
    told = scaled_dot_product_attention(query, moved, value[..., order, :])
    assert not torch.allclose(told, scaled_dot_product_attention(query, placed, value))


@pytest.mark.parametrize("change", [lambda x: x + 100, lambda x: x * 1000, lambda x: x * 1e-30])
def test_extremes(device, change):
    x = [change(t.detach()).requires_grad_() for t in operands(device)]
    sdpa_agrees(x)


def test_infinite_nan_and_empty(device):
    query, key, value = (t.detach().clone() for t in operands(device))
    for empty in (
        (query[:0], key[:0], value[:0]),
        (query, key[..., :0, :], value[..., :0, :]),
        (query[..., :0, :], key, value),
    ):
        peer = functional.scaled_dot_product_attention(*empty)
        torch.testing.assert_close(scaled_dot_product_attention(*empty), peer)
    query[0, 0, 0, 0] = math.nan
    mine = scaled_dot_product_attention(query, key, value)
    assert mine[0, 0, 0].isnan().all()
    assert mine.isnan().sum() == VALUES


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(device, dtype):
    x = [t.detach().to(dtype) for t in operands(device)]
    mine = scaled_dot_product_attention(*x)
    assert mine.dtype == dtype
    torch.testing.assert_close(
        mine.float(), functional.scaled_dot_product_attention(*[t.float() for t in x]), atol=0.03, rtol=0.03
    )


def test_gradcheck():
    x = (leaf(2, 3, 2), leaf(2, 4, 2), leaf(2, 4, 3))
    mask = torch.tensor([[True, False, True, True], [False] * 4, [True] * 4])
    assert gradcheck(lambda *x: scaled_dot_product_attention(*x, mask), x)
    assert gradcheck(lambda *x: additive_attention(*x, mask), (*x, leaf(2)))
    assert gradcheck(rotary_embedding, (leaf(2, 3, 4),))


def test_additive_attention_is_a_small_network(device):
    query, key = leaf(BATCH, QUERIES, DIM, device=device), leaf(BATCH, KEYS, DIM, device=device)
    value, weight = leaf(BATCH, KEYS, VALUES, device=device), leaf(DIM, device=device)
    mask = torch.rand(BATCH, 1, KEYS, device=device) > 0.3
    mean, weights = additive_attention(query, key, value, weight, mask, need_weights=True)
    for i in range(BATCH):
        for j in range(QUERIES):
            scores = torch.stack([(weight * torch.tanh(query[i, j] + k)).sum() for k in key[i]])
            expected = scores.masked_fill(~mask[i, 0], -torch.inf).softmax(0)
            torch.testing.assert_close(weights[i, j], expected)
            torch.testing.assert_close(mean[i, j], expected @ value[i])
    torch.testing.assert_close(additive_attention(query, key, value, weight, mask), mean)


def test_causal_mask(device):
    assert torch.equal(
        causal_mask(QUERIES, KEYS, device=device), torch.ones(QUERIES, KEYS, device=device).tril().bool()
    )
    assert causal_mask(2, offset=1).tolist() == [[True, True, False], [True, True, True]]
    assert causal_mask(0).shape == (0, 0)


def test_sinusoidal_positions():
    table = sinusoidal_positions(50, 6, dtype=torch.float64)
    for t, i in [(0, 0), (7, 1), (49, 2)]:
        angle = t / 10000 ** (2 * i / 6)
        assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-12)
        assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)
    # A step is the same turn wherever it is taken: dot products depend on the distance alone.
    products = table @ table.T
    torch.testing.assert_close(products[3, 8], products[33, 38])
    assert sinusoidal_positions(4, 5).shape == (4, 5)
    assert sinusoidal_positions(4, 5).dtype == torch.float32


def test_rotary_embedding_knows_only_distances(device):
    query, key = (torch.randn(8, dtype=torch.float64, device=device) for _ in range(2))
    turned_query = rotary_embedding(query.expand(40, 8))
    turned_key = rotary_embedding(key.expand(40, 8))
    products = turned_query @ turned_key.T
    torch.testing.assert_close(products[3, 8], products[33, 38])
    assert not torch.allclose(products[3, 8], products[3, 9])
    torch.testing.assert_close(turned_query.norm(dim=-1), query.norm().expand(40))
    later = rotary_embedding(query.expand(3, 8), positions=torch.tensor([5, 6, 7], device=device))
    torch.testing.assert_close(later, turned_query[5:8])


MODULES = [
    {},
    {"bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "batch_first": True},
    {"add_bias_kv": True, "add_zero_attn": True},
    {"kdim": 7, "vdim": 11},
    {"kdim": 7, "vdim": 11, "bias": False, "add_bias_kv": True, "batch_first": True},
]


def multiheads(device="cpu", **options):
    """Ours and torch's with the same random parameters."""
    ours = MultiheadAttention(12, 3, device=device, dtype=torch.float64, **options)
    peer = nn.MultiheadAttention(12, 3, device=device, dtype=torch.float64, **options)
    for p in peer.parameters():
        nn.init.normal_(p, std=0.4)
    ours.load_state_dict(peer.state_dict())
    peer.load_state_dict(ours.state_dict())
    return ours, peer


def multihead_inputs(ours, device="cpu", batch=(BATCH,)):
    shapes = [(QUERIES, 12), (KEYS, ours.kdim), (KEYS, ours.vdim)]
    inputs = [leaf(*batch, *shape, device=device) for shape in shapes]
    return inputs if ours.batch_first or not batch else [x.detach().transpose(0, 1).requires_grad_() for x in inputs]


def multihead_agrees(ours, peer, inputs, **arguments):
    (mine, mine_weights), (torchs, torchs_weights) = ours(*inputs, **arguments), peer(*inputs, **arguments)
    if torchs_weights is None:
        assert mine_weights is None
    else:
        torch.testing.assert_close(mine_weights, torchs_weights)
    torch.testing.assert_close(mine, torchs)
    upstream = torch.randn_like(torchs)
    a = torch.autograd.grad(mine, [*inputs, *ours.parameters()], upstream)
    b = torch.autograd.grad(torchs, [*inputs, *peer.parameters()], upstream)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("options", MODULES)
@pytest.mark.parametrize("arguments", [{}, {"need_weights": False}, {"average_attn_weights": False}])
def test_multihead_attention_is_torchs(device, options, arguments):
    ours, peer = multiheads(device, **options)
    left_out = torch.rand(QUERIES, KEYS, device=device) > 0.6
    left_out[:, 0] = False
    padding = torch.zeros(BATCH, KEYS, dtype=torch.bool, device=device)
    padding[1, -3:] = True
    each = (torch.rand(BATCH * 3, QUERIES, KEYS, device=device) > 0.8) & ~left_out
    each[..., 0] = False
    number = {"dtype": torch.float64, "device": device}
    for masks_given in [
        {},
        {"attn_mask": left_out},
        {"key_padding_mask": padding},
        {"attn_mask": each, "key_padding_mask": padding},
        {"attn_mask": torch.randn(QUERIES, KEYS, **number), "key_padding_mask": torch.randn(BATCH, KEYS, **number)},
    ]:
        multihead_agrees(ours, peer, multihead_inputs(ours, device), **masks_given, **arguments)
    single = {"attn_mask": left_out, "key_padding_mask": padding[1]}
    multihead_agrees(ours, peer, multihead_inputs(ours, device, ()), **single, **arguments)


@pytest.mark.parametrize("need_weights", [True, False])
def test_self_attention_causal_hint_and_inference_are_torchs(device, need_weights):
    ours, peer = multiheads(device, batch_first=True)
    x = leaf(BATCH, QUERIES, 12, device=device)
    future = ~causal_mask(QUERIES, device=device)
    arguments = {"attn_mask": future, "is_causal": True, "need_weights": need_weights}
    agree(ours(x, x, x, **arguments)[0], peer(x, x, x, **arguments)[0], [x])
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x, x, x), peer.eval()(x, x, x))
    # The future changes nothing in the past.
    changed = x.detach().clone()
    changed[:, 3:] += 1
    torch.testing.assert_close(
        ours(changed, changed, changed, **arguments)[0][:, :3], ours(x, x, x, **arguments)[0][:, :3]
    )


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_row_without_keys_is_as_torchs(need_weights):
    ours, peer = multiheads()
    inputs = multihead_inputs(ours)
    blind = torch.zeros(QUERIES, KEYS, dtype=torch.bool)
    blind[2] = True
    mine, torchs = (m(*inputs, attn_mask=blind, need_weights=need_weights)[0] for m in (ours, peer))
    torch.testing.assert_close(mine, torchs, equal_nan=True)
    assert mine[2].isnan().all() == need_weights


def test_multihead_dropout_draws_torchs_units():
    ours, peer = multiheads(dropout=0.4)
    inputs = multihead_inputs(ours)
    for need_weights in (True, False):
        torch.manual_seed(5)
        mine = ours(*inputs, need_weights=need_weights)
        torch.manual_seed(5)
        torch.testing.assert_close(mine, peer(*inputs, need_weights=need_weights))
    torch.testing.assert_close(ours.eval()(*inputs)[0], peer.eval()(*inputs)[0])


@pytest.mark.parametrize("options", MODULES)
def test_same_seed_same_start(options):
    torch.manual_seed(6)
    ours = MultiheadAttention(12, 3, **options)
    torch.manual_seed(6)
    peer = nn.MultiheadAttention(12, 3, **options)
    assert set(ours.state_dict()) == set(peer.state_dict())
    for name, parameter in peer.named_parameters():
        assert torch.equal(ours.get_parameter(name), parameter), name


@pytest.mark.compile
def test_compiles_whole():
    x = operands()
    for arguments in ({}, {"is_causal": True}, {"attn_mask": next(masks("cpu"))}):
        whole = torch.compile(
            lambda *x, a=arguments: scaled_dot_product_attention(*x, **a), fullgraph=True, backend="eager"
        )
        torch.testing.assert_close(whole(*x), scaled_dot_product_attention(*x, **arguments))
    whole = torch.compile(additive_attention, fullgraph=True, backend="eager")
    more = leaf(QUERIES, DIM), leaf(KEYS, DIM), leaf(KEYS, VALUES), leaf(DIM)
    torch.testing.assert_close(whole(*more), additive_attention(*more))
    for function, x in [(rotary_embedding, leaf(5, 4)), (lambda x: x + sinusoidal_positions(5, 4), leaf(5, 4))]:
        torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="eager")(x), function(x))


COMPILED = """
import torch
from dlbook.attention import MultiheadAttention
ours = MultiheadAttention(12, 3, batch_first=True)
whole = torch.compile(ours, fullgraph=True, backend="eager")
x = torch.randn(2, 5, 12)
for need_weights in (True, False):
    torch.testing.assert_close(whole(x, x, x, need_weights=need_weights), ours(x, x, x, need_weights=need_weights))
"""


def test_multihead_attention_compiles_whole():
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


Q, K, V = torch.zeros(2, 5, 11), torch.zeros(2, 7, 11), torch.zeros(2, 7, 13)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scaled_dot_product_attention([1.0], K, V), TypeError, "query: expected a torch.Tensor; got list"),
        (lambda: scaled_dot_product_attention(Q.long(), K, V), TypeError, "query: expected a floating-point tensor"),
        (lambda: scaled_dot_product_attention(Q, K.double(), V), TypeError, "key: expected dtype torch.float32"),
        (lambda: scaled_dot_product_attention(Q[0, 0], K, V), ValueError, r"query: expected shape \(..., length"),
        (lambda: scaled_dot_product_attention(Q, V, V), ValueError, "key: expected 11 features, as query has; got 13"),
        (lambda: scaled_dot_product_attention(Q, K, V[:, 1:]), ValueError, "value: expected as many as keys, 7; got 6"),
        (lambda: scaled_dot_product_attention(Q, K, V, Q), ValueError, r"attn_mask: expected a shape that broadcasts"),
        (
            lambda: scaled_dot_product_attention(Q, K, V, torch.zeros(5, 7).long()),
            TypeError,
            "attn_mask: expected dtype",
        ),
        (lambda: scaled_dot_product_attention(Q, K, V, dropout_p=2.0), ValueError, "dropout_p: expected a number in"),
        (lambda: scaled_dot_product_attention(Q[0], K[0], V[0], enable_gqa=True), ValueError, "key: expected heads"),
        (lambda: additive_attention(Q, K, V, torch.zeros(3)), ValueError, "weight: expected 11 features"),
        (lambda: additive_attention(Q, V, V, torch.zeros(11)), ValueError, "key: expected 11 features"),
        (lambda: causal_mask(-1), ValueError, "query_length: expected at least 0"),
        (lambda: sinusoidal_positions(3, 0), ValueError, "d_model: expected at least 1"),
        (lambda: rotary_embedding(V), ValueError, r"input: expected shape \(..., time, an even number"),
        (lambda: rotary_embedding(K.long()), TypeError, "input: expected a floating-point tensor"),
        (lambda: MultiheadAttention(11, 2), ValueError, "embed_dim: expected a multiple of num_heads=2; got 11"),
        (lambda: MultiheadAttention(11, 1, dropout=-1.0), ValueError, "dropout: expected a number in"),
        (lambda: MultiheadAttention(11, 1)(V, V, V), ValueError, "query: expected 11 features; got 13"),
        (lambda: MultiheadAttention(11, 1)(Q, K, K[1:]), ValueError, "value: expected"),
        (
            lambda: MultiheadAttention(11, 1, batch_first=True)(Q, K[:1], K[:1]),
            ValueError,
            "key: expected a batch of 2",
        ),
        (lambda: MultiheadAttention(11, 1)(K, K, K, is_causal=True), ValueError, "attn_mask: expected the causal mask"),
        (lambda: MultiheadAttention(11, 1)(K, K, K, attn_mask=Q), ValueError, "attn_mask: expected shape"),
        (
            lambda: MultiheadAttention(11, 1)(K, K, K, key_padding_mask=Q),
            ValueError,
            "key_padding_mask: expected shape",
        ),
        (lambda: MultiheadAttention(11, 1)(K, K[0], K[0]), ValueError, "key: expected 3 dimensions, as query has"),
        (
            lambda: MultiheadAttention(11, 1)(K, K, K, attn_mask=torch.ones(2, 2).long()),
            TypeError,
            "attn_mask: expected a bool",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
