"""Convolutions, forwards and transposed, fold and unfold, and their layers, against torch's and by hand."""

import random
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, vmap
from torch.nn import functional

from dlbook import convolution
from dlbook.convolution import (
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    conv1d,
    conv2d,
    output_size,
)

SAME_WARNING = "ignore:Using padding='same' with even kernel lengths:UserWarning"


def leaf(*shape, device="cpu", dtype=torch.float64):
    return torch.randn(*shape, device=device, dtype=dtype, requires_grad=True)


def agree(ours, peer, operands, **arguments):
    """Values, shapes, memory layout and gradients as torch's."""
    mine, torchs = ours(*operands, **arguments), peer(*operands, **arguments)
    torch.testing.assert_close(mine, torchs)
    assert mine.is_contiguous()
    learn = [x for x in operands if x is not None]
    upstream = torch.randn_like(torchs)
    pairs = zip(torch.autograd.grad(mine, learn, upstream), torch.autograd.grad(torchs, learn, upstream), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a, b)


def settings(count, dims):
    """Random strides, paddings and dilations, and kernels that fit a picture of 7 × 11."""
    rng = random.Random(dims)
    found = []
    while len(found) < count:
        kernel, stride, dilation = ([rng.randint(1, 4) for _ in range(dims)] for _ in range(3))
        padding = [rng.randint(0, 3) for _ in range(dims)]
        fits = all(7 + 2 * p >= d * (k - 1) + 1 for k, p, d in zip(kernel, padding, dilation, strict=True))
        if fits:
            found.append((kernel, stride, padding, dilation, rng.choice([1, 2, 3])))
    return found


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), settings(40, 2))
def test_conv2d_is_torchs(device, kernel, stride, padding, dilation, groups):
    operands = (
        leaf(2, 3 * groups, 7, 11, device=device),
        leaf(5 * groups, 3, *kernel, device=device),
        leaf(5 * groups, device=device),
    )
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    agree(conv2d, functional.conv2d, operands, **arguments)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), settings(20, 1))
def test_conv1d_is_torchs(device, kernel, stride, padding, dilation, groups):
    operands = (leaf(2, 3 * groups, 11, device=device), leaf(5 * groups, 3, *kernel, device=device), None)
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    agree(conv1d, functional.conv1d, operands, **arguments)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), settings(40, 2))
def test_conv_transpose2d_is_torchs(device, kernel, stride, padding, dilation, groups):
    extra = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    operands = (
        leaf(2, 3 * groups, 7, 11, device=device),
        leaf(3 * groups, 5, *kernel, device=device),
        leaf(5 * groups, device=device),
    )
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "output_padding": extra}
    agree(convolution.conv_transpose2d, functional.conv_transpose2d, operands, **arguments)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), settings(20, 1))
def test_conv_transpose1d_is_torchs(device, kernel, stride, padding, dilation, groups):
    operands = (leaf(2, 3 * groups, 11, device=device), leaf(3 * groups, 5, *kernel, device=device), None)
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    agree(convolution.conv_transpose1d, functional.conv_transpose1d, operands, **arguments)


@pytest.mark.filterwarnings(SAME_WARNING)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel", [(3, 4), (2, 5)])
@pytest.mark.parametrize("dilation", [1, (3, 2)])
def test_padding_by_name(padding, kernel, dilation):
    operands = (leaf(2, 3, 13, 11), leaf(5, 3, *kernel), leaf(5))
    agree(conv2d, functional.conv2d, operands, padding=padding, dilation=dilation)
    operands = (leaf(2, 3, 13), leaf(5, 3, kernel[1]), leaf(5))
    step = dilation if isinstance(dilation, int) else dilation[0]
    agree(conv1d, functional.conv1d, operands, padding=padding, dilation=step)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), settings(20, 2))
def test_unfold_and_fold_are_torchs(device, kernel, stride, padding, dilation, groups):
    arguments = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    picture = leaf(2, groups, 7, 11, device=device)
    agree(convolution.unfold, functional.unfold, (picture,), **arguments)
    agree(convolution.unfold, functional.unfold, (picture[0],), **arguments)
    columns = torch.randn_like(functional.unfold(picture, **arguments)).requires_grad_()
    agree(convolution.fold, functional.fold, (columns,), output_size=(7, 11), **arguments)
    agree(convolution.fold, functional.fold, (columns[0],), output_size=(7, 11), **arguments)


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"])
def test_unbatched_and_empty_batch(device, name):
    ours, peer = getattr(convolution, name), getattr(functional, name)
    sides, kernel = ((11,), (3,)) if "1d" in name else ((7, 11), (3, 2))
    weight = leaf(3, 3, *kernel, device=device)
    agree(ours, peer, (leaf(3, *sides, device=device), weight, leaf(3, device=device)), stride=2, padding=1)
    empty = leaf(0, 3, *sides, device=device)
    assert ours(empty, weight).shape == peer(empty, weight).shape
    (gradient,) = torch.autograd.grad(ours(empty, weight).sum(), weight)
    assert not gradient.any()


