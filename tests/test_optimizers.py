"""Optimizers: torch.optim as oracle over every combination of options, closed forms, what a step leaves alone."""

import copy
import inspect
import itertools
import math

import pytest
import torch
from torch import nn

from dlbook import optimizers
from dlbook.optimizers import SURFACES, TensorList, clip_grad_norm_, clip_grad_value_, trajectory

SHAPES = [(3, 5), (7,), (), (2, 3, 5), (0, 3)]


def grid(**options):
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


ADAM = {"lr": [0.02], "betas": [(0.8, 0.95)], "weight_decay": [0, 0.1], "amsgrad": [False, True]}
OPTIONS = {
    "SGD": grid(lr=[0.03], momentum=[0, 0.9], dampening=[0, 0.3], weight_decay=[0, 0.1], maximize=[False, True])
    + grid(lr=[0.03], momentum=[0.9], nesterov=[True], weight_decay=[0, 0.1], maximize=[False, True]),
    "Adagrad": grid(
        lr=[0.1],
        lr_decay=[0, 0.1],
        weight_decay=[0, 0.1],
        initial_accumulator_value=[0, 0.5],
        eps=[1e-10, 1e-2],
        maximize=[False, True],
    ),
    "Adadelta": grid(lr=[1.0, 5], rho=[0.9, 0.5], eps=[1e-6], weight_decay=[0, 0.1], maximize=[False, True]),
    "RMSprop": grid(
        lr=[0.01],
        alpha=[0.9],
        eps=[1e-4],
        weight_decay=[0, 0.1],
        momentum=[0, 0.9],
        centered=[False, True],
        maximize=[False, True],
    ),
    "Adam": grid(**ADAM, eps=[1e-8, 1e-2], decoupled_weight_decay=[False, True], maximize=[False, True]),
    "AdamW": grid(**ADAM, maximize=[False, True]),
    "NAdam": grid(
        lr=[0.02],
        betas=[(0.8, 0.95)],
        weight_decay=[0, 0.1],
        momentum_decay=[4e-3, 0.1],
        decoupled_weight_decay=[False, True],
        maximize=[False, True],
    ),
}
CASES = [(name, options) for name, all_options in OPTIONS.items() for options in [{}, *all_options]]
NAMES = [*OPTIONS, "Lion"]


def twins(device, dtype=torch.float64, shapes=SHAPES):
    """Two equal sets of parameters, one for us and one for torch."""
    values = [torch.randn(shape, device=device, dtype=dtype) for shape in shapes]
    return [[v.clone().requires_grad_() for v in values] for _ in range(2)]


def give_gradients(ours, theirs, scale=1.0):
    for p, q in zip(ours, theirs, strict=True):
        p.grad = torch.randn_like(p) * scale
        q.grad = p.grad.clone()


def run(steps, ours, theirs, params, peers):
    for i in range(steps):
        give_gradients(params, peers, scale=10.0 ** (i % 5 - 2))
        ours.step(), theirs.step()


def assert_equal(params, peers, **tolerance):
    torch.testing.assert_close([p.detach() for p in params], [q.detach() for q in peers], **tolerance)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_as_torch_in_every_combination_of_options(name, options, device):
    params, peers = twins(device)
    ours, theirs = getattr(optimizers, name)(params, **options), getattr(torch.optim, name)(peers, **options)
    run(17, ours, theirs, params, peers)
    # NAdam keeps its product of momenta in float32, as torch does
    assert_equal(params, peers, rtol=1e-9 if name != "NAdam" else 1e-6, atol=1e-12)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_as_torch_in_other_dtypes(name, dtype, device):
    params, peers = twins(device, dtype)
    ours, theirs = getattr(optimizers, name)(params, lr=0.01), getattr(torch.optim, name)(peers, lr=0.01)
    run(7, ours, theirs, params, peers)
    assert_equal(params, peers)
    assert all(p.dtype == dtype for p in params)


def test_mixed_dtypes_in_one_group(device):
    params, peers = twins(device)
    params[0], peers[0] = params[0].detach().float().requires_grad_(), peers[0].detach().float().requires_grad_()
    ours, theirs = optimizers.Adam(params, lr=0.1), torch.optim.Adam(peers, lr=0.1)
    run(5, ours, theirs, params, peers)
    assert_equal(params, peers)


