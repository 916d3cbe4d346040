"""Residual networks against torchvision's published sizes and names, a second implementation, and by hand."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional

from dlbook.normalization import BatchNorm2d
from dlbook.resnet import (
    BasicBlock,
    Bottleneck,
    DenseBlock,
    PaddedIdentity,
    ResNet,
    Transition,
    cifar_resnet,
    resnet18,
    resnet34,
    resnet50,
)

resnext50 = partial(resnet50, groups=32, width_per_group=4)
wide_resnet50 = partial(resnet50, width_per_group=128)


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (resnet18, 11_689_512),
        (resnet34, 21_797_672),
        (resnet50, 25_557_032),
        (partial(ResNet, Bottleneck, [3, 4, 23, 3]), 44_549_160),
        (resnext50, 25_028_904),
        (wide_resnet50, 68_883_240),
    ],
)
def test_torchvisions_parameter_counts(make, parameters):
    with torch.device("meta"):
        assert count(make()) == parameters


def torchvisions(kernels, layers, expansion):
    """Names and shapes of torchvision's state dict; ``kernels`` are those of a block's convolutions."""

    def norm(name, channels):
        shapes = {"weight": (channels,), "bias": (channels,), "running_mean": (channels,), "running_var": (channels,)}
        return {f"{name}.{part}": shape for part, shape in (shapes | {"num_batches_tracked": ()}).items()}

    state = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    before = 64
    for stage, blocks in enumerate(layers):
        planes = 64 << stage
        for block in range(blocks):
            outs = [planes] * (len(kernels) - 1) + [planes * expansion]
            ins = [before, *outs[:-1]]
            at = f"layer{stage + 1}.{block}"
            for i, (channels, out, k) in enumerate(zip(ins, outs, kernels, strict=True), start=1):
                state |= {f"{at}.conv{i}.weight": (out, channels, k, k), **norm(f"{at}.bn{i}", out)}
            if block == 0 and (stage > 0 or expansion > 1):
                state |= {f"{at}.downsample.0.weight": (outs[-1], before, 1, 1), **norm(f"{at}.downsample.1", outs[-1])}
            before = outs[-1]
    return state | {"fc.weight": (1000, before), "fc.bias": (1000,)}


@pytest.mark.parametrize(
    ("make", "kernels", "layers", "expansion"),
    [
        (resnet18, [3, 3], [2, 2, 2, 2], 1),
        (resnet34, [3, 3], [3, 4, 6, 3], 1),
        (resnet50, [1, 3, 1], [3, 4, 6, 3], 4),
    ],
)
def test_torchvisions_names_and_shapes_in_order(make, kernels, layers, expansion):
    with torch.device("meta"):
        ours = {name: tuple(value.shape) for name, value in make().state_dict().items()}
    wanted = torchvisions(kernels, layers, expansion)
    assert ours == wanted
    assert list(ours) == list(wanted)


def test_the_papers_sizes_for_small_pictures():
    # Table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million.
    for depth, parameters in ((20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)):
        with torch.device("meta"):
            model, plain = cifar_resnet(depth), cifar_resnet(depth, shortcut="none")
            assert count(model) == count(plain) == parameters
            assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        assert sum(p.ndim > 1 for p in model.parameters()) == depth


def second(state, x, training, *, groups=1, dilated=(False, False, False), stem="large", shortcut="projection"):
    """A residual network that reads what it is made of off the names in its state."""

    def conv(name, x, stride=1, dilation=1, groups=1):
        weight = state[f"{name}.weight"]
        return functional.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, groups)

    def norm(name, x):
        at = {part: state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")}
        return functional.batch_norm(x, **at, training=training)

    x = functional.relu(norm("bn1", conv("conv1", x, 2 if stem == "large" else 1)))
    x = functional.max_pool2d(x, 3, 2, 1) if stem == "large" else x
    dilation, stages = 1, sorted({name.split(".")[0] for name in state if name.startswith("layer")})
    for stage in stages:
        keeps = stage == "layer1" or dilated[stages.index(stage) - 1]
        blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith(stage))
        for block in range(blocks):
            at, stride = f"{stage}.{block}", 2 if block == 0 and not keeps else 1
            wide = f"{at}.conv3.weight" in state
            if block == 1 and keeps and stage != "layer1":
                dilation *= 2
            if wide:
                y = functional.relu(norm(f"{at}.bn1", conv(f"{at}.conv1", x)))
                y = functional.relu(norm(f"{at}.bn2", conv(f"{at}.conv2", y, stride, dilation, groups)))
                y = norm(f"{at}.bn3", conv(f"{at}.conv3", y))
            else:
                y = functional.relu(norm(f"{at}.bn1", conv(f"{at}.conv1", x, stride)))
                y = norm(f"{at}.bn2", conv(f"{at}.conv2", y))
            if f"{at}.downsample.0.weight" in state:
                y = y + norm(f"{at}.downsample.1", conv(f"{at}.downsample.0", x, stride))
            elif shortcut == "padding" and y.shape != x.shape:
                y[:, : x.shape[1]] = y[:, : x.shape[1]] + functional.max_pool2d(x, 1, stride)
            elif shortcut != "none":
                y = y + x
            x = functional.relu(y)
    return functional.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


NETS = [
    (BasicBlock, [2, 1, 1, 2], {}),
    (Bottleneck, [2, 1, 2], {"in_channels": 5}),
    (Bottleneck, [1, 2, 2], {"groups": 2, "width_per_group": 64, "replace_stride_with_dilation": [False, True]}),
    (Bottleneck, [1, 2, 2, 2], {"replace_stride_with_dilation": (False, True, True)}),
    (BasicBlock, [2, 2, 2], {"stem": "small", "shortcut": "padding"}),
    (Bottleneck, [1, 2], {"stem": "small", "shortcut": "padding", "in_channels": 1}),
    (BasicBlock, [1, 2, 2], {"shortcut": "none"}),
    (Bottleneck, [2, 2], {"stem": "small", "shortcut": "none"}),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("block", "layers", "options"), NETS)
def test_a_second_implementation_agrees(device, block, layers, options, training):
    ours = ResNet(block, layers, 11, width=8, **options).to(device, torch.float64).train(training)
    for name, value in ours.state_dict().items():
        # Nothing may pass because a norm starts at 1 and 0.
        if value.ndim == 1:
            value.uniform_(0.5, 1.5) if "var" in name or "weight" in name else value.normal_()
    names = [name for name, _ in ours.named_parameters()]
    state = {name: value.detach().clone().requires_grad_(name in names) for name, value in ours.state_dict().items()}
    x = torch.randn(3, options.get("in_channels", 3), 19, 13, dtype=torch.float64, device=device, requires_grad=True)
    arguments = {name: options[name] for name in ("groups", "stem", "shortcut") if name in options}
    dilated = options.get("replace_stride_with_dilation", (False,) * 3)
    mine, peers = ours(x), second(state, x, training, dilated=dilated, **arguments)
    torch.testing.assert_close(mine, peers)
    upstream = torch.randn_like(peers)
    mine = torch.autograd.grad(mine, [x, *ours.parameters()], upstream)
    torch.testing.assert_close(mine, torch.autograd.grad(peers, [x, *(state[name] for name in names)], upstream))
    for name, value in ours.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, state[name])


def test_a_state_goes_both_ways():
    ours, other = resnet18(10, width=4), resnet18(10, width=4, zero_init_residual=True)
    assert list(ours.state_dict()) == list(other.state_dict())
    other.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 33, 35)
    assert torch.equal(ours(x), other(x))


@pytest.mark.parametrize("make", [resnet18, resnet50])
def test_the_plain_twin_is_the_network_without_its_shortcuts(make):
    model, plain = make(10, width=4).eval(), make(10, width=4, shortcut="none").eval()
    missing, extra = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert extra == [name for name in model.state_dict() if "downsample" in name]
    x = torch.randn(2, 3, 33, 35)
    assert not torch.allclose(model(x), plain(x))
    for block in model.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            block.shortcut = False
    assert torch.equal(model(x), plain(x))


@pytest.mark.parametrize(("block", "norm"), [(BasicBlock, "bn2"), (Bottleneck, "bn3")])
def test_zero_init_residual_makes_every_block_the_identity(block, norm):
    model = ResNet(block, [2, 2], 10, zero_init_residual=True, width=4)
    x = torch.rand(2, 4 * block.expansion, 7, 11)
    assert torch.equal(model.layer1[1](x), x)
    assert not getattr(model.layer1[1], norm).weight.any()
    assert model.layer1[1].bn1.weight.all()
    assert not torch.equal(ResNet(block, [2], 10, width=4).layer1[1](x), x)


def test_the_gradient_passes_the_block_and_goes_through_it_too(device):
    block = BasicBlock(5, 5).to(device, torch.float64).eval()
    x = torch.rand(2, 5, 7, 11, dtype=torch.float64, device=device) + 9  # far above the kink of the ReLU
    x.requires_grad_()
    upstream = torch.randn_like(x)
    (whole,) = torch.autograd.grad(block(x), x, upstream)
    (through,) = torch.autograd.grad(block.branch(x), x, upstream)
    assert through.any()
    torch.testing.assert_close(whole, upstream + through)


def test_a_deep_stack_that_starts_as_the_identity_keeps_the_gradient():
    model = cifar_resnet(110, zero_init_residual=True, width=4)
    x = torch.rand(2, 4, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.layer1(x).sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: BasicBlock(4, 5, 2, PaddedIdentity(4, 5, 2)),
        lambda: Bottleneck(4, 1),
        lambda: DenseBlock(4, 3, 2),
    ],
)
def test_gradients(make, training):
    block = make().double().train(training)
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(block, (x,), fast_mode=True)


def test_padded_identity_by_hand():
    x = torch.arange(24.0).view(1, 2, 3, 4)
    wide = PaddedIdentity(2, 5, stride=2)(x)
    assert wide[0, :2].tolist() == [[[0.0, 2.0], [8.0, 10.0]], [[12.0, 14.0], [20.0, 22.0]]]
    assert wide.shape == (1, 5, 2, 2)
    assert not wide[0, 2:].any()
    assert "2, 5, stride=2" in repr(PaddedIdentity(2, 5, 2))


def test_starting_weights():
    model = resnet18(10)
    weight = model.layer3[0].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)  # fan out: 256 maps of 3×3
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()


def test_other_norms():
    model = ResNet(BasicBlock, [1, 1], 7, norm_layer=partial(nn.GroupNorm, 2), width=4)
    assert sum(isinstance(module, nn.GroupNorm) for module in model.modules()) == 6
    picture = torch.randn(2, 3, 17, 13)
    # Each picture by itself: a group norm knows no batch.
    torch.testing.assert_close(model(picture)[:1], model(picture[:1]))
    # A norm without a weight cannot start at 0.
    bare = partial(nn.InstanceNorm2d, affine=False)
    assert ResNet(BasicBlock, [1], 7, True, norm_layer=bare, width=4)(picture).shape == (2, 7)


def test_evaluation_uses_running_statistics(device):
    model = cifar_resnet(8, width=4).to(device)
    x = torch.randn(5, 3, 9, 7, device=device)
    before = model.bn1.running_mean.clone()
    alone, together = model(x[:1]), model(x)
    assert not torch.allclose(together[:1], alone)
    assert not torch.equal(model.bn1.running_mean, before)
    model.eval()
    torch.testing.assert_close(model(x)[:1], model(x[:1]))
    assert model(x[:0]).shape == (0, 10)


def test_any_channels_and_sides():
    for make in (partial(cifar_resnet, 8), partial(resnet18, width=8)):
        for channels, height, width in ((1, 8, 8), (2, 1, 5), (5, 31, 17)):
            assert make(in_channels=channels).eval()(torch.zeros(2, channels, height, width)).shape[0] == 2


def test_half_precision(device):
    model = cifar_resnet(8, width=4).to(device).eval()
    x = torch.randn(3, 3, 9, 7, device=device)
    exact = model(x)
    narrow = model.bfloat16()(x.bfloat16())
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), exact, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("shortcut", ["projection", "padding", "none"])
def test_training_lowers_the_loss(device, shortcut):
    model = cifar_resnet(8, 3, in_channels=1, width=4, shortcut=shortcut).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    labels = torch.arange(30, device=device) % 3
    pictures = torch.randn(30, 1, 8, 8, device=device)
    pictures[labels == 1, :, :4] += 1
    pictures[labels == 2, :, :, :4] += 1
    losses = []
    for _ in range(15):
        loss = functional.cross_entropy(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


COMPILED = """
import copy, torch
from dlbook.resnet import cifar_resnet
ours = cifar_resnet(8, in_channels=2, width=4).double()
twin = copy.deepcopy(ours)
whole = torch.compile(ours, fullgraph=True, backend="eager")
x = torch.randn(3, 2, 7, 11, dtype=torch.float64)
torch.testing.assert_close(whole(x), twin(x))
for model, run in ((ours, whole), (twin, twin)):
    run(x).square().sum().backward()
