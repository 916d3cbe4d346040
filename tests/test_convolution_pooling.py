"""Pooling, fixed and adaptive, its undoing, and its layers, against torch's and by hand."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from dlbook import convolution
from dlbook.convolution import avg_pool2d, k_max_pool1d, max_pool2d

SIDES = {1: (11,), 2: (7, 11)}


def pictures(dims, device="cpu", dtype=torch.float64, distinct=True):
    """A batch with every axis a different prime; without ``distinct``, full of ties."""
    shape = (2, 3, *SIDES[dims])
    values = torch.randn(shape) if distinct else torch.randint(-2, 3, shape)
    return values.to(device, dtype).requires_grad_()


def agree(name, picture, *arguments, **options):
    """Values, indices where there are any, shapes and gradients as torch's."""
    mine = getattr(convolution, name)(picture, *arguments, **options)
    torchs = getattr(functional, name)(picture, *arguments, **options)
    if options.get("return_indices"):
        assert mine[1].dtype == torch.int64
        assert torch.equal(mine[1], torchs[1])
        mine, torchs = mine[0], torchs[0]
    torch.testing.assert_close(mine, torchs, equal_nan=True)
    upstream = torch.randn_like(torchs)
    gradients = [torch.autograd.grad(out, picture, upstream)[0] for out in (mine, torchs)]
    torch.testing.assert_close(*gradients, equal_nan=True)


@st.composite
def window(draw, dims):
    """Kernel, stride, padding and dilation of a pooling that fits."""
    kernel = [draw(st.integers(1, 4)) for _ in range(dims)]
    stride = draw(st.none() | st.lists(st.integers(1, 5), min_size=dims, max_size=dims))
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    dilation = [draw(st.integers(1, 2)) for _ in range(dims)]
    fits = (n + 2 * p >= d * (k - 1) + 1 for n, k, p, d in zip(SIDES[dims], kernel, padding, dilation, strict=True))
    assume(all(fits))
    return kernel, stride, padding, dilation


@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize("dims", [1, 2])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), ceil_mode=st.booleans())
def test_max_pool_is_torchs(dims, distinct, data, ceil_mode):
    kernel, stride, padding, dilation = data.draw(window(dims))
    picture = pictures(dims, distinct=distinct)
    arguments = (kernel, stride, padding, dilation)
    agree(f"max_pool{dims}d", picture, *arguments, ceil_mode=ceil_mode, return_indices=True)
    values = getattr(convolution, f"max_pool{dims}d")(picture, *arguments, ceil_mode)
    assert torch.equal(values, getattr(functional, f"max_pool{dims}d")(picture, *arguments, ceil_mode))


@pytest.mark.parametrize("dims", [1, 2])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), ceil_mode=st.booleans(), count_include_pad=st.booleans())
def test_avg_pool_is_torchs(dims, data, ceil_mode, count_include_pad):
    kernel, stride, padding, _ = data.draw(window(dims))
    arguments = (kernel, stride, padding, ceil_mode, count_include_pad)
    agree(f"avg_pool{dims}d", pictures(dims), *arguments)
    if dims == 2:
        agree("avg_pool2d", pictures(2), *arguments, data.draw(st.sampled_from([1, 5, -3])))


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("norm_type", [1, 2, 2.0, 3.0, 4, 0.5, -1, torch.inf, -torch.inf])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_lp_pool_is_torchs(device, dims, norm_type, ceil_mode):
    picture = pictures(dims, device)
    for kernel, stride in [(2, None), (3, 2), (2, 3)]:
        agree(f"lp_pool{dims}d", picture, norm_type, kernel, stride, ceil_mode)
    agree(f"lp_pool{dims}d", picture.detach().abs().requires_grad_(), norm_type, 3, 1)


def test_lp_pool_of_zeros_has_gradient_zero():
    picture = torch.zeros(2, 3, 5, requires_grad=True)
    agree("lp_pool1d", picture, 2, 2)
    (gradient,) = torch.autograd.grad(convolution.lp_pool1d(picture, 2, 2).sum(), picture)
    assert torch.equal(gradient, torch.zeros(2, 3, 5))


@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 11, 13])
def test_adaptive_pooling_is_torchs(device, size, distinct):
    for dims in (1, 2):
        picture = pictures(dims, device, distinct=distinct)
        agree(f"adaptive_avg_pool{dims}d", picture, size)
        agree(f"adaptive_max_pool{dims}d", picture, size, return_indices=True)
        agree(f"adaptive_max_pool{dims}d", picture[0].detach().requires_grad_(), size)
        agree(f"adaptive_avg_pool{dims}d", picture[0].detach().requires_grad_(), size)