@pytest.mark.parametrize(
    "options",
    grid(nesterov=[True, False], momentum=[0.95, 0.5], weight_decay=[0, 0.1], adjust_lr_fn=[None, "original"])
    + grid(adjust_lr_fn=["match_rms_adamw"], ns_steps=[3], ns_coefficients=[(2.0, -1.5, 0.5)], eps=[1e-3])
    + [{}],
)
def test_muon_as_torch(options, device):
    params, peers = twins(device, torch.float32, [(3, 5), (7, 2), (5, 5)])
    ours, theirs = optimizers.Muon(params, **options), torch.optim.Muon(peers, **options)
    run(9, ours, theirs, params, peers)
    assert_equal(params, peers, rtol=1e-3, atol=1e-4)


def test_orthogonalize_brings_singular_values_near_one(device):
    matrix = torch.randn(7, 23, device=device)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    for m in (matrix, matrix.T, 1000 * matrix):
        values = torch.linalg.svdvals(optimizers.orthogonalize(m).float())
        assert 0.6 < values.min() < values.max() < 1.3
    # coefficients that converge lead to the polar factor itself
    polar = optimizers.orthogonalize(matrix, (1.875, -1.25, 0.375), steps=20).float()
    torch.testing.assert_close(polar, u @ vh, atol=0.03, rtol=0)


def test_lion_as_its_paper(device):
    (params, peers) = twins(device)
    lr, b1, b2, decay = 0.03, 0.8, 0.95, 0.2
    ours, means = optimizers.Lion(params, lr, (b1, b2), decay), [torch.zeros_like(q) for q in peers]
    for _ in range(9):
        give_gradients(params, peers)
        ours.step()
        for q, m in zip(peers, means, strict=True):
            c = b1 * m + (1 - b1) * q.grad
            q.data = q.data - lr * (torch.sign(c) + decay * q.data)
            m.copy_(b2 * m + (1 - b2) * q.grad)
    assert_equal(params, peers)


# ---- torch's surroundings: state, groups, schedulers, hooks, closures


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9}),
        ("SGD", {}),
        ("Adagrad", {}),
        ("Adadelta", {}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {}),
        ("NAdam", {}),
        ("Muon", {}),
    ],
)
@pytest.mark.parametrize("steps", [0, 3])
def test_state_dict_loads_both_ways(name, options, steps, device):
    params, peers = twins(device, torch.float32, [(3, 5), (5, 2)])
    ours, theirs = getattr(optimizers, name)(params, **options), getattr(torch.optim, name)(peers, **options)
    run(steps, ours, theirs, params, peers)
    mine, yours = ours.state_dict(), theirs.state_dict()
    assert {k: set(v) for k, v in mine["state"].items()} == {k: set(v) for k, v in yours["state"].items()}
    ours.load_state_dict(copy.deepcopy(yours))
    theirs.load_state_dict(copy.deepcopy(mine))
    run(3, ours, theirs, params, peers)
    assert_equal(params, peers, rtol=1e-3, atol=1e-4)


def test_adamw_stays_adamw_when_it_loads_adams_state():
    w = torch.ones(1, requires_grad=True)
    ours = optimizers.AdamW([w])
    ours.load_state_dict(torch.optim.Adam([w]).state_dict())
    assert ours.param_groups[0]["decoupled_weight_decay"]


@pytest.mark.parametrize("name", NAMES)
def test_groups_missing_gradients_and_late_parameters(name):
    (params, peers) = twins("cpu")
    late, peer_late = params.pop(), peers.pop()
    peer_class = getattr(torch.optim, name, optimizers.Lion)  # against itself for Lion: one group a parameter
    ours = getattr(optimizers, name)([{"params": params[:2], "lr": 0.1}, {"params": params[2:]}], lr=0.01)
    theirs = [peer_class([q], lr=0.1 if i < 2 else 0.01) for i, q in enumerate(peers)]
    for i in range(6):
        if i == 3:
            ours.add_param_group({"params": [late], "lr": 0.5})
            theirs.append(peer_class([peer_late], lr=0.5))
            params, peers = [*params, late], [*peers, peer_late]
        give_gradients(params, peers)
        params[1].grad = peers[1].grad = None if i % 2 else peers[1].grad  # falls behind the others in steps
        ours.step()
        for t in theirs:
            t.step()
    assert_equal(params, peers, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_left_alone(name):
    params, peers = twins("cpu")
    ours = getattr(optimizers, name)(params, weight_decay=0.1, maximize=True)
    give_gradients(params, peers)
    ours.step()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(params, peers, strict=True))


