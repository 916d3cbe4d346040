import itertools
import math
import sys
import warnings

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlbook import training, tuning
from dlbook.tuning import Search, Trial, choice, integers, log_uniform, uniform
from dlbook.tuning.space import Choice, Range

SPACE = {"x": (-5.0, 5.0), "scale": log_uniform(1e-3, 1e3), "n": integers(1, 7), "rule": ["sgd", "adam", None]}
BOWL = {"x": uniform(-5.0, 5.0), "y": log_uniform(1e-3, 1e3)}


def bowl(params):
    return (params["x"] - 1) ** 2 + (math.log10(params["y"]) + 1) ** 2


def together(objective):
    """The same objective for several sets of parameters at once."""
    return lambda several: [objective(params) for params in several]


# ------------------------------------------------------------------------------------------------------------ spaces


def test_a_space_is_written_in_lists_and_pairs_or_in_words():
    assert uniform(0.0, 1.0) == Range(0.0, 1.0)
    assert log_uniform(0.1, 1.0) == Range(0.1, 1.0, log=True)
    assert integers(1, 64, log=True) == Range(1, 64, log=True, whole=True)
    assert choice(3, "a") == Choice((3, "a"))
    for entry, values in [
        (torch.tensor([0.5, 0.25]), {0.5, 0.25}),
        (np.array([1, 2]), {1, 2}),
        (range(3), {0, 1, 2}),
        ([F.relu, torch.tanh], {F.relu, torch.tanh}),
    ]:
        assert {params["p"] for params in tuning.grid(lambda p: 0.0, {"p": entry}).params} == values
    ((low,), (high,)) = (
        {params["p"] for params in tuning.random_search(lambda p: 0.0, {"p": (end, end)}, trials=3).params}
        for end in (np.float64(2.5), 3)
    )
    assert (low, high) == (2.5, 3)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (ValueError, r"high: expected a number in \[2, inf\); got 1", lambda: uniform(2.0, 1.0)),
        (ValueError, r"high: .*got inf", lambda: uniform(2.0, math.inf)),
        (ValueError, r"low: .*got nan", lambda: uniform(math.nan, 1.0)),
        (ValueError, r"low: expected a number in \(0, inf\]; got 0", lambda: log_uniform(0.0, 1.0)),
        (ValueError, r"low: expected a number in \(0, inf\]; got 0", lambda: integers(0, 3, log=True)),
        (TypeError, "expected whole numbers; got 0.5, 3", lambda: integers(0.5, 3)),
        (ValueError, "values: expected one or more; got none", lambda: choice()),
        (ValueError, "space: expected one hyperparameter", lambda: tuning.random_search(bowl, {})),
        (TypeError, "space: expected a dict .*; got list", lambda: tuning.random_search(bowl, ["x"])),
        (TypeError, "objective: expected a function; got dict", lambda: tuning.random_search(BOWL, BOWL)),
        (TypeError, "train: expected a function; got dict", lambda: tuning.successive_halving(BOWL, BOWL)),
        (TypeError, "x: expected a list of values, .*got 'abc'", lambda: tuning.random_search(bowl, {"x": "abc"})),
        (TypeError, r"x: .*got \(1, 2, 3\)", lambda: tuning.random_search(bowl, {"x": (1, 2, 3)})),
        (TypeError, r"x: .*got 0\.1", lambda: tuning.grid(bowl, {"x": 0.1})),
        (ValueError, "x: expected a list of values for a grid; got every number from -5.0 to 5.0",
         lambda: tuning.grid(bowl, BOWL)),
    ],
)  # fmt: skip
def test_bad_spaces_are_named(error, message, make):
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------------------------------------------------- searches


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3), batch=st.none() | st.integers(1, 9))
@settings(deadline=None, max_examples=15)
def test_a_grid_is_every_combination_once_and_in_order(sizes, batch):
    space = {f"p{i}": [f"{i}{k}" for k in range(size)] for i, size in enumerate(sizes)}
    worth = lambda params: float(sum(int(value) for value in params.values()))  # noqa: E731
    found = tuning.grid(together(worth) if batch else worth, space, batch=batch)
    assert found.params == [dict(zip(space, point, strict=True)) for point in itertools.product(*space.values())]
    assert found.values == [worth(params) for params in found.params]
    assert found.best_params == found.params[0]