def test_adaptive_sizes():
    picture = pictures(2)
    for size in [(5, 3), (None, 3), (5, None), [1, 13]]:
        agree("adaptive_avg_pool2d", picture, size)
        agree("adaptive_max_pool2d", picture, size, return_indices=True)
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        assert getattr(convolution, name)(picture, (0, 2)).shape == (2, 3, 0, 2)
    assert torch.equal(convolution.adaptive_avg_pool2d(picture, None), picture)
    agree("adaptive_avg_pool1d", pictures(1), [4])


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), (2, 3, 0)])
def test_max_unpool_is_torchs(device, dims, kernel, stride, padding):
    picture, name = pictures(dims, device), f"max_pool{dims}d"
    maxima, indices = getattr(functional, name)(picture, kernel, stride, padding, return_indices=True)
    pool, whole = f"max_unpool{dims}d", list(picture.shape)
    maxima = maxima.detach().requires_grad_()
    for size in (whole, whole[2:]):
        agree(pool, maxima, indices, kernel, stride, padding, size)
    if stride is None:
        inside = torch.arange(indices[0, 0].numel(), device=device).view(indices.shape[2:]).expand_as(indices)
        agree(pool, maxima, inside.contiguous(), kernel, stride, padding)
    agree(pool, maxima[0].detach().requires_grad_(), indices[0], kernel, stride, padding, whole[2:])


def test_hand_values():
    picture = torch.arange(1.0, 17.0).view(1, 4, 4)
    assert max_pool2d(picture, 2).tolist() == [[[6.0, 8.0], [14.0, 16.0]]]
    assert avg_pool2d(picture, 2).tolist() == [[[3.5, 5.5], [11.5, 13.5]]]
    assert convolution.global_avg_pool2d(picture).tolist() == [8.5]
    assert convolution.lp_pool2d(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]]), 2, 2).item() == pytest.approx(5.0)
    assert convolution.adaptive_avg_pool2d(picture, 2).tolist() == avg_pool2d(picture, 2).tolist()


def test_global_average_is_adaptive_average_of_one():
    picture = pictures(2)
    mean = convolution.global_avg_pool2d(picture)
    assert mean.shape == (2, 3)
    torch.testing.assert_close(mean, functional.adaptive_avg_pool2d(picture, 1).flatten(1))