@pytest.mark.parametrize("name", OPTIONS)
def test_torch_schedulers_and_hooks_work(name):
    params, peers = twins("cpu")
    ours, theirs = getattr(optimizers, name)(params, lr=0.1), getattr(torch.optim, name)(peers, lr=0.1)
    calls = []
    ours.register_step_post_hook(lambda *_: calls.append(1))
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(o, 7) for o in (ours, theirs)]
    for _ in range(7):
        run(1, ours, theirs, params, peers)
        for scheduler in schedulers:
            scheduler.step()
    assert len(calls) == 7
    assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
    assert_equal(params, peers, rtol=1e-6, atol=1e-9)


def test_one_cycle_moves_the_momentum_too():
    params, peers = twins("cpu")
    ours, theirs = optimizers.NAdam(params), torch.optim.NAdam(peers)
    schedulers = [torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=9) for o in (ours, theirs)]
    for _ in range(8):
        run(1, ours, theirs, params, peers)
        for scheduler in schedulers:
            scheduler.step()
    assert ours.param_groups[0]["betas"] == theirs.param_groups[0]["betas"] != (0.9, 0.999)
    assert_equal(params, peers, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_closure_runs_with_gradients_and_returns_the_loss(name):
    w = torch.tensor([3.0], requires_grad=True)
    optimizer = getattr(optimizers, name)([w])

    def closure():
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert w.item() < 3.0
    assert optimizer.step() is None


@pytest.mark.parametrize("name", NAMES)
def test_tensor_lr_is_read_at_every_step(name):
    params, peers = twins("cpu")
    lr = torch.tensor(0.01, dtype=torch.float64)
    ours, plain = getattr(optimizers, name)(params, lr=lr), getattr(optimizers, name)(peers, lr=0.01)
    for _ in range(2):
        run(2, ours, plain, params, peers)
        lr.fill_(0.2)
        plain.param_groups[0]["lr"] = 0.2
    assert_equal(params, peers)


def test_named_parameters_are_accepted():
    model = nn.Linear(3, 2)
    optimizer = optimizers.Adam(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize("name", NAMES)
def test_differentiable_step_has_the_derivative_by_the_learning_rate(name):
    start, target = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    extra = {"momentum": 0.5} if name in {"SGD", "RMSprop"} else {}

    def after_three_steps(lr):
        w = start.clone().requires_grad_() * 1.0  # not a leaf
        optimizer = getattr(optimizers, name)([w], lr=lr, differentiable=True, weight_decay=0.1, **extra)
        for _ in range(3):
            (w.grad,) = torch.autograd.grad(((w - target) ** 4).sum(), w, create_graph=True)
            optimizer.step()
        return (w**2).sum()

    if name == "Lion":  # the sign's derivative is zero, but the path still depends on lr
        lr = torch.tensor(0.001, dtype=torch.float64, requires_grad=True)
    else:
        lr = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(after_three_steps, (lr,), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_huge_and_infinite_gradients_as_torch(name):
    if name == "Lion":
        w = torch.zeros(2, requires_grad=True)
        w.grad = torch.tensor([1e30, -math.inf])
        optimizers.Lion([w], lr=0.5).step()
        torch.testing.assert_close(w.detach(), torch.tensor([-0.5, 0.5]))
        return
    params, peers = twins("cpu", torch.float32, [(4,)])
    # torch's foreach form: its loop form differs from it where a square overflows
    ours, theirs = getattr(optimizers, name)(params), getattr(torch.optim, name)(peers, foreach=True)
    for grad in ([1e20, 1e-30, math.inf, 0.0], [1e20, 1e30, 1.0, math.nan], [1.0, 1.0, 1.0, 1.0]):
        params[0].grad, peers[0].grad = torch.tensor(grad), torch.tensor(grad)
        ours.step(), theirs.step()
    assert_equal(params, peers, equal_nan=True)


def test_trains_a_network(device):
    x = torch.randn(64, 5, device=device)
    y = (x[:, 0] * x[:, 1] > 0).long()
    for name in NAMES:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 2)).to(device)
        options = {"SGD": {"lr": 0.5, "momentum": 0.9}, "Adadelta": {"lr": 5.0}, "Adagrad": {"lr": 0.1}}
        optimizer = getattr(optimizers, name)(model.parameters(), **options.get(name, {"lr": 0.01}))
        for _ in range(150):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.2, name


@pytest.mark.compile
def test_rules_compile_into_one_graph(monkeypatch):
    # the tests' shape checker wraps every method, which the compiler cannot see through
    for method, function in list(vars(TensorList).items()):
        if inspect.isfunction(function):
            monkeypatch.setattr(TensorList, method, inspect.unwrap(function))

    def update(w, g, m, v):
        lists = [TensorList(pair) for pair in (w, g, m, v)]
        hyper = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1, "decoupled_weight_decay": True}
        optimizers.adam(*lists, None, 3, **hyper)
        return w

    def state():
        torch.manual_seed(0)
        return [[torch.rand(3), torch.rand(5)] for _ in range(4)]

    compiled = torch.compile(update, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*state()), update(*state()))


