"""Recurrent layers and cells against torch's, the hand-derived gradient against finite differences, and by hand."""

import copy
import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dlbook import recurrent
from dlbook.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from dlbook.recurrent.scans import GRUScan, LSTMScan, RNNScan

BATCH, TIME, FEATURES, HIDDEN = 3, 5, 7, 11
KINDS = ["RNN", "LSTM", "GRU"]
OPTIONS = [
    {},
    {"num_layers": 3, "bias": False},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"num_layers": 2, "dropout": 0.5},
]
VARIANTS = [
    *((kind, options) for kind in KINDS for options in OPTIONS),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True, "bias": False}),
]


def twins(kind, device="cpu", dtype=torch.float64, **options):
    """Ours and torch's with the same parameters."""
    ours = getattr(recurrent, kind)(FEATURES, HIDDEN, device=device, dtype=dtype, **options)
    peer = getattr(nn, kind)(FEATURES, HIDDEN, device=device, dtype=dtype, **options)
    peer.load_state_dict(ours.state_dict())
    ours.load_state_dict(peer.state_dict())
    return ours, peer


def first_states(module, *batch):
    """Random first states, as leaves."""
    layers = module.num_layers * (1 + module.bidirectional)
    sizes = [getattr(module, "proj_size", 0) or HIDDEN] + [HIDDEN] * isinstance(module, LSTM)
    like = next(module.parameters())
    states = [torch.randn(layers, *batch, n, dtype=like.dtype, device=like.device).requires_grad_() for n in sizes]
    return tuple(states) if len(states) > 1 else states[0]


def flat(result):
    """All tensors of a layer's result."""
    if isinstance(result, PackedSequence):
        return [result.data]
    return [result] if isinstance(result, torch.Tensor) else [x for part in result for x in flat(part)]


def agree(ours, peer, x, hx=None):
    """Results and all gradients as torch's; dropout draws the same units under the same seed."""
    torch.manual_seed(1)
    mine = flat(ours(x, hx))
    torch.manual_seed(1)
    torchs = flat(peer(x, hx))
    torch.testing.assert_close(mine, torchs)
    leaves = [
        t for t in (x.data if isinstance(x, PackedSequence) else x, *flat(() if hx is None else hx)) if t.requires_grad
    ]
    upstream = [torch.randn_like(t) for t in torchs]
    a = torch.autograd.grad(mine, [*leaves, *ours.parameters()], upstream)
    b = torch.autograd.grad(torchs, [*leaves, *peer.parameters()], upstream)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_layers_are_torchs(device, kind, options):
    ours, peer = twins(kind, device, **options)
    shape = (BATCH, TIME, FEATURES) if options.get("batch_first") else (TIME, BATCH, FEATURES)
    x = torch.randn(shape, dtype=torch.float64, device=device, requires_grad=True)
    if options.get("dropout") and device.type == "cuda":
        ours.eval(), peer.eval()  # cuDNN draws its own random numbers
    agree(ours, peer, x)
    agree(ours, peer, x, first_states(ours, BATCH))
    single = torch.randn(TIME, FEATURES, dtype=torch.float64, device=device, requires_grad=True)
    agree(ours.eval(), peer, single) if not options.get("dropout") else agree(ours.eval(), peer.eval(), single)
    if device.type == "cpu":
        agree(ours, peer, single, first_states(ours))


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@pytest.mark.parametrize("sort", [False, True])
def test_packed_sequences_are_torchs(device, kind, options, sort):
    ours, peer = twins(kind, device, **(options | {"dropout": 0.0}))
    lengths = [5, 3, 3, 1] if sort else [2, 5, 1, 5]
    x = torch.randn(4, TIME, FEATURES, dtype=torch.float64, device=device)
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=sort)
    packed = PackedSequence(packed.data.requires_grad_(), *packed[1:])
    agree(ours, peer, packed)
    agree(ours, peer, packed, first_states(ours, 4))
    output, _ = pad_packed_sequence(ours(packed)[0], batch_first=True)
    assert output.shape[:2] == (4, TIME)