def test_single_numbers_and_one_element_tuples_serve_every_dimension():
    picture, weight = leaf(2, 3, 7, 11), leaf(5, 3, 3, 2)
    whole = conv2d(picture, weight, stride=(2, 2), padding=(1, 1), dilation=(1, 1))
    torch.testing.assert_close(conv2d(picture, weight, stride=2, padding=1), whole)
    torch.testing.assert_close(conv2d(picture, weight, stride=[2], padding=torch.Size([1])), whole)


def test_hand_values():
    picture = torch.arange(9.0).view(1, 3, 3)
    # Not flipped: the kernel's first weight meets the window's first element.
    weight = torch.tensor([[[[1.0, 0.0], [0.0, 10.0]]]])
    assert conv2d(picture, weight).tolist() == [[[40.0, 51.0], [73.0, 84.0]]]
    assert conv2d(picture, weight, padding=1)[0, 0].tolist() == [0.0, 10.0, 20.0, 0.0]
    one = torch.zeros(1, 3, 3)
    one[0, 1, 1] = 1
    # An impulse gives the kernel back, upside down; the transposed convolution puts it down as it is.
    assert conv2d(one, weight).tolist() == [[[10.0, 0.0], [0.0, 1.0]]]
    assert convolution.conv_transpose2d(one, weight)[0, 1:3, 1:3].tolist() == [[1.0, 0.0], [0.0, 10.0]]


def test_a_shifted_picture_gives_a_shifted_output():
    picture, weight = leaf(2, 3, 17, 19), leaf(5, 3, 3, 2)
    shifted = conv2d(picture.roll((2, 3), (2, 3)), weight)
    torch.testing.assert_close(shifted[..., 2:, 3:], conv2d(picture, weight)[..., :-2, :-3])


def test_transposed_convolution_is_the_transpose():
    picture, weight = leaf(2, 4, 7, 11), leaf(6, 2, 3, 2)
    arguments = {"stride": (2, 3), "padding": (1, 0), "groups": 2}
    output = conv2d(picture, weight, **arguments)
    other = torch.randn_like(output)
    back = convolution.conv_transpose2d(other, weight, output_padding=(0, 0), **arguments)
    assert back.shape == picture.shape
    torch.testing.assert_close((output * other).sum(), (picture * back).sum())


def test_convolution_is_unfold_and_a_matrix_product():
    picture, weight = leaf(2, 3, 7, 11), leaf(5, 3, 3, 2)
    product = weight.flatten(1) @ convolution.unfold(picture, (3, 2), stride=2)
    torch.testing.assert_close(conv2d(picture, weight, stride=2), product.unflatten(-1, (3, 5)))


@pytest.mark.parametrize("shift", [100.0, 1e3])
def test_large_inputs(shift):
    picture, weight = torch.randn(2, 3, 7, 11) * shift + shift, torch.randn(5, 3, 3, 2)
    exact = functional.conv2d(picture.double(), weight.double(), padding=1)
    torch.testing.assert_close(conv2d(picture, weight, padding=1).double(), exact, rtol=1e-4, atol=1e-4 * shift)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_stays_within_its_windows(value):
    picture, weight = torch.ones(1, 1, 7, 11), torch.ones(1, 1, 3, 2)
    picture[0, 0, 4, 6] = value
    got, expected = conv2d(picture, weight, padding=1), functional.conv2d(picture, weight, padding=1)
    torch.testing.assert_close(got, expected, equal_nan=True)
    assert (~got.isfinite()).sum() == 6