# ---- closed forms


@pytest.mark.parametrize(("lr", "grows"), [(0.19, False), (0.21, True)])
def test_descent_is_stable_below_two_over_the_curvature(lr, grows):
    path = trajectory("sgd", SURFACES["valley"], torch.tensor([3.0, 1.0], dtype=torch.float64), 50, lr=lr)
    expected = (1 - 10 * lr) ** torch.arange(51, dtype=torch.float64)  # the steep coordinate's own closed form
    torch.testing.assert_close(path[:, 1], expected)
    assert (path[-1, 1].abs() > 1) == grows


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Lion", "Adagrad"])
def test_first_step_is_the_learning_rate_whatever_the_gradient(name):
    w = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    w.grad = torch.tensor([1e-3, -1.0, 1e4, 0.0], dtype=torch.float64)
    options = {} if name == "Lion" else {"eps": 0.0 if name != "Adagrad" else 1e-30}
    w.grad[3] = 2.0 if name in {"Adam", "AdamW"} else 0.0  # 0/0 without eps
    getattr(optimizers, name)([w], lr=0.1, **options).step()
    torch.testing.assert_close(w.detach(), -0.1 * w.grad.sign())


def test_l2_and_decoupled_decay_are_one_for_sgd_and_two_for_adam():
    def after(kind, **options):
        w = torch.tensor([2.0, 5.0], requires_grad=True)
        w.grad = torch.tensor([1.0, -0.1])
        kind([w], lr=0.1, **options).step()
        return w.detach()

    shrunk = torch.tensor([2.0, 5.0]) * (1 - 0.1 * 0.5) - 0.1 * torch.tensor([1.0, -0.1])
    torch.testing.assert_close(after(optimizers.SGD, weight_decay=0.5), shrunk)
    l2, decoupled = after(optimizers.Adam, weight_decay=0.5), after(optimizers.AdamW, weight_decay=0.5)
    torch.testing.assert_close(decoupled, torch.tensor([1.8, 4.85]))
    torch.testing.assert_close(l2, torch.tensor([1.9, 4.9]))


# ---- Newton


def test_newton_reaches_the_bottom_of_a_quadratic_in_one_step(device):
    matrix = torch.randn(7, 7, dtype=torch.float64, device=device)
    matrix, b = matrix @ matrix.T + torch.eye(7, device=device), torch.randn(7, dtype=torch.float64, device=device)
    first, rest = (torch.randn(n, dtype=torch.float64, device=device).requires_grad_() for n in (3, 4))

    def loss():
        w = torch.cat([first, rest])
        return w @ matrix @ w / 2 - b @ w

    before = loss().item()
    assert optimizers.Newton([first, rest]).step(loss).item() == before
    torch.testing.assert_close(torch.cat([first, rest]).detach(), torch.linalg.solve(matrix, b))


