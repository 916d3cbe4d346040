"""The digit ladder: every rung learns from a handful of pictures; runs are kept, gone on with, and added up."""

import json
import statistics

import pytest
import torch

from dlbook import datasets
from dlbook.datasets import Dataset, Examples
from dlbook.ladder import LADDER, Learned, Lesson, Rung, __main__, climb, climbing, pictures, rungs, summary


@pytest.fixture
def few():
    """Small digits in pictures of MNIST's size: 200 to learn from, 50 to be judged by."""
    data = datasets.digits()
    large = [torch.nn.functional.interpolate(part.inputs, size=(28, 28), mode="bilinear") for part in data]
    return Dataset(Examples(large[0][:200], data.train.targets[:200]), Examples(large[1][:50], data.test.targets[:50]))


@pytest.fixture
def small(monkeypatch, few):
    """The ladder over few pictures: MNIST and Fashion-MNIST are these."""
    monkeypatch.setattr(datasets, "mnist", lambda: few)
    monkeypatch.setattr(datasets, "fashion_mnist", lambda: few)
    return few


def share(learned, examples):
    return (learned.predict(examples.inputs).argmax(1) == examples.targets).float().mean().item()


@pytest.mark.parametrize("name", LADDER)
def test_every_rung_learns_something_and_answers_every_picture(few, name, monkeypatch):
    monkeypatch.setattr(pictures, "ENSEMBLE", 2)
    learned = LADDER[name].learn(Lesson(few.train, 0, epochs=1))
    assert isinstance(learned, Learned)
    scores = learned.predict(few.test.inputs)
    assert scores.shape == (50, 10)
    assert scores.isfinite().all()
    assert learned.epochs == 1
    assert learned.seconds > 0


def test_the_published_numbers_rise():
    assert [name for name, rung in LADDER.items() if not rung.seeded] == ["darkness", "svm"]
    assert LADDER["darkness"].published == 22.25
    assert LADDER["ensemble"].published == max(rung.published for rung in LADDER.values() if rung.published)
    assert all(isinstance(rung, Rung) for rung in LADDER.values())


def test_mean_darkness_finds_the_nearest_mean():
    inputs = torch.linspace(0.05, 0.95, 10)[:, None, None, None].expand(10, 1, 3, 5)
    learned = rungs.mean_darkness(Lesson(Examples(inputs, torch.arange(10)), 0))
    assert learned.predict(inputs + 0.02).argmax(1).tolist() == list(range(10))


def test_a_sigmoid_network_learns_and_a_penalty_shrinks_its_weights(few):
    def learn(**options):
        return rungs.sigmoid_network(30, "cross_entropy", epochs=15, lr=0.5, **options)(Lesson(few.train, 0))

    assert share(learn(), few.test) > 0.8
    assert share(learn(), few.test) == share(learn(), few.test)
    penalised = learn(l2=20.0)
    # Weaker weights, less certain answers.
    assert penalised.predict(few.test.inputs).amax(1).mean() < learn().predict(few.test.inputs).amax(1).mean()


@pytest.mark.parametrize("alter", [pictures.by_a_pixel, pictures.bent, pictures.handled, pictures.moved])
def test_altered_pictures_keep_their_shape_and_are_not_all_the_same(few, alter):
    torch.manual_seed(0)
    before = few.train.inputs[:7]
    after = alter(before)
    assert after.shape == before.shape
    assert not torch.equal(after, before)
    assert not torch.equal(alter(before), after)
    assert (after.sum((1, 2, 3)) / before.sum((1, 2, 3)) - 1).abs().max() < 0.35


def test_the_best_network_is_residual_and_takes_pictures_of_28_pixels():
    model = pictures.residual(width=3)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert all(block.shortcut for block in model.modules() if hasattr(block, "shortcut"))