def test_integers_and_complex_numbers():
    picture, weight = torch.randint(-9, 9, (2, 3, 7, 11)), torch.randint(-9, 9, (5, 3, 3, 2))
    assert torch.equal(conv2d(picture, weight, stride=2), functional.conv2d(picture, weight, stride=2))
    operands = (leaf(2, 4, 7, 11, dtype=torch.complex128), leaf(6, 2, 3, 2, dtype=torch.complex128), None)
    agree(conv2d, functional.conv2d, operands, groups=2, padding=1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(device, dtype):
    picture, weight = leaf(2, 8, 7, 11, device=device, dtype=dtype), leaf(5, 8, 3, 3, device=device, dtype=dtype)
    output = conv2d(picture, weight, padding=1)
    assert output.dtype == dtype
    exact = functional.conv2d(picture.double(), weight.double(), padding=1)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(output.double(), exact, rtol=4 * eps, atol=8 * 4 * eps)
    output.float().square().mean().backward()
    assert picture.grad.dtype == weight.grad.dtype == dtype


def test_autocast(device):
    picture, weight, bias = leaf(2, 3, 7, 11, dtype=torch.float32, device=device), leaf(5, 3, 3, 2), leaf(5)
    weight, bias = (x.detach().float().to(device).requires_grad_() for x in (weight, bias))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        output = conv2d(picture, weight, bias)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert picture.grad.dtype == weight.grad.dtype == bias.grad.dtype == torch.float32


def test_shapes_without_values():
    with torch.device("meta"):
        assert Conv2d(3, 5, 3, stride=2)(torch.zeros(2, 3, 7, 11)).shape == (2, 5, 3, 5)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_gradients_of_first_and_second_order(name):
    function = getattr(convolution, name)
    picture, weight, bias = leaf(2, 4, 4, 3), leaf(4, 2, 3, 2), leaf(4)

    def call(*x):
        return function(*x, stride=(2, 1), padding=1, groups=2)

    assert gradcheck(call, (picture, weight, bias))
    assert gradgradcheck(call, (picture, weight, bias))


def test_third_derivative_is_torchs():
    picture, weight = leaf(1, 2, 5, 4), leaf(3, 2, 3, 2)

    def third(function):
        value = function(picture, weight, padding=1).pow(3).sum()
        for operand in (weight, picture, weight):
            (gradient,) = torch.autograd.grad(value, operand, create_graph=True)
            value = gradient.pow(2).sum()
        return value

    torch.testing.assert_close(third(conv2d), third(functional.conv2d))


@pytest.mark.parametrize("in_dims", [(0, None), (None, 0), (0, 0), (2, 1)])
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_vmap(name, in_dims):
    def call(picture, weight):
        return getattr(convolution, name)(picture, weight, stride=2, padding=1, groups=2)

    picture, weight = torch.randn(2, 4, 5, 7), torch.randn(4, 2, 3, 2)
    stacks = [
        x if dim is None else torch.stack([x, 2 * x, x + 1], dim)
        for x, dim in zip((picture, weight), in_dims, strict=True)
    ]
    picks = [[x if dim is None else x.select(dim, i) for x, dim in zip(stacks, in_dims, strict=True)] for i in range(3)]
    torch.testing.assert_close(vmap(call, in_dims)(*stacks), torch.stack([call(*pick) for pick in picks]))

    def slope(picture, weight):
        return grad(lambda w: call(picture, w).square().sum())(weight)

    torch.testing.assert_close(vmap(slope, in_dims)(*stacks), torch.stack([slope(*pick) for pick in picks]))


COMPILED = """
import torch
from torch.nn import functional
from dlbook import convolution

for name in ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"):
    torch._dynamo.reset()
    sides, kernel = ((11,), (3,)) if "1d" in name else ((7, 11), (3, 2))
    shapes = [(2, 3, *sides), (3, 3, *kernel), (3,)]
    operands = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    ours = torch.compile(getattr(convolution, name), fullgraph=True, backend="eager")
    mine, torchs = ours(*operands, 2, 1), getattr(functional, name)(*operands, 2, 1)
    torch.testing.assert_close(mine, torchs)
    torch.testing.assert_close(torch.autograd.grad(mine.sum(), operands), torch.autograd.grad(torchs.sum(), operands))
"""


def test_compiles_whole():
    # In a process of its own: the shape checks, even when off, cannot be traced inside an autograd function.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_output_size_is_torchs(ceil_mode):
    for n in range(1, 12):
        for k, s, p in [(1, 1, 0), (2, 2, 0), (2, 3, 1), (3, 2, 1), (3, 1, 0), (4, 3, 2), (1, 3, 0)]:
            if n + 2 * p >= k:
                peer = functional.max_pool1d(torch.zeros(1, n), k, s, p, ceil_mode=ceil_mode).shape[-1]
                assert output_size(n, k, s, p, ceil_mode=ceil_mode) == peer


def test_output_size_of_several_dimensions_and_named_paddings():
    assert output_size((7, 11), (3, 2), stride=(2, 1)) == (3, 10)
    assert output_size([7, 11], 3, padding="same", dilation=2) == (7, 11)
    assert output_size(7, 4, padding="same") == 7
    assert output_size(7, 4, padding="valid") == 4
    assert isinstance(output_size(28, 5), int)


P, W = torch.zeros(2, 4, 5, 7), torch.zeros(6, 4, 3, 3)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"input": "picture"}, TypeError, "input: expected a torch.Tensor; got str"),
        ({"weight": None}, TypeError, "weight: expected a torch.Tensor; got NoneType"),
        ({"bias": 1.0}, TypeError, "bias: expected a torch.Tensor; got float"),
        ({"input": torch.zeros(5, 7)}, ValueError, r"input: expected shape \(batch, channels, height, width\) or"),
        ({"input": torch.zeros(2, 3, 5, 7)}, ValueError, r"input: expected 4 channels .* got shape \(2, 3, 5, 7\)"),
        (
            {"input": torch.zeros(2, 4, 0, 7), "padding": 2},
            ValueError,
            "input: expected height and width of at",
        ),
        ({"input": P.double()}, TypeError, "weight: expected dtype torch.float64, as input has; got torch.float32"),
        ({"weight": torch.zeros(6, 4, 3)}, ValueError, r"weight: expected shape .* got \(6, 4, 3\)"),
        ({"weight": torch.zeros(0, 4, 3, 3)}, ValueError, "weight: expected no empty kernel"),
        (
            {"weight": torch.zeros(6, 4, 6, 3)},
            ValueError,
            r"kernel_size: expected .* \(5, 7\); got \(6, 3\)",
        ),
        ({"dilation": 3}, ValueError, r"kernel_size: .* got \(7, 7\), as dilated"),
        ({"bias": torch.zeros(5)}, ValueError, r"bias: expected shape \(6,\).* got \(5,\)"),
        ({"bias": torch.zeros(6).double()}, TypeError, "bias: expected dtype torch.float32, as input has"),
        ({"groups": 0}, ValueError, "groups: expected at least 1; got 0"),
        ({"groups": 4}, ValueError, "weight: expected .* groups=4 to divide its first size"),
        ({"groups": 2}, ValueError, "input: expected 8 channels .* groups=2"),
        ({"stride": 0}, ValueError, "stride: expected at least 1; got 0"),
        ({"stride": (1, 2, 3)}, ValueError, r"stride: expected an integer or 2 of them; got \(1, 2, 3\)"),
        ({"stride": 1.5}, TypeError, "stride: expected an integer or 2 of them; got 1.5"),
        ({"padding": -1}, ValueError, "padding: expected at least 0; got -1"),
        ({"padding": "full"}, ValueError, "padding: expected integers, 'valid' or 'same'; got 'full'"),
        ({"padding": "same", "stride": 2}, ValueError, "padding: 'same' expects stride 1"),
        ({"dilation": 0}, ValueError, "dilation: expected at least 1; got 0"),
    ],
)
def test_conv2d_says_what_is_wrong(arguments, error, match):
    with pytest.raises(error, match=match):
        conv2d(**({"input": P, "weight": W} | arguments))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"input": torch.zeros(2, 4, 5, 7)}, ValueError, "input: expected 6 channels"),
        ({"groups": 4}, ValueError, "weight: expected .* groups=4 to divide"),
        ({"bias": torch.zeros(6)}, ValueError, r"bias: expected shape \(4,\)"),
        ({"output_padding": 1}, ValueError, r"output_padding: expected less than stride \(1, 1\)"),
        ({"padding": (4, 0)}, ValueError, "padding: expected to leave an output"),
        ({"padding": "same"}, TypeError, "padding: expected an integer or 2 of them"),
    ],
)
def test_conv_transpose2d_says_what_is_wrong(arguments, error, match):
    picture = torch.zeros(2, 6, 5, 7)
    with pytest.raises(error, match=match):
        convolution.conv_transpose2d(**({"input": picture, "weight": W} | arguments))