def test_a_grid_knows_whole_numbers():
    found = tuning.grid(lambda p: p["n"] * p["k"], {"n": integers(2, 4), "k": [1, -1]}, direction="maximize")
    assert [tuple(params.values()) for params in found.params] == [(2, 1), (2, -1), (3, 1), (3, -1), (4, 1), (4, -1)]
    assert (found.best_params, found.best_value) == ({"n": 4, "k": 1}, 4.0)


def test_random_points_have_the_distribution_that_the_space_names():
    found = tuning.random_search(lambda params: 0.0, SPACE, trials=2000, seed=0)
    columns = {name: [params[name] for params in found.params] for name in SPACE}
    for name, edges in [("x", (-5, 5)), ("scale", (math.log(1e-3), math.log(1e3)))]:
        column = np.array(columns[name] if name == "x" else np.log(columns[name]))
        shares = np.histogram(column, 8, edges)[0] / 2000
        assert shares.sum() == 1
        assert abs(shares - 1 / 8).max() < 0.05  # six standard deviations
    for name, values in [("n", range(1, 8)), ("rule", SPACE["rule"])]:
        shares = np.array([columns[name].count(value) for value in values]) / 2000
        assert shares.sum() == pytest.approx(1)
        assert abs(shares - 1 / len(values)).max() < 0.06
    assert all(type(n) is int for n in columns["n"])


def test_random_points_do_not_depend_on_the_batch():
    alone = tuning.random_search(bowl, BOWL, trials=13, seed=3)
    batches = []

    def objective(several):
        batches.append(len(several))
        return torch.tensor([bowl(params) for params in several], dtype=torch.float64)

    batched = tuning.random_search(objective, BOWL, trials=13, seed=3, batch=5)
    assert batches == [5, 5, 3]
    assert batched.params == alone.params
    assert batched.values == pytest.approx(alone.values)


@pytest.mark.parametrize("search", [tuning.random_search, tuning.bayesian])
@pytest.mark.parametrize("batch", [None, 4])
def test_a_seed_settles_the_search(search, batch):
    def run(seed):
        return search(together(bowl) if batch else bowl, BOWL, trials=20, seed=seed, batch=batch)

    assert run(1).trials == run(1).trials
    assert run(1).trials != run(2).trials
    torch.manual_seed(5)
    first = run(None)
    assert run(None).trials != first.trials
    torch.manual_seed(5)
    assert run(None).trials == first.trials


@pytest.mark.parametrize(("batch", "direction"), [(None, "minimize"), (5, "maximize")])
def test_a_model_of_the_bowl_beats_chance(batch, direction):
    sign = 1 if direction == "minimize" else -1
    worth = lambda params: sign * bowl(params)  # noqa: E731
    wins = 0
    for seed in range(8):
        drawn = tuning.random_search(worth, BOWL, trials=40, seed=seed, direction=direction)
        asked = tuning.bayesian(together(worth) if batch else worth, BOWL, trials=40, seed=seed, batch=batch,
                                direction=direction)  # fmt: skip
        wins += sign * asked.best_value < sign * drawn.best_value
    assert wins >= 6, f"{wins} of 8"


def test_a_batch_of_one_model_keeps_its_points_apart():
    found = tuning.bayesian(together(bowl), BOWL, trials=40, seed=0, batch=20)
    points = torch.tensor([[p["x"] / 10, math.log10(p["y"]) / 6] for p in found.params[20:]])
    assert torch.pdist(points).min() > 1e-4