def test_runs_are_kept_and_not_run_again(small, tmp_path, capsys, monkeypatch):
    path = tmp_path / "out" / "digits.json"
    record = climb(["darkness", "hidden30"], 2, results=path)
    assert set(record["runs"]["hidden30"]) == {"0", "1"}
    assert set(record["runs"]["darkness"]) == {"0"}, "without chance one run is enough"
    assert record == json.loads(path.read_text())
    assert not list(tmp_path.glob("**/*.part"))
    assert len(capsys.readouterr().out.splitlines()) == 3

    monkeypatch.setattr(climbing, "_run", lambda *given: pytest.fail(f"ran again: {given}"))
    assert climb(["darkness", "hidden30"], 2, results=path) == record
    with pytest.raises(pytest.fail.Exception, match="ran again"):
        climb(["hidden30"], 3, results=path)


def test_an_interrupted_ladder_keeps_what_it_had(small, tmp_path, monkeypatch):
    path, whole = tmp_path / "digits.json", climbing._run

    def run(name, seed, *rest):
        if seed == 1:
            raise KeyboardInterrupt
        return whole(name, seed, *rest)

    monkeypatch.setattr(climbing, "_run", run)
    with pytest.raises(KeyboardInterrupt):
        climb(["hidden30"], 2, results=path)
    assert set(json.loads(path.read_text())["runs"]["hidden30"]) == {"0"}


def test_a_run_says_what_it_got_wrong(small, tmp_path):
    run = climb(["hidden30"], 1, results=tmp_path / "digits.json")["runs"]["hidden30"]["0"]
    assert run["accuracy"] == pytest.approx(1 - len(run["wrong"]) / 50) or run["wrong"] == {}
    for row, answer in run["wrong"].items():
        assert small.test.targets[int(row)] != answer
    assert len(run["hardest"]) == 40
    assert set(run["wrong"]) <= set(run["hardest"])
    assert all(len(scores) == 10 for scores in run["hardest"].values())


def test_validation_does_not_touch_the_test_set(small, tmp_path, monkeypatch):
    monkeypatch.setattr(climbing, "HELD_OUT", 60)
    untouched = Examples(small.test.inputs * torch.nan, small.test.targets)
    monkeypatch.setattr(datasets, "mnist", lambda: Dataset(small.train, untouched))
    record = climb(["hidden30"], 1, results=tmp_path / "validation.json", validate=True)
    assert "training examples" in record["judged_by"]
    assert record["runs"]["hidden30"]["0"]["accuracy"] > 0.3


def test_a_long_training_goes_on_from_its_checkpoint(small, tmp_path):
    first = LADDER["relu"].learn(Lesson(small.train, 0, tmp_path, epochs=1))
    assert [path.name for path in tmp_path.iterdir()] == ["relu-0.pt"]
    again = LADDER["relu"].learn(Lesson(small.train, 0, tmp_path, epochs=1))
    assert again.seconds == first.seconds, "nothing was trained a second time"
    torch.testing.assert_close(again.predict(small.test.inputs), first.predict(small.test.inputs))


def test_the_summary_is_mean_and_standard_deviation():
    runs = {
        "l2": {str(i): {"accuracy": a, "seconds": s, "epochs": 60} for i, (a, s) in enumerate([(0.98, 5), (0.97, 7)])}
    }
    assert summary(runs)["l2"] == {
        "accuracy": pytest.approx(0.975),
        "sd": pytest.approx(statistics.stdev([0.98, 0.97])),
        "seconds": 6,
        "epochs": 60,
        "seeds": 2,
    }
    with pytest.raises(ValueError, match="runs: expected at least one run of l2"):
        summary({"l2": {}})


def test_the_command_line_runs_a_rung_and_prints_it_beside_the_published_one(small, tmp_path, capsys):
    path = tmp_path / "digits.json"
    __main__.main(["darkness", "--results", str(path), "--folder", str(tmp_path / "kept")])
    said = capsys.readouterr().out
    assert "published 22.25" in said
    assert path.exists()
    with pytest.raises(SystemExit):
        __main__.main(["stilts"])
    assert "got stilts" in capsys.readouterr().err


@pytest.mark.bad_input
def test_an_unknown_rung_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"rungs: expected one of .*got 'stilts'"):
        climb(["stilts"], results=tmp_path / "digits.json")
    with pytest.raises(ValueError, match="seeds"):
        climb(["svm"], 0, results=tmp_path / "digits.json")
