"""The table of a model's layers: published counts, counts by hand, and a model that is left as it was."""

import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from dlbook.attention import MultiheadAttention
from dlbook.convolution import Conv1d, Conv2d, ConvTranspose2d
from dlbook.neurons import Bilinear, Embedding, Linear
from dlbook.normalization import BatchNorm1d
from dlbook.recurrent import GRU, LSTM, RNN
from dlbook.resnet import LayerRow, Summary, cifar_resnet, resnet18, resnet34, resnet50, summary
from dlbook.transformer import Transformer


@pytest.mark.parametrize(
    ("make", "parameters", "multiply_adds"),
    [
        # torchvision gives 1.814, 3.664 and 4.089 thousand million at 224×224.
        (resnet18, 11_689_512, 1_814_073_344),
        (resnet34, 21_797_672, 3_663_761_408),
        (resnet50, 25_557_032, 4_089_184_256),
    ],
)
def test_published_counts(make, parameters, multiply_adds):
    with torch.device("meta"):
        table = summary(make(), (1, 3, 224, 224))
    assert (table.parameters, table.multiply_adds, table.complete) == (parameters, multiply_adds, True)
    assert sum(row.parameters for row in table.rows) == parameters
    assert sum(row.multiply_adds for row in table.rows) == multiply_adds
    names = [row.name for row in table.rows]
    assert names[:3] == ["conv1", "bn1", "maxpool"]
    assert names[-1] == "fc"
    assert ("layer4.1.bn2" if make is not resnet50 else "layer1.0.downsample.0") in names


def test_rows_by_hand(device):
    model = nn.Sequential(Conv2d(3, 5, (3, 2), stride=2, padding=1), nn.Flatten(), Linear(5 * 4 * 6, 11)).to(device)
    table = summary(model, (2, 3, 7, 11))
    assert table.rows == (
        LayerRow("0", "Conv2d", (2, 5, 4, 6), 5 * 3 * 3 * 2 + 5, 2 * 5 * 4 * 6 * 3 * 3 * 2),
        LayerRow("1", "Flatten", (2, 120), 0, 0),
        LayerRow("2", "Linear", (2, 11), 120 * 11 + 11, 2 * 120 * 11),
    )
    assert (table.model, table.input_size) == ("Sequential", ((2, 3, 7, 11),))