def test_a_packed_sequence_equals_each_sequence_alone():
    ours, _ = twins("GRU", bidirectional=True, num_layers=2)
    sequences = [torch.randn(n, FEATURES, dtype=torch.float64) for n in (2, 5, 3)]
    output, hidden = ours(nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(output)
    for i, sequence in enumerate(sequences):
        alone, last = ours(sequence)
        torch.testing.assert_close(padded[: lengths[i], i], alone)
        torch.testing.assert_close(hidden[:, i], last)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_are_torchs(device, kind, bias):
    for options in [{}, {"nonlinearity": "relu"}] if kind == "RNNCell" else [{}]:
        ours, peer = twins(kind, device, bias=bias, **options)
        for batch in [(BATCH,), (), (0,)]:
            x = torch.randn(*batch, FEATURES, dtype=torch.float64, device=device, requires_grad=True)
            state = torch.randn(*batch, HIDDEN, dtype=torch.float64, device=device, requires_grad=True)
            agree(ours, peer, x)
            agree(ours, peer, x, (state, state.detach().cos().requires_grad_()) if kind == "LSTMCell" else state)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_its_cell_in_a_loop(kind):
    layer, _ = twins(kind)
    step, _ = twins(f"{kind}Cell")
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, state, outputs = torch.randn(TIME, BATCH, FEATURES, dtype=torch.float64), None, []
    for now in x:
        state = step(now, state)
        outputs.append(state[0] if kind == "LSTM" else state)
    torch.testing.assert_close(layer(x)[0], torch.stack(outputs))


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_same_seed_same_start_and_same_print(kind, options):
    torch.manual_seed(2)
    ours = getattr(recurrent, kind)(FEATURES, HIDDEN, **options)
    torch.manual_seed(2)
    peer = getattr(nn, kind)(FEATURES, HIDDEN, **options)
    assert list(ours.state_dict()) == list(peer.state_dict())
    for mine, torchs in zip(ours.parameters(), peer.parameters(), strict=True):
        assert torch.equal(mine, torchs)
    assert ours.extra_repr() == peer.extra_repr()
    assert [len(w) for w in ours.all_weights] == [len(w) for w in peer.all_weights]
    assert ours.flatten_parameters() is None


def scan_operands(*sizes):
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


# Steps of 3, 3 and 1 sequences, and the same read backwards.
FORWARDS = ((0, 3), (3, 3), (6, 1))


@pytest.mark.parametrize("spans", [FORWARDS, FORWARDS[::-1]])
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_backpropagation_through_time_is_the_derivative(spans, check):
    fast = {"fast_mode": check is gradgradcheck}
    for nonlinearity in ("tanh", "relu"):
        setting = (spans, nonlinearity)
        assert check(lambda *x, s=setting: RNNScan.apply(s, *x), scan_operands((7, 2), (3, 2), (2, 2)), **fast)
    lstm = scan_operands((7, 8), (3, 2), (3, 2), (8, 2))
    assert check(lambda *x: LSTMScan.apply(spans, *x)[:3], lstm, **fast)
    projected = scan_operands((7, 12), (3, 2), (3, 3), (12, 2), (2, 3))
    assert check(lambda *x: LSTMScan.apply(spans, *x)[:3], projected, **fast)
    assert check(lambda *x: GRUScan.apply(spans, *x)[:2], scan_operands((7, 6), (3, 2), (6, 2), (6,)), **fast)
    assert check(lambda *x: GRUScan.apply(spans, *x)[:2], scan_operands((7, 6), (3, 2), (6, 2)), **fast)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_of_networks_trains_as_one(kind):
    ours, _ = twins(kind, num_layers=2)
    others = [copy.deepcopy(ours) for _ in range(2)]
    others[1].reset_parameters()
    stacked, _ = torch.func.stack_module_state(others)
    x = torch.randn(TIME, BATCH, FEATURES, dtype=torch.float64)

    def loss(parameters, x):
        return torch.func.functional_call(ours, parameters, (x,))[0].square().sum()

    together = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None))(stacked, x)
    for i, module in enumerate(others):
        alone = torch.autograd.grad(module(x)[0].square().sum(), list(module.parameters()))
        for (name, _), gradient in zip(module.named_parameters(), alone, strict=True):
            torch.testing.assert_close(together[name][i], gradient)