def test_k_max_keeps_order():
    signal = torch.tensor([[3.0, 9.0, 1.0, 7.0, 9.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    assert k_max_pool1d(signal, 3).tolist() == [[9.0, 7.0, 9.0], [5.0, 4.0, 3.0]]
    assert k_max_pool1d(signal, 0).shape == (2, 0)
    assert torch.equal(k_max_pool1d(signal, 5), signal)
    values = torch.randn(2, 3, 13, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(k_max_pool1d(values, 4).sort(descending=True).values, values.topk(4).values)
    torch.testing.assert_close(k_max_pool1d(values, 1), functional.adaptive_max_pool1d(values, 1))
    assert gradcheck(lambda x: k_max_pool1d(x, 4), (values,))
    tied = torch.zeros(7, requires_grad=True)
    (gradient,) = torch.autograd.grad(k_max_pool1d(tied, 2).sum(), tied)
    assert gradient.tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert k_max_pool1d(torch.tensor([1.0, torch.nan, 2.0]), 2).isnan().tolist() == [True, False]


@pytest.mark.parametrize("dims", [1, 2])
def test_nan_and_infinities(device, dims):
    picture = pictures(dims, device, torch.float32).detach()
    flat = picture.flatten()
    flat[::5], flat[1::7], flat[3::11] = torch.nan, torch.inf, -torch.inf
    picture.requires_grad_()
    agree(f"max_pool{dims}d", picture, 2, 1, 1, return_indices=True)
    agree(f"adaptive_max_pool{dims}d", picture, 4, return_indices=True)
    agree(f"avg_pool{dims}d", picture, 3, 2, 1)
    agree(f"adaptive_avg_pool{dims}d", picture, 4)
    lowest = torch.full((1, 1, *SIDES[dims]), -torch.inf, device=device, requires_grad=True)
    agree(f"max_pool{dims}d", lowest, 3, 2, 1, ceil_mode=True, return_indices=True)
    agree(f"adaptive_max_pool{dims}d", lowest, 4, return_indices=True)


@pytest.mark.parametrize("shift", [100.0, 1e3])
def test_large_inputs(shift):
    picture = (pictures(2, dtype=torch.float32).detach() * shift + shift).requires_grad_()
    agree("avg_pool2d", picture, 3, 2, 1)
    agree("adaptive_avg_pool2d", picture, 3)
    agree("lp_pool2d", picture, 4, 2)


@pytest.mark.parametrize("dims", [1, 2])
def test_unbatched_and_empty_batch(device, dims):
    one, none = pictures(dims, device)[0].detach().requires_grad_(), torch.zeros(0, 3, *SIDES[dims], device=device)
    for name, arguments in [
        ("max_pool", (3, 2)),
        ("avg_pool", (3, 2)),
        ("lp_pool", (2, 3)),
        ("adaptive_avg_pool", (4,)),
    ]:
        agree(f"{name}{dims}d", one, *arguments)
        shape = getattr(functional, f"{name}{dims}d")(none, *arguments).shape
        assert getattr(convolution, f"{name}{dims}d")(none, *arguments).shape == shape
    assert getattr(convolution, f"adaptive_max_pool{dims}d")(none, 4).shape == (0, 3, *(4,) * dims)


def test_integers():
    picture = torch.randint(-9, 9, (2, 3, 7, 11))
    for name in ("max_pool2d", "avg_pool2d"):
        assert torch.equal(getattr(convolution, name)(picture, 2), getattr(functional, name)(picture, 2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(device, dtype):
    picture = pictures(2, device, dtype)
    assert torch.equal(max_pool2d(picture, 3, 2, 1), functional.max_pool2d(picture, 3, 2, 1))
    for name, arguments in [("avg_pool2d", (3, 2, 1)), ("adaptive_avg_pool2d", (4,)), ("lp_pool2d", (2, 2))]:
        output = getattr(convolution, name)(picture, *arguments)
        assert output.dtype == dtype
        exact = getattr(functional, name)(picture.double(), *arguments)
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(output.double(), exact, rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("max_pool2d", (3, 2, 1)),
        ("avg_pool2d", (3, 2, 1, True, False)),
        ("lp_pool2d", (2, 2)),
        ("adaptive_avg_pool2d", (3,)),
        ("adaptive_max_pool2d", (3,)),
    ],
)
def test_gradients_of_first_and_second_order(name, arguments):
    def call(x):
        return getattr(convolution, name)(x, *arguments)

    picture = torch.randperm(40, dtype=torch.float64).view(1, 2, 4, 5).add(1).requires_grad_()
    assert gradcheck(call, (picture,))
    assert gradgradcheck(call, (picture,))


@pytest.mark.parametrize(
    ("name", "arguments"), [("max_pool2d", (3, 2, 1)), ("avg_pool2d", (2,)), ("adaptive_avg_pool2d", (4,))]
)
def test_vmap(name, arguments):
    function, stack = getattr(convolution, name), torch.randn(5, 2, 3, 7, 11)
    looped = torch.stack([function(picture, *arguments) for picture in stack])
    torch.testing.assert_close(torch.vmap(lambda x: function(x, *arguments))(stack), looped)


@pytest.mark.compile
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("max_pool", (3, 2, 1)),
        ("avg_pool", (3, 2, 1)),
        ("lp_pool", (2.0, 2)),
        ("adaptive_avg_pool", (3,)),
        ("adaptive_max_pool", (3,)),
    ],
)
def test_compiles_whole(name, dims, arguments):
    torch._dynamo.reset()  # each case compiles the same lambda: it must not count as one recompiled
    function, picture = getattr(convolution, f"{name}{dims}d"), pictures(dims)
    compiled = torch.compile(lambda x: function(x, *arguments), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(picture), function(picture, *arguments))


@pytest.mark.compile
def test_the_others_compile_whole():
    picture = pictures(2).detach()
    maxima, indices = max_pool2d(picture, 2, return_indices=True)

    def both(picture, maxima):
        return k_max_pool1d(picture, 3), convolution.max_unpool2d(maxima, indices, 2, output_size=(7, 11))

    compiled = torch.compile(both, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(picture, maxima), both(picture, maxima))


P, S = torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 7)
I = torch.zeros(2, 3, 5, 7, dtype=torch.long)  # noqa: E741


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "arguments", "error", "match"),
    [
        ("max_pool2d", ([1.0], 2), TypeError, "input: expected a torch.Tensor; got list"),
        ("max_pool2d", (S[0], 2), ValueError, r"input: expected shape \(batch, channels, height, width\) or"),
        ("max_pool2d", (P[:, :, :0], 2), ValueError, "input: expected height and width of at least 1"),
        ("max_pool2d", (P, 6), ValueError, r"kernel_size: expected no more than the padded input, \(5, 7\)"),
        ("max_pool2d", (P, 0), ValueError, "kernel_size: expected at least 1; got 0"),
        ("max_pool2d", (P, 2.0), TypeError, "kernel_size: expected an integer or 2 of them; got 2.0"),
        ("max_pool2d", (P, (2, 2, 2)), ValueError, "kernel_size: expected an integer or 2 of them"),
        ("max_pool2d", (P, 2, 0), ValueError, "stride: expected at least 1; got 0"),
        ("max_pool2d", (P, 2, 1, 2), ValueError, r"padding: expected at most half of kernel_size \(2, 2\); got 2"),
        ("max_pool2d", (P, 2, 1, -1), ValueError, "padding: expected at least 0; got -1"),
        ("max_pool2d", (P, 2, 1, 0, 0), ValueError, "dilation: expected at least 1; got 0"),
        ("max_pool1d", (S[..., :2], 2, 1, 1, 3), ValueError, "padding: expected every window to hold an element"),
        ("max_pool1d", (S, 8), ValueError, r"kernel_size: expected no more than the padded input, \(7,\)"),
        ("avg_pool1d", (S, 2, 1, 2), ValueError, "padding: expected at most half"),
        ("avg_pool2d", (P, 2, 1, 0, False, True, 0), ValueError, "divisor_override: expected a number other than 0"),
        ("avg_pool2d", (S[0, 0], 2), ValueError, "input: expected shape"),
        ("lp_pool1d", (S, 0, 2), ValueError, "norm_type: expected a power other than 0"),
        ("lp_pool2d", (None, 2, 2), TypeError, "input: expected a torch.Tensor; got NoneType"),
        ("adaptive_max_pool1d", (S, -1), ValueError, "output_size: expected at least 0; got"),
        ("adaptive_max_pool2d", (P, (1, 2, 3)), ValueError, "output_size: expected an integer or 2 of them"),
        ("adaptive_avg_pool1d", (S, 1.5), TypeError, "output_size: expected an integer"),
        (
            "adaptive_avg_pool2d",
            (P.long(), 1),
            TypeError,
            "input: expected a floating-point tensor; got dtype",
        ),
        ("adaptive_avg_pool2d", (P[0, 0], 1), ValueError, "input: expected shape"),
        ("global_avg_pool2d", (P.long(),), TypeError, "input: expected a floating-point tensor"),
        ("global_avg_pool2d", (P[0, 0],), ValueError, "input: expected shape"),
        ("k_max_pool1d", (S, 8), ValueError, r"k: expected a number in \[0, 7\]; got 8"),
        ("k_max_pool1d", (S.sum(), 1), ValueError, "input: expected shape"),
        ("k_max_pool1d", (3.0, 1), TypeError, "input: expected a torch.Tensor"),
        ("max_unpool2d", (P, I.int(), 2), TypeError, "indices: expected dtype torch.int64; got torch.int32"),
        ("max_unpool2d", (P, I[0], 2), ValueError, "indices: expected the shape of input"),
        ("max_unpool2d", (P, I + 999, 2), ValueError, r"indices: expected positions in an output of size \(10, 14\)"),
        ("max_unpool2d", (P, I, 2, None, 0, (12, 14)), ValueError, "output_size: expected within less than the stride"),
        ("max_unpool1d", (S, S, 2), TypeError, "indices: expected dtype torch.int64; got torch.float32"),
    ],
)
def test_says_what_is_wrong(name, arguments, error, match):
    with pytest.raises(error, match=match):
        getattr(convolution, name)(*arguments)