T, B, F, H = 5, 3, 8, 4  # time, batch, features, hidden size
LAYERS = [
    (Linear(F, 7), [(B, F)], B * F * 7),
    (Linear(F, 7), [(F,)], F * 7),
    (nn.Linear(F, 7), [(T, B, F)], T * B * F * 7),
    (Bilinear(F, H, 7), [(B, F), (B, H)], B * 7 * F * H + B * 7 * H),
    (Conv1d(F, 6, 3, groups=2), [(B, F, 11)], B * 6 * 9 * 3 * F // 2),
    (nn.Conv2d(F, 6, 3, groups=2), [(B, F, 7, 11)], B * 6 * 5 * 9 * 9 * F // 2),
    (ConvTranspose2d(F, 6, 3, stride=2), [(B, F, 5, 7)], B * F * 5 * 7 * 9 * 6),
    (nn.ConvTranspose2d(F, 6, 3, stride=2), [(B, F, 5, 7)], B * F * 5 * 7 * 9 * 6),
    (RNN(F, H), [(T, B, F)], T * B * H * (F + H)),
    (GRU(F, H), [(T, B, F)], T * B * 3 * H * (F + H)),
    (LSTM(F, H, 2), [(T, B, F)], T * B * 4 * H * (F + H + H + H)),
    (nn.GRU(F, H), [(T, B, F)], T * B * 3 * H * (F + H)),
    # Four projections; scores and weighted sums of every pair of steps.
    (MultiheadAttention(F, 2), [(T, B, F)] * 3, 4 * T * B * F * F + 2 * B * T * T * F),
    (nn.MultiheadAttention(F, 2), [(T, B, F)] * 3, 4 * T * B * F * F + 2 * B * T * T * F),
    (nn.Softmax(-1), [(B, F)], 0),
]


@pytest.mark.parametrize(("model", "sizes", "multiply_adds"), LAYERS, ids=lambda x: type(x).__name__)
def test_counts_of_every_kind_of_layer(model, sizes, multiply_adds):
    table = summary(model, sizes if len(sizes) > 1 else sizes[0])
    assert table.parameters == sum(p.numel() for p in model.parameters())
    assert table.complete
    assert table.multiply_adds == multiply_adds


class Fused(nn.Module):
    """Attention by torch's fused kernel."""

    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x[..., :5, :], x[..., :5, :3])


def test_torchs_fused_attention():
    assert summary(Fused(), (2, 4, 7, 3)).multiply_adds == 2 * 4 * 7 * 5 * (3 + 3)


def test_what_cannot_be_counted_is_said(monkeypatch):
    monkeypatch.setattr("dlbook.resnet.table.OPAQUE", {"relu"})
    table = summary(nn.Sequential(nn.Linear(F, 7), nn.ReLU()), (B, F))
    assert [row.multiply_adds for row in table.rows] == [B * F * 7, None]
    assert (table.multiply_adds, table.complete) == (B * F * 7, False)
    assert re.search(r"ReLU .* \?\n", str(table))
    assert str(table).endswith(f"≥ {B * F * 7}")


@pytest.mark.parametrize("model", [nn.LSTM(F, H), nn.TransformerEncoderLayer(F, 2, 16, batch_first=True)])
def test_torchs_fused_kernels_are_counted_or_said_not_to_be(model):
    table = summary(model, (T, B, F))
    assert table.complete == all(row.multiply_adds is not None for row in table.rows)
    assert not table.complete or table.multiply_adds > T * B * F * F


def test_indices_and_several_inputs():
    words = nn.Sequential(Embedding(13, F), Linear(F, 7))
    table = summary(words, (B, T), dtype=torch.long)
    assert [row.output_shape for row in table.rows] == [(B, T, F), (B, T, 7)]
    model = Transformer(F, 2, 1, 1, 16)
    table = summary(model, [(T, B, F), (7, B, F)])
    assert table.input_size == ((T, B, F), (7, B, F))
    assert table.parameters == sum(p.numel() for p in model.parameters())
    by_name = {row.name: row for row in table.rows}
    # An attention uses its last matrix without calling it: the parameters are its own.
    assert by_name["encoder.layers.0.self_attn"].parameters == 4 * (F * F + F)
    assert by_name["decoder.layers.0.multihead_attn"].output_shape == (7, B, F)


class Shared(nn.Module):
    """One layer called twice, and a parameter and a product of the module's own."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(5, 5)
        self.tied = nn.Linear(5, 5)
        self.tied.weight = self.inner.weight
        self.gain = nn.Parameter(torch.ones(5, 7))
        self.unused = nn.Linear(2, 3)

    def forward(self, x):
        return {"logits": [self.tied(self.inner(self.inner(x))) @ self.gain]}


def test_shared_layers_count_once_and_work_each_time():
    model = Shared()
    table = summary(model, (2, 5))
    assert table.parameters == sum(p.numel() for p in model.parameters())
    assert table.rows == (
        LayerRow("", "Shared", (2, 7), 35 + 9, 2 * 5 * 7),
        LayerRow("inner", "Linear", (2, 5), 30, 50),
        LayerRow("inner", "Linear", (2, 5), 0, 50),
        LayerRow("tied", "Linear", (2, 5), 5, 50),
    )
    assert table.multiply_adds == 220


class Counting(nn.Module):
    """A module that writes to its buffer even in evaluation, and fails where it is told to."""

    def __init__(self, fail=False):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.fail = fail

    def forward(self, x):
        self.calls += 1
        if self.fail:
            raise RuntimeError("failed on purpose")
        return x


def hooks(model):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_is_left_as_it_was(device, fail):
    model = nn.Sequential(BatchNorm1d(3), nn.Dropout(), Linear(3, 5), nn.ReLU(), Counting(fail)).to(device)
    model[0].eval()  # some parts may train while others do not
    model[2].register_forward_hook(lambda *_: None)
    modes, kept, state = [m.training for m in model.modules()], hooks(model), copy.deepcopy(model.state_dict())
    random = torch.get_rng_state()
    if fail:
        with pytest.raises(RuntimeError, match="failed on purpose"):
            summary(model, (2, 3))
    else:
        assert summary(model, (2, 3)).rows[1].output_shape == (2, 3)
    assert [m.training for m in model.modules()] == modes
    assert hooks(model) == kept
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(p.grad is None for p in model.parameters())


def test_a_model_in_training_keeps_its_statistics_and_takes_one_picture():
    # A norm in training could not take a single value per channel.
    model = cifar_resnet(8, width=2).train()
    mean = model.bn1.running_mean.clone()
    assert summary(model, (1, 3, 4, 4)).rows[-1].output_shape == (1, 10)
    assert torch.equal(model.bn1.running_mean, mean)
    assert model.training


class Forgiving(nn.Module):
    """Carries on where a part of it fails."""

    def __init__(self):
        super().__init__()
        self.risky, self.sure = Counting(fail=True), nn.Linear(3, 5)

    def forward(self, x):
        try:
            return self.risky(x)
        except RuntimeError:
            return self.sure(x)


def test_a_part_that_fails_inside_a_model_does_not_disturb_the_count():
    table = summary(Forgiving(), (2, 3))
    assert [(row.name, row.multiply_adds) for row in table.rows] == [("risky", 0), ("sure", 30)]


def test_dtype_and_device_are_the_models(device):
    seen = []
    model = Linear(3, 5).to(device, torch.float64)
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    summary(model, (2, 3))
    assert (seen[0].dtype, seen[0].device.type) == (torch.float64, device.type)
    assert not seen[0].any()


def test_it_prints_as_a_table():
    table = summary(cifar_resnet(8, width=8), (1, 3, 16, 16))
    lines = str(table).splitlines()
    assert lines[0] == "ResNet, input 1×3×16×16"
    assert lines[2].split("  ")[0] == "layer"
    assert len({len(line) for line in lines[1:]}) == 1
    assert lines[-1].split() == ["total", f"{table.parameters:,}", f"{table.multiply_adds:,}"]
    assert len(lines) == len(table.rows) + 6
    page = table._repr_html_()
    assert page.count("<tr>") == len(table.rows) + 2
    assert f"{table.multiply_adds:,}</td></tr></tfoot></table>" in page
    risky = Summary("<b>", ((1,),), (LayerRow("a", "<i>", (1,), 1, None),), 1, 0, False)._repr_html_()
    assert "<b>" not in risky
    assert "&lt;i&gt;" in risky


def test_counts_grow_with_the_batch_and_not_the_parameters():
    model = cifar_resnet(8, width=8)
    one, seven = (summary(model, (batch, 3, 16, 16)) for batch in (1, 7))
    assert seven.multiply_adds == 7 * one.multiply_adds
    assert seven.parameters == one.parameters
    shapes = [(a.output_shape[1:], b.output_shape[1:]) for a, b in zip(one.rows, seven.rows, strict=True)]
    assert all(a == b for a, b in shapes)
    assert math.prod(one.rows[0].output_shape) * 27 == one.rows[0].multiply_adds


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("model", "size", "error", "message"),
    [
        (print, (1, 3), TypeError, "model: expected a torch.nn.Module; got builtin_function_or_method"),
        (nn.ReLU(), 3, ValueError, r"input_size: expected a shape, such as \(1, 3, 32, 32\), or several; got 3"),
        (nn.ReLU(), (1, "3"), ValueError, "input_size: expected a shape"),
        (nn.ReLU(), (1, -3), ValueError, "input_size: expected a shape"),
        (nn.ReLU(), [(1, 3), (1.5,)], ValueError, "input_size: expected a shape"),
        (Linear(3, 5), (2, 4), ValueError, "input: expected 3 features"),
    ],
)
def test_bad_input(model, size, error, message):
    with pytest.raises(error, match=message):
        summary(model, size)