@pytest.mark.bad_input
def test_the_others_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"input: expected shape \(batch, channels, length\) or"):
        conv1d(torch.zeros(3), torch.zeros(1, 1, 1))
    with pytest.raises(ValueError, match="output_padding: expected less than"):
        convolution.conv_transpose1d(torch.zeros(1, 3), torch.zeros(1, 1, 1), output_padding=2)
    with pytest.raises(ValueError, match=r"kernel_size: expected no more than the padded input, \(5, 7\)"):
        convolution.unfold(P, 6)
    with pytest.raises(ValueError, match=r"input: expected shape \(..., a multiple of 4, 9\)"):
        convolution.fold(torch.zeros(8, 8), 4, 2)
    with pytest.raises(ValueError, match="input: expected shape"):
        convolution.fold(torch.zeros(8), 4, 2)
    with pytest.raises(TypeError, match=r"input: expected a torch.Tensor"):
        convolution.unfold([1.0], 1)
    with pytest.raises(ValueError, match="size: expected at least 1; got 0"):
        output_size(0, 1)
    with pytest.raises(TypeError, match="size: expected an integer"):
        output_size(3.0, 1)
    with pytest.raises(ValueError, match=r"kernel_size: expected no more than the padded input, \(3,\); got \(5,\)"):
        output_size(3, 3, dilation=2)