def test_newton_damping_and_rate():
    w = torch.tensor([2.0, -3.0], requires_grad=True)
    optimizers.Newton([w], lr=0.5, damping=3.0).step(lambda: (w**2).sum())  # gradient 2w, Hessian 2
    torch.testing.assert_close(w.detach(), torch.tensor([2.0, -3.0]) * (1 - 0.5 * 2 / 5))


def test_newton_goes_to_the_saddle():
    path = trajectory("newton", SURFACES["saddle"], torch.tensor([1.0, 0.2]), steps=5)
    torch.testing.assert_close(path[-1], torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.bad_input
def test_newton_errors():
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="singular"):
        optimizers.Newton([w]).step(lambda: w.sum())
    with pytest.raises(RuntimeError, match="singular"):
        optimizers.Newton([w]).step(lambda: w[0] ** 2)
    assert torch.equal(w.detach(), torch.ones(2))

    def backward_closure():
        loss = (w**2).sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match="no call of backward"):
        optimizers.Newton([w]).step(backward_closure)
    with pytest.raises(ValueError, match=r"at most 5000 numbers; got 5001, whose Hessian has 25,010,001"):
        optimizers.Newton([torch.zeros(5001, requires_grad=True)])
    with pytest.raises(TypeError, match="one floating-point dtype"):
        optimizers.Newton([w, torch.ones(2, dtype=torch.float64, requires_grad=True)])


# ---- clipping


@pytest.mark.parametrize("norm_type", [2.0, 1, 0.5, 3.0, math.inf, "inf", 0.0])
@pytest.mark.parametrize("max_norm", [0.1, 1e6, 0])
def test_clip_grad_norm_as_torch(norm_type, max_norm, device):
    params, peers = twins(device, torch.float32, SHAPES[:4])  # an empty tensor has no largest entry
    give_gradients(params, peers)
    params[1].grad = peers[1].grad = None
    expected = nn.utils.clip_grad_norm_(peers, max_norm, norm_type)
    torch.testing.assert_close(clip_grad_norm_((p for p in params), max_norm, norm_type), expected)
    for p, q in zip(params, peers, strict=True):
        assert (p.grad is None and q.grad is None) or torch.allclose(p.grad, q.grad)


def test_clipping_mixed_dtypes_one_tensor_and_none(device):
    params, peers = twins(device, torch.float32)
    params[0], peers[0] = params[0].detach().double().requires_grad_(), peers[0].detach().double().requires_grad_()
    give_gradients(params, peers, 100)
    torch.testing.assert_close(clip_grad_norm_(params, 1.0), nn.utils.clip_grad_norm_(peers, 1.0))
    assert clip_grad_norm_(params[2], 1.0) == params[2].grad.abs()
    clip_grad_value_(params, 0.01), nn.utils.clip_grad_value_(peers, 0.01)
    assert all(torch.allclose(p.grad, q.grad) for p, q in zip(params, peers, strict=True))
    assert clip_grad_norm_([torch.zeros(3, requires_grad=True)], 1.0) == 0
    clip_grad_value_([], 1)


def test_clipping_non_finite_gradients():
    w, peer = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    w.grad, peer.grad = torch.tensor([1.0, math.inf]), torch.tensor([1.0, math.inf])
    with pytest.raises(RuntimeError, match="finite norm; got inf"):
        clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    assert clip_grad_norm_(w, 1.0) == nn.utils.clip_grad_norm_(peer, 1.0) == math.inf
    torch.testing.assert_close(w.grad, peer.grad, equal_nan=True)
    w.grad = torch.tensor([-math.inf, math.nan])
    clip_grad_value_(w, 2)
    torch.testing.assert_close(w.grad, torch.tensor([-2.0, math.nan]), equal_nan=True)


# ---- trajectories