def test_startup_trials_are_those_of_chance():
    drawn = tuning.random_search(bowl, BOWL, trials=12, seed=4)
    asked = tuning.bayesian(bowl, BOWL, trials=12, seed=4, startup=7)
    assert asked.params[:7] == drawn.params[:7]
    assert asked.params[8:] != drawn.params[8:]


def test_lists_and_whole_numbers_in_a_model():
    found = tuning.bayesian(lambda p: p["n"] + (p["rule"] is None) + abs(p["x"]), SPACE, trials=40, seed=0)
    assert found.best_value < 5
    assert {type(params["n"]) for params in found.params} == {int}
    assert {params["rule"] for params in found.params} <= {"sgd", "adam", None}


# ------------------------------------------------------------------------------------------------- what a search says


@given(values=st.lists(st.floats(-9, 9) | st.just(math.nan), min_size=1, max_size=12), up=st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_best_so_far_only_gets_better(values, up):
    found = Search(
        tuple(Trial({"i": i}, value) for i, value in enumerate(values)), "maximize" if up else "minimize", None
    )
    kept = [value for value in values if not math.isnan(value)]
    path = found.best_so_far
    assert len(path) == len(values)
    for i, best in enumerate(path):
        seen = [value for value in values[: i + 1] if not math.isnan(value)]
        assert best == (max if up else min)(seen) if seen else math.isnan(best)
    if kept:
        assert found.best_value == path[-1]
        assert values[found.best_params["i"]] == path[-1]
        assert found.best_params["i"] == values.index(path[-1])
    else:
        with pytest.raises(ValueError, match=f"expected one trial or more with a value; all {len(values)} failed"):
            _ = found.best_params


def test_failed_trials_are_kept_and_never_the_best():
    def objective(params):
        if params["x"] == 2:
            raise training.Diverged("too fast", {})
        return {0: 5.0, 1: math.nan, 3: math.inf}[params["x"]]

    found = tuning.grid(objective, {"x": [0, 1, 2, 3]})
    assert found.values == pytest.approx([5.0, math.nan, math.nan, math.inf], nan_ok=True)
    assert found.best_params == {"x": 0}
    assert repr(found) == "Search(4 trials, 2 failed, best value 5 with {'x': 0})"
    assert [trial.state.name for trial in found.study.trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    failed = tuning.grid(lambda params: math.nan, {"x": [0]})
    assert repr(failed) == "Search(1 trials, 1 failed)"
    batched = tuning.grid(lambda several: [1 / 0], {"x": [0, 1, 2]}, batch=2)
    assert all(map(math.isnan, batched.values))


def test_a_model_lives_with_failures():
    worth = lambda params: math.nan if params["x"] < 0 else bowl(params)  # noqa: E731
    assert tuning.bayesian(worth, BOWL, trials=40, seed=0).best_value < 1


def test_errors_end_the_search_unless_they_are_to_be_caught():
    def broken(params):
        raise KeyError("lr")

    with pytest.raises(KeyError):
        tuning.random_search(broken, BOWL)
    assert all(map(math.isnan, tuning.random_search(broken, BOWL, trials=3, catch=KeyError).values))


def test_an_objective_cannot_change_the_record():
    found = tuning.grid(lambda params: float(params.pop("x")), {"x": [1, 2]})
    assert found.params == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize("search", [tuning.random_search, tuning.bayesian])
def test_nothing_is_printed_and_optuna_is_left_as_it_was(search, capfd):
    level = optuna.logging.get_verbosity()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = search(lambda params: warnings.warn("mine", stacklevel=1) or bowl(params), BOWL, trials=15)
    assert {str(warning.message) for warning in caught} == {"mine"}  # the objective's own are not swallowed
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == level
    assert isinstance(found.study, optuna.Study)
    assert found.study.best_value == found.best_value


def test_optuna_is_imported_only_when_a_search_begins():
    import subprocess

    code = "import sys; from dlbook import tuning; tuning.uniform(0, 1); print('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


# ------------------------------------------------------------------------------------------------ successive halving


@pytest.mark.parametrize(
    ("trials", "reduction", "counts"),
    [(27, 3, [27, 9, 3, 1]), (10, 3, [10, 4, 2, 1]), (8, 2, [8, 4, 2, 1]), (1, 2, [1])],
)
def test_each_rung_keeps_the_best_and_gives_them_more(trials, reduction, counts):
    rungs = []

    def train(params, budget):
        values = [bowl(each) + 1 / budget for each in params]
        rungs.append((budget, params, values))
        return values

    found = tuning.successive_halving(train, BOWL, trials=trials, budget=2, reduction=reduction, seed=0)
    assert [len(params) for _, params, _ in rungs] == counts
    assert [budget for budget, _, _ in rungs] == [2 * reduction**i for i in range(len(counts))]
    for (_, before, values), (_, after, _) in itertools.pairwise(rungs):
        order = sorted(range(len(before)), key=lambda i: values[i])
        assert after == [before[i] for i in order[: len(after)]]
    assert found.best_params == min(rungs[0][1], key=bowl)
    assert [trial.budget for trial in found.trials] == [budget for budget, params, _ in rungs for _ in params]
    assert found.params == [each for _, params, _ in rungs for each in params]
    drawn = tuning.random_search(bowl, BOWL, trials=trials, seed=0)
    assert found.params[:trials] == drawn.params


def test_failures_are_the_first_to_go_and_high_may_be_good():
    train = lambda params, budget: [math.nan if p["i"] > 2 else p["i"] for p in params]  # noqa: E731
    found = tuning.successive_halving(train, {"i": integers(0, 5)}, trials=9, seed=0, direction="maximize")
    assert found.best_value == 2
    assert found.values[-1] == 2


# --------------------------------------------------------------------------------------- the two ends meet: a sweep


def test_a_search_trains_its_networks_as_one():
    x = torch.linspace(-1, 1, 64)[:, None]
    sizes = []

    def objective(several):
        sizes.append(len(several))
        torch.manual_seed(0)
        lines = [nn.Linear(1, 1) for _ in several]
        numbers = {name: [params[name] for params in several] for name in several[0]}
        history = training.fit_many(lines, (x, 3 * x), F.mse_loss, epochs=2, validation=(x, 3 * x), **numbers)
        return history["validation_loss"][-1]

    space = {"lr": log_uniform(1e-4, 1e3), "momentum": uniform(0.0, 0.9)}
    found = tuning.random_search(objective, space, trials=16, batch=16, seed=0)
    assert sizes == [16]
    assert 1e-2 < found.best_params["lr"] < 3
    assert found.best_value < 1e-2


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("trials: expected at least 1; got 0", lambda: tuning.random_search(bowl, BOWL, trials=0)),
        ("trials: .*got 0", lambda: tuning.successive_halving(bowl, BOWL, trials=0)),
        ("budget: .*got 0", lambda: tuning.successive_halving(bowl, BOWL, budget=0)),
        ("reduction: expected at least 2; got 1", lambda: tuning.successive_halving(bowl, BOWL, reduction=1)),
        ("batch: .*got 0", lambda: tuning.bayesian(bowl, BOWL, batch=0)),
        ("startup: .*got 0", lambda: tuning.bayesian(bowl, BOWL, startup=0)),
        ("seed: .*got -1", lambda: tuning.random_search(bowl, BOWL, seed=-1)),
        ("direction: expected one of 'minimize', .*got 'up'", lambda: tuning.grid(bowl, BOWL, direction="up")),
        ("objective: expected 3 values, one for each dict; got 2",
         lambda: tuning.random_search(lambda several: [1.0, 2.0], BOWL, batch=3)),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("value", "batch", "got"), [(None, None, "NoneType"), (0.5, 4, "float"), ([None], 1, "NoneType")]
)
def test_an_objective_that_returns_no_number_is_told_so(value, batch, got):
    with pytest.raises(TypeError, match=f"objective: expected a number, or with batch a list of them; got {got}"):
        tuning.random_search(lambda params: value, BOWL, batch=batch)