def test_hand_values():
    rnn = RNN(1, 1, dtype=torch.float64)
    for name, value in [("weight_ih_l0", 1.0), ("weight_hh_l0", 0.5), ("bias_ih_l0", 0.25), ("bias_hh_l0", -0.25)]:
        nn.init.constant_(getattr(rnn, name), value)
    first = math.tanh(1.0)
    output, hidden = rnn(torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    assert output.flatten().tolist() == pytest.approx([first, math.tanh(2 + first / 2)])
    assert hidden.item() == output[-1].item()
    # With the forget gate open and the input gate shut, an LSTM's cell keeps its number.
    lstm = LSTMCell(1, 1)
    for p in lstm.parameters():
        nn.init.zeros_(p)
    with torch.no_grad():
        lstm.bias_ih.copy_(torch.tensor([-100.0, 100.0, 0.0, 0.0]))
    hidden, cell = lstm(torch.randn(1, 1), (torch.zeros(1, 1), torch.full((1, 1), 0.75)))
    assert cell.item() == 0.75
    assert hidden.item() == pytest.approx(0.5 * math.tanh(0.75))
    # With the update gate at 1, a GRU keeps its state.
    gru = GRUCell(1, 1)
    with torch.no_grad():
        gru.bias_ih[1] = 100.0
    assert gru(torch.randn(1, 1), torch.full((1, 1), 0.75)).item() == 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_extremes(device, kind):
    ours, peer = twins(kind, device, torch.float32)
    x = torch.randn(TIME, BATCH, FEATURES, device=device)
    for extreme in (x + 100, x * 1000, x * 1e30):
        torch.testing.assert_close(ours(extreme)[0], peer(extreme)[0])
    x[0, 0, 0] = math.nan
    mine = ours(x)[0]
    assert mine[:, 0].isnan().all()
    assert not mine[:, 1:].isnan().any()
    empty = torch.randn(TIME, 0, FEATURES, device=device)
    assert ours(empty)[0].shape == (TIME, 0, HIDDEN)


def test_shapes_without_numbers():
    output, (hidden, _) = LSTM(7, 11, proj_size=2, device="meta")(torch.empty(TIME, BATCH, FEATURES, device="meta"))
    assert output.shape == (TIME, BATCH, 2)
    assert hidden.shape == (1, BATCH, 2)


def test_the_input_is_left_alone_and_layouts_do_not_matter():
    ours, _ = twins("LSTM")
    x = torch.randn(FEATURES, BATCH, TIME, dtype=torch.float64)
    kept = x.clone()
    torch.testing.assert_close(ours(x.permute(2, 1, 0))[0], ours(x.permute(2, 1, 0).contiguous())[0])
    assert torch.equal(x, kept)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16(kind):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours, _ = twins(kind, device, torch.float32)
    x = torch.randn(TIME, BATCH, FEATURES, device=device)
    wide = ours(x)[0]
    narrow = ours.to(torch.bfloat16)(x.bfloat16())[0]
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), wide, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_leaves_the_recurrence_in_full_precision(device, kind):
    ours, _ = twins(kind, device, torch.float32)
    x = torch.randn(TIME, BATCH, FEATURES, device=device)
    with torch.autocast(device.type, torch.bfloat16):
        output = ours(x.bfloat16())[0]
    torch.testing.assert_close(output, ours(x.bfloat16().float())[0])
    output.sum().backward()
    assert ours.weight_hh_l0.grad.isfinite().all()


COMPILED = """
import torch
from dlbook import recurrent
for kind in ("RNN", "LSTM", "GRU"):
    ours = getattr(recurrent, kind)(3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    whole = torch.compile(ours, fullgraph=True, backend="eager")
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(whole(x), ours(x))
    grads = [torch.autograd.grad(f(x)[0].sum(), [x, *ours.parameters()]) for f in (whole, ours)]
    torch.testing.assert_close(*grads)
"""


def test_compiles_whole():
    # In a process of its own: the shape checks, even when off, cannot be traced inside an autograd function.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


X, H = torch.zeros(TIME, BATCH, FEATURES), torch.zeros(1, BATCH, HIDDEN)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RNN(7, 11)(X[0, 0]), ValueError, r"input: expected shape \(time, batch, features\)"),
        (lambda: RNN(7, 11)([1.0]), TypeError, "input: expected a torch.Tensor; got list"),
        (lambda: GRU(8, 11)(X), ValueError, "input: expected 8 features, input_size's; got 7"),
        (lambda: GRU(7, 11)(X[:0]), ValueError, "input: expected at least one step"),
        (lambda: LSTM(7, 11)(X.double()), TypeError, "input: expected dtype torch.float32"),
        (lambda: GRU(7, 11)(X, H[:, :2]), ValueError, r"hx: expected shape \(1, 3, 11\) for this input"),
        (lambda: GRU(7, 11)(X[:, 0], H), ValueError, r"hx: expected shape \(1, 11\)"),
        (lambda: GRU(7, 11)(X, H.double()), TypeError, "hx: expected dtype torch.float32, as input has"),
        (lambda: LSTM(7, 11)(X, H), TypeError, "hx: expected a pair of tensors"),
        (lambda: LSTM(7, 11)(X, (H, H[..., :3])), ValueError, r"hx\[1\]: expected shape"),
        (lambda: RNN(7, 11, nonlinearity="step"), ValueError, "nonlinearity: expected one of 'tanh', 'relu'"),
        (lambda: RNN(7, 0), ValueError, "hidden_size: expected at least"),
        (lambda: RNN(7.0, 11), TypeError, "input_size: expected an integer; got float"),
        (lambda: LSTM(7, 11, proj_size=11), ValueError, "proj_size: expected an integer from 0 to"),
        (lambda: LSTM(7, 11, 2, dropout=1.5), ValueError, "dropout: expected a number in"),
        (lambda: RNNCell(7, 11, nonlinearity="step"), ValueError, "nonlinearity: expected one of"),
        (lambda: RNNCell(7, -1), ValueError, "hidden_size: expected at least"),
        (lambda: RNNCell(7, 11)(X), ValueError, r"input: expected shape \(batch, features\)"),
        (lambda: GRUCell(8, 11)(X[0]), ValueError, "input: expected 8 features"),
        (lambda: GRUCell(7, 11)(X[0], H), ValueError, r"hx: expected shape \(3, 11\)"),
        (lambda: LSTMCell(7, 11)(X[0], H[0]), TypeError, "hx: expected a pair of tensors"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match="dropout: it acts between layers"):
        RNN(7, 11, dropout=0.5)