GRIDS = {
    "SGD": {"momentum": torch.tensor([0.0, 0.5, 0.9]), "dampening": 0.2},
    "Adagrad": {"lr_decay": torch.tensor([0.0, 0.1, 0.5]), "initial_accumulator_value": torch.tensor([2.0, 0.0, 0.5])},
    "Adadelta": {"rho": torch.tensor([0.1, 0.5, 0.9])},
    "RMSprop": {"alpha": torch.tensor([0.1, 0.5, 0.9]), "momentum": 0.5, "centered": True},
    "Adam": {"betas": (torch.tensor([0.0, 0.5, 0.9]), 0.9), "amsgrad": True},
    "AdamW": {"weight_decay": torch.tensor([0.0, 0.1, 0.5])},
    "NAdam": {"betas": (torch.tensor([0.0, 0.5, 0.9]), 0.9), "momentum_decay": 0.1},
    "Lion": {"betas": (0.9, torch.tensor([0.0, 0.5, 0.9]))},
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_of_runs_is_each_run_of_the_class(name, device):
    lrs = torch.tensor([0.003, 0.05], dtype=torch.float64, device=device)[:, None]
    starts = torch.tensor([[-1.5, 1.0], [0.5, 2.0], [2.0, -0.3]], dtype=torch.float64, device=device)
    hyper = GRIDS[name]
    paths = trajectory(name.lower(), SURFACES["ripples"], starts, 12, lr=lrs, **hyper)
    assert paths.shape == (2, 3, 13, 2)
    assert paths.dtype == torch.float64
    for i, j in itertools.product(range(2), range(3)):
        pick = lambda v, j=j: v[j].item() if isinstance(v, torch.Tensor) else v  # noqa: E731
        options = {k: tuple(map(pick, v)) if isinstance(v, tuple) else pick(v) for k, v in hyper.items()}
        w = starts[j].clone().requires_grad_()
        optimizer = getattr(optimizers, name)([w], lr=lrs[i].item(), **options)
        for k in range(13):
            torch.testing.assert_close(paths[i, j, k], w.detach(), rtol=1e-6, atol=1e-6)
            optimizer.zero_grad()
            SURFACES["ripples"](w).backward()
            optimizer.step()


def test_newton_trajectory_is_the_class_too():
    start = torch.tensor([[-1.0, 1.5], [0.3, 0.4]], dtype=torch.float64)
    lr, damping = torch.tensor([[0.5], [1.0], [0.1]]), torch.tensor([1.0, 50.0])
    paths = trajectory("newton", SURFACES["rosenbrock"], start, 4, lr=lr, damping=damping)
    assert paths.shape == (3, 2, 5, 2)
    for i, j in itertools.product(range(3), range(2)):
        w = start[j].clone().requires_grad_()
        optimizer = optimizers.Newton([w], lr=lr[i].item(), damping=damping[j].item())
        for _ in range(4):
            optimizer.step(lambda w=w: SURFACES["rosenbrock"](w))
        torch.testing.assert_close(paths[i, j, -1], w.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [*GRIDS, "Newton"])
@pytest.mark.parametrize("surface", SURFACES)
def test_a_run_that_diverges_raises_nothing_and_disturbs_no_other(name, surface):
    start = torch.tensor([-1.3, 1.7])
    lrs = torch.tensor([1e-3, 1e6])
    both = trajectory(name.lower(), SURFACES[surface], start, 40, lr=lrs)
    assert both.shape == (2, 41, 2)
    assert both[0].isfinite().all()
    torch.testing.assert_close(both[0], trajectory(name.lower(), SURFACES[surface], start, 40, lr=1e-3))


def test_trajectory_of_no_steps_and_of_an_empty_batch():
    start = torch.zeros(3, 0, 2)
    assert trajectory("adam", SURFACES["valley"], start, 0).shape == (3, 0, 1, 2)
    assert trajectory("newton", SURFACES["valley"], torch.ones(5, 2), 1).shape == (5, 2, 2)


@pytest.mark.parametrize(
    ("surface", "point", "largest"),
    [
        ("valley", (0, 0), 10),
        ("ravine", (0, 0), 100),
        ("rosenbrock", (1, 1), 1001.6),
        ("saddle", (0, 1), 2),
        ("plateau", (0, 0), 1),
        ("ripples", (0, 0), 4.6),
    ],
)
def test_surfaces_have_the_curvature_they_state(surface, point, largest):
    function, at = SURFACES[surface], torch.tensor(point, dtype=torch.float64)
    assert torch.func.grad(function)(at).abs().max() < 1e-12
    curvature = torch.linalg.eigvalsh(torch.func.hessian(function)(at)).max().item()
    assert curvature == pytest.approx(largest, rel=1e-4)
    assert function(torch.zeros(2, 3, 2)).shape == (2, 3)


# ---- errors


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"lr": -1}, r"lr: expected a number in \[0, inf\]; got -1"),
        ("SGD", {"lr": torch.ones(2)}, "lr: expected a number or a one-element tensor; got shape"),
        ("SGD", {"momentum": -0.1}, "momentum: "),
        ("SGD", {"weight_decay": -0.1}, "weight_decay: "),
        ("SGD", {"nesterov": True}, "nesterov: expected momentum above 0"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov: "),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value: "),
        ("Adagrad", {"lr_decay": -1}, "lr_decay: "),
        ("Adadelta", {"rho": 1.5}, r"rho: expected a number in \[0, 1\]; got 1.5"),
        ("RMSprop", {"alpha": -1}, "alpha: "),
        ("Adam", {"betas": (0.9, 1.0)}, r"betas\[1\]: expected a number in \[0, 1\); got 1.0"),
        ("Adam", {"eps": math.nan}, "eps: "),
        ("AdamW", {"betas": (-0.1, 0.9)}, r"betas\[0\]: "),
        ("NAdam", {"momentum_decay": -1}, "momentum_decay: "),
        ("Lion", {"betas": (1.0, 0.9)}, r"betas\[0\]: "),
        ("Muon", {"adjust_lr_fn": "rms"}, "adjust_lr_fn: expected one of None, 'original', 'match_rms_adamw'"),
        ("Newton", {"damping": -1}, "damping: "),
    ],
)
def test_bad_hyperparameters(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(optimizers, name)([torch.ones(2, 2, requires_grad=True)], **options)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", [*NAMES, "Muon"])
def test_sparse_gradients_are_refused(name):
    w = torch.ones(2, 2, requires_grad=True)
    w.grad = torch.ones(2, 2).to_sparse()
    with pytest.raises(RuntimeError, match=f"{name} does not support sparse gradients"):
        getattr(optimizers, name)([w]).step()


@pytest.mark.bad_input
def test_muon_and_orthogonalize_errors():
    with pytest.raises(ValueError, match=r"params: expected shape \(rows, columns\) for every parameter; got \(3,\)"):
        optimizers.Muon([torch.ones(3, requires_grad=True)])
    with pytest.raises(TypeError, match=r"real matrices; got dtype torch\.complex64"):
        optimizers.Muon([torch.ones(2, 2, dtype=torch.complex64, requires_grad=True)])
    with pytest.raises(ValueError, match="fewer than 100; got 100"):
        optimizers.orthogonalize(torch.eye(2), steps=100)
    with pytest.raises(ValueError, match="expected 3 numbers; got 2"):
        optimizers.orthogonalize(torch.eye(2), (1.0, 2.0))
    with pytest.raises(ValueError, match="matrix: expected shape"):
        optimizers.orthogonalize(torch.ones(2, 2, 2))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "rule: expected one of 'sgd', .*; got 'muon'", {"rule": "muon"}),
        (TypeError, "start: expected a floating-point tensor; got dtype torch.int64", {"start": torch.tensor([1, 2])}),
        (ValueError, "steps: ", {"steps": -1}),
        (TypeError, "sgd: expected hyperparameters among .*; got .'beta'", {"beta": 0.9}),
        (ValueError, "lr: expected a number in .*; got -1", {"lr": torch.tensor([0.1, -1.0])}),
        (TypeError, "nesterov: expected one True or False for all runs", {"nesterov": torch.tensor([True, False])}),
        (ValueError, r"surface: expected one height a point, shape \(\); got \(2,\)", {"surface": lambda p: p**2}),
    ],
)
def test_trajectory_errors(error, message, change):
    arguments = {"rule": "sgd", "surface": SURFACES["valley"], "start": torch.ones(2), "steps": 3, "lr": 0.1, **change}
    with pytest.raises(error, match=message):
        trajectory(**arguments)