for mine, its in zip(ours.parameters(), twin.parameters(), strict=True):
    torch.testing.assert_close(mine.grad, its.grad)
torch.testing.assert_close(ours.state_dict(), twin.state_dict())
"""


def test_compiles_whole():
    # In a process of its own, as a convolution: shape checks cannot be traced inside an autograd function.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_dense_block_keeps_its_input_and_adds_to_it(device):
    block = DenseBlock(3, growth_rate=2, num_layers=5).to(device)
    x = torch.randn(2, 3, 7, 11, device=device)
    output = block(x)
    assert output.shape == (2, block.out_channels, 7, 11) == (2, 13, 7, 11)
    assert torch.equal(output[:, :3], x)
    # Each layer sees everything before it, as a fresh count of the channels says.
    for number, layer in enumerate(block.layers):
        seen = output[:, : 3 + 2 * number]
        fresh = functional.relu(functional.batch_norm(seen, None, None, training=True))
        fresh = functional.conv2d(fresh, layer.conv.weight, padding=1)
        torch.testing.assert_close(output[:, 3 + 2 * number :][:, :2], fresh)


def test_densenet_40_has_the_papers_million_parameters():
    parts: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    channels = 16
    for stage in range(3):
        parts.append(DenseBlock(channels, 12, 12))
        channels = parts[-1].out_channels
        parts += [Transition(channels, channels)] if stage < 2 else []
    parts += [BatchNorm2d(channels), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    model = nn.Sequential(*parts)
    assert channels == 448
    assert count(model) == 1_019_722
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_a_transition_mixes_and_halves():
    part = Transition(5, 3).eval()
    x = torch.randn(2, 5, 8, 6)
    mixed = functional.conv2d(functional.relu(x / (1 + 1e-5) ** 0.5), part.mix.conv.weight)
    torch.testing.assert_close(part(x), functional.avg_pool2d(mixed, 2))


X = torch.zeros(2, 3, 9, 7)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resnet18(0), ValueError, "num_classes: expected at least 1"),
        (lambda: resnet18(width=4, in_channels=0), ValueError, "in_channels: expected at least 1"),
        (lambda: resnet18(width=0), ValueError, "width: expected at least 1"),
        (lambda: resnet50(groups=0), ValueError, "groups: expected at least 1"),
        (lambda: resnet50(width_per_group=0), ValueError, "width_per_group: expected at least 1"),
        (lambda: resnet18(groups=2), ValueError, "groups: expected 1, as a basic block has nothing else; got 2"),
        (lambda: resnet18(width_per_group=32), ValueError, "base_width: expected 64"),
        (
            lambda: resnet34(width=2, replace_stride_with_dilation=[False, False, True]),
            ValueError,
            "dilation: expected 1",
        ),
        (
            lambda: resnet50(replace_stride_with_dilation=[True]),
            ValueError,
            r"replace_stride_with_dilation: expected 3 values, .* got \[True\]",
        ),
        (lambda: resnet18(stem="tiny"), ValueError, "stem: expected one of 'large', 'small'; got 'tiny'"),
        (lambda: resnet18(shortcut="A"), ValueError, "shortcut: expected one of 'projection', 'padding', 'none'"),
        (
            lambda: resnet18(shortcut="none", zero_init_residual=True),
            ValueError,
            "zero_init_residual: expected False without shortcuts",
        ),
        (lambda: ResNet(BasicBlock, []), ValueError, "layers: expected at least one block"),
        (lambda: ResNet(BasicBlock, [1, 0]), ValueError, r"layers: .* got \[1, 0\]"),
        (lambda: cifar_resnet(18), ValueError, r"depth: expected 6n \+ 2 layers, .* got 18"),
        (lambda: cifar_resnet(2), ValueError, "depth: expected at least 8; got 2"),
        (lambda: cifar_resnet("20"), TypeError, "depth: expected a whole number; got '20'"),
        (lambda: ResNet("basic", [1]), TypeError, "block: expected the class BasicBlock or Bottleneck; got 'basic'"),
        (lambda: ResNet(nn.Linear, [1]), TypeError, "block: expected the class BasicBlock or Bottleneck"),
        (lambda: resnet18(width=1.5), TypeError, "width: expected a whole number; got 1.5"),
        (lambda: cifar_resnet(8)(X[:, :2]), ValueError, "input: expected 3 channels"),
        (lambda: cifar_resnet(8)(X.double()), TypeError, "weight: expected dtype torch.float64"),
        (
            lambda: BasicBlock(3, 5)(X),
            ValueError,
            r"downsample: expected to bring the input .* \(2, 5, 9, 7\); got None and shape \(2, 3, 9, 7\)",
        ),
        # A single channel would broadcast.
        (lambda: BasicBlock(1, 5)(X[:, :1]), ValueError, "downsample: expected to bring the input"),
        (lambda: Bottleneck(3, 5, downsample=PaddedIdentity(3, 4))(X), ValueError, r"got shape \(2, 4, 9, 7\)"),
        (lambda: PaddedIdentity(3, 2), ValueError, r"out_channels: expected at least 3; got 2"),
        (lambda: PaddedIdentity(3, 3, 0), ValueError, "stride: expected at least 1"),
        (lambda: DenseBlock(3, 0, 2), ValueError, "growth_rate: expected at least 1"),
        (lambda: Transition(3, 0), ValueError, "out_channels: expected at least 1"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