LAYERS = [
    ("MaxPool1d", (3, 2, 1, 2), {"ceil_mode": True}),
    ("MaxPool1d", (2,), {}),
    ("MaxPool2d", ((3, 2), None, (1, 0)), {}),
    ("AvgPool1d", (3, 2, 1), {"count_include_pad": False}),
    ("AvgPool2d", (3, 2, 1, True), {"divisor_override": 5}),
    ("LPPool1d", (2, 3), {"ceil_mode": True}),
    ("LPPool2d", (4, (2, 3), 2), {}),
    ("AdaptiveMaxPool1d", (4,), {}),
    ("AdaptiveMaxPool2d", ((None, 4),), {}),
    ("AdaptiveAvgPool1d", (4,), {}),
    ("AdaptiveAvgPool2d", ((3, 4),), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), LAYERS)
def test_layers_are_torchs(name, arguments, options):
    mine, torchs = getattr(convolution, name)(*arguments, **options), getattr(nn, name)(*arguments, **options)
    picture = pictures(1 if "1d" in name else 2).detach()
    torch.testing.assert_close(mine(picture), torchs(picture))
    for setting in mine.settings:
        assert getattr(mine, setting) == getattr(torchs, setting)
    assert f"{next(iter(mine.settings))}=" in repr(mine)
    assert not mine.state_dict()


@pytest.mark.parametrize("dims", [1, 2])
def test_pooling_and_unpooling_layers(dims):
    picture = pictures(dims).detach()
    pool, peer = getattr(convolution, f"MaxPool{dims}d"), getattr(nn, f"MaxPool{dims}d")
    unpool, other = getattr(convolution, f"MaxUnpool{dims}d"), getattr(nn, f"MaxUnpool{dims}d")
    maxima, indices = pool(2, return_indices=True)(picture)
    assert torch.equal(indices, peer(2, return_indices=True)(picture)[1])
    assert torch.equal(unpool(2)(maxima, indices, picture.shape), other(2)(maxima, indices, picture.shape))