def test_tensor_list_reads_as_one_tensor(device):
    def lists():
        torch.manual_seed(1)
        return [TensorList(torch.rand(shape, device=device) + 0.5 for shape in [(3,), (2, 5)]) for _ in range(3)]

    half = torch.tensor(0.5, device=device)
    for scale in (0.5, half):  # a number and a tensor do the same
        a, b, c = lists()
        a.addcmul_(b, c, value=scale).addcdiv_(b, c, value=scale).add_(b, alpha=scale).mul_(scale).div_(b).add_(scale)
        a = a.lerp(c, scale).lerp_(b, scale).add(c, alpha=scale).maximum_(b).sqrt().sqrt_().sign() + scale
        x, y, z = lists()
        for left, u, v, w in zip(a, x, y, z, strict=True):
            u = (u + 0.5 * v * w + 0.5 * v / w + 0.5 * v) * 0.5 / v + 0.5
            u = torch.maximum(u.lerp(w, 0.5).lerp(v, 0.5) + 0.5 * w, v).sqrt().sqrt().sign() + 0.5
            torch.testing.assert_close(left, u)


def test_the_rules_alone_take_the_same_two_steps_by_hand():
    """Each pure rule, on a gradient of 2 and then of -1, from its formula in plain arithmetic."""

    def two_steps(rule, states, **hyper):
        weight, memory = TensorList([torch.tensor([1.0]).double()]), [TensorList([s.clone()]) for s in states]
        for step, gradient in enumerate((2.0, -1.0), 1):
            rule(weight, TensorList([torch.tensor([gradient]).double()]), memory, step, **hyper)
        return weight.tensors[0].item()

    zero = torch.zeros(1).double()
    common = {"lr": 0.1, "weight_decay": 0}
    got = two_steps(lambda w, g, m, t, **h: optimizers.adagrad(w, g, m[0], t, lr_decay=0, eps=0, **h), [zero], **common)
    assert got == pytest.approx(1 - 0.1 * (1 - 1 / 5**0.5))
    got = two_steps(
        lambda w, g, m, _, **h: optimizers.rmsprop(w, g, m[0], None, None, alpha=0.5, eps=0, momentum=0, **h),
        [zero],
        **common,
    )
    assert got == pytest.approx(1 - 0.1 * (2 / 2**0.5 - 1 / 1.5**0.5))
    got = two_steps(lambda w, g, m, _, **h: optimizers.lion(w, g, m[0], betas=(0.5, 0.5), **h), [zero], **common)
    assert got == pytest.approx(1 - 0.1 * (1 + 0)), "the second running mean, (1 - 1) / 2, has no sign"
    got = two_steps(
        lambda w, g, m, _, **h: optimizers.adadelta(w, g, m[0], m[1], rho=0.5, eps=1.0, **h), [zero, zero], **common
    )
    first = 2 / 3**0.5
    second = ((0.5 * first**2 + 1) / 2.5) ** 0.5
    assert got == pytest.approx(1 - 0.1 * (first - second))


def test_nadams_momentum_warms_up_to_beta():
    assert optimizers.nadam_momentum(0.9, 0.004, 1) == pytest.approx(0.9 * (1 - 0.5 * 0.96**0.004))
    assert optimizers.nadam_momentum(0.9, 0.004, 1e6) == pytest.approx(0.9)
    weight, mean, square = (TensorList([torch.tensor([x]).double()]) for x in (1.0, 0.0, 0.0))
    hyper = {"lr": 0.1, "betas": (0.0, 0.0), "eps": 0, "weight_decay": 0, "momentum_decay": 0.0}
    optimizers.nadam(
        weight, TensorList([torch.tensor([-3.0]).double()]), mean, square, 0.0, 1, decoupled_weight_decay=False, **hyper
    )
    assert weight.tensors[0].item() == pytest.approx(1.1), "without memory it is sign descent"