LAYERS = [
    (Conv1d, nn.Conv1d, (13,), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
    (Conv1d, nn.Conv1d, (13,), {"kernel_size": 4, "padding": "valid", "bias": False}),
    (Conv2d, nn.Conv2d, (7, 11), {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "groups": 2}),
    (Conv2d, nn.Conv2d, (7, 11), {"kernel_size": 3, "padding": "same", "padding_mode": "reflect"}),
    (Conv2d, nn.Conv2d, (7, 11), {"kernel_size": (3, 4), "padding": (1, 2), "padding_mode": "replicate"}),
    (Conv2d, nn.Conv2d, (7, 11), {"kernel_size": (3, 2), "padding": "same", "padding_mode": "circular"}),
    (Conv1d, nn.Conv1d, (13,), {"kernel_size": 5, "padding": 2, "padding_mode": "circular", "dtype": torch.float64}),
    (ConvTranspose1d, nn.ConvTranspose1d, (13,), {"kernel_size": 3, "stride": 3, "output_padding": 2, "padding": 1}),
    (
        ConvTranspose2d,
        nn.ConvTranspose2d,
        (7, 5),
        {"kernel_size": (3, 4), "stride": 2, "padding": (0, 1), "groups": 2, "dilation": (2, 1)},
    ),
]


@pytest.mark.filterwarnings(SAME_WARNING)
@pytest.mark.parametrize(("ours", "peer", "sides", "arguments"), LAYERS)
def test_layers_are_torchs(ours, peer, sides, arguments):
    torch.manual_seed(3)
    mine = ours(4, 6, **arguments)
    torch.manual_seed(3)
    torchs = peer(4, 6, **arguments)
    assert list(mine.state_dict()) == list(torchs.state_dict())
    for a, b in zip(mine.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        torchs.weight.mul_(2)
    mine.load_state_dict(torchs.state_dict())
    peer(4, 6, **arguments).load_state_dict(mine.state_dict())
    picture = torch.randn(2, 4, *sides, dtype=torchs.weight.dtype)
    torch.testing.assert_close(mine(picture), torchs(picture))
    torch.testing.assert_close(mine(picture[0]), torchs(picture[0]))
    for name in (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
    ):
        assert getattr(mine, name) == getattr(torchs, name)
    assert "kernel_size=" in repr(mine)


@pytest.mark.parametrize("size", [(13, 9), (14, 10), [2, 6, 14, 9]])
def test_transposed_layer_takes_an_output_size(size):
    mine, torchs = ConvTranspose2d(4, 6, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1)
    mine.load_state_dict(torchs.state_dict())
    picture = torch.randn(2, 4, 7, 5)
    torch.testing.assert_close(mine(picture, size), torchs(picture, size))


def test_unfold_and_fold_layers():
    picture = torch.randn(2, 3, 7, 11)
    arguments = {"kernel_size": (3, 2), "padding": 1, "stride": 2}
    columns = convolution.Unfold(**arguments)(picture)
    torch.testing.assert_close(columns, nn.Unfold(**arguments)(picture))
    folded = convolution.Fold((7, 11), **arguments)(columns)
    torch.testing.assert_close(folded, nn.Fold((7, 11), **arguments)(columns))


@pytest.mark.bad_input
def test_layers_say_what_is_wrong():
    with pytest.raises(ValueError, match="in_channels: expected a multiple of groups=2; got 3"):
        Conv2d(3, 4, 1, groups=2)
    with pytest.raises(ValueError, match="out_channels: expected a multiple of groups=3; got 4"):
        Conv2d(3, 4, 1, groups=3)
    with pytest.raises(ValueError, match="padding_mode: expected one of 'zeros', 'reflect'"):
        Conv1d(3, 4, 1, padding_mode="mirror")
    with pytest.raises(ValueError, match="padding_mode: expected one of 'zeros'; got 'reflect'"):
        ConvTranspose2d(3, 4, 1, padding_mode="reflect")
    with pytest.raises(ValueError, match="padding: 'same' expects stride 1"):
        Conv2d(3, 4, 3, stride=2, padding="same")
    with pytest.raises(ValueError, match="output_size: expected from"):
        ConvTranspose1d(3, 4, 3, stride=2)(torch.zeros(3, 5), output_size=[20])
