"""Rungs over seeds: what was measured is written after every run, and is not measured again."""

import json
import os
import platform
import statistics
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import torch

from dlbook import datasets
from dlbook._checks import check_option, check_whole
from dlbook.datasets import Examples
from dlbook.device import describe, device
from dlbook.ladder.ladder import LADDER
from dlbook.ladder.rungs import Lesson

HELD_OUT, HARDEST = 10_000, 40
Record = dict[str, Any]


def climb(
    rungs: Iterable[str] = tuple(LADDER),
    seeds: int = 3,
    *,
    results: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    validate: bool = False,
) -> Record:
    """Run rungs of the ladder over seeds, and write what came out.

    Runs that the file of results has already are left alone; a long training that was interrupted goes on from its last
    whole epoch. The test set is touched once a run.

    Args:
        rungs: Names from ``LADDER``; all of them when left out.
        seeds: Seeds 0, 1, ... of each rung in which chance plays a part.
        results: The JSON file to go on with, or to begin.
        folder: Where trainings keep their checkpoints; nowhere for None.
        validate: Train without the last 10,000 training examples and judge by them, instead of by the test set. That is
            how a rung's settings are chosen.

    Returns:
        The content of the file: ``"runs"``, by rung and seed, and ``"summary"``, by rung.

    Raises:
        ValueError: If a rung is unknown, or ``seeds`` is below 1.
        DataUnavailable: If a data set is missing and cannot be fetched.

    Example:
        >>> climb([], results="/nowhere/digits.json")["runs"]
        {}

    Source: Nielsen (2015), "Neural networks and deep learning". Chapter: digits.
    """
    names = list(rungs)
    for name in names:
        check_option("rungs", name, tuple(LADDER))
    check_whole("seeds", seeds, 1)
    path = Path(results)
    for name in names:
        for seed in range(seeds if LADDER[name].seeded else 1):
            if str(seed) not in _read(path)["runs"].get(name, {}):
                run = _run(name, seed, None if folder is None else Path(folder), validate)
                # Read again: another process may have finished another rung meanwhile.
                record = _read(path)
                record["runs"].setdefault(name, {})[str(seed)] = run
                _write(path, record, validate)
                print(f"{name:18} seed {seed}: {100 * run['accuracy']:.2f} %", flush=True)
    return _read(path)


def _run(name: str, seed: int, folder: Path | None, validate: bool) -> Record:
    """One rung, one seed: trained, and judged once."""
    here, rung = device(), LADDER[name]
    train, judged = getattr(datasets, rung.data)()
    if validate:
        judged = Examples(*(part[-HELD_OUT:] for part in train))
        train = Examples(*(part[:-HELD_OUT] for part in train))
    place = folder and folder / ("validate" if validate else "test")
    learned = rung.learn(Lesson(train.to(here), seed, place))
    with torch.no_grad():
        scores = learned.predict(judged.inputs.to(here)).cpu()
    answers = scores.argmax(1)
    wrong = (answers != judged.targets).nonzero().flatten()
    run = {
        "accuracy": 1 - len(wrong) / len(answers),
        "seconds": round(learned.seconds, 1),
        "epochs": learned.epochs,
    }
    if seed == 0:  # which ones, for the chapter's pictures
        run["wrong"] = {str(i): int(answers[i]) for i in wrong.tolist()} if len(wrong) < len(answers) / 10 else {}
        sure = scores.gather(1, judged.targets[:, None]).flatten() - scores.topk(2, 1).values.mean(1)
        hardest = sure.argsort()[:HARDEST].tolist()
        run["hardest"] = {str(i): [round(p, 3) for p in scores[i].tolist()] for i in hardest}
    return run


def summary(runs: dict[str, dict[str, Record]]) -> dict[str, Record]:
    """Mean and standard deviation of each rung over its seeds.

    Args:
        runs: By rung and seed, as ``climb`` returns them.

    Returns:
        By rung: ``accuracy`` and ``sd`` (of a sample; 0 for a single run), both shares in [0, 1], the mean ``seconds``,
        the ``epochs`` and the number of ``seeds``.

    Raises:
        ValueError: If a rung has no run.

    Example:
        >>> runs = {"svm": {"0": {"accuracy": 0.985, "seconds": 60.0, "epochs": 1}}}
        >>> summary(runs)["svm"]["accuracy"]
        0.985

    Source: the sample mean and standard deviation. Chapter: digits.
    """
    found = {}
    for name, by_seed in runs.items():
        if not by_seed:
            raise ValueError(f"runs: expected at least one run of {name}; got none")
        several = list(by_seed.values())
        accuracies = [run["accuracy"] for run in several]
        found[name] = {
            "accuracy": statistics.fmean(accuracies),
            "sd": statistics.stdev(accuracies) if len(several) > 1 else 0.0,
            "seconds": statistics.fmean(run["seconds"] for run in several),
            "epochs": several[0]["epochs"],
            "seeds": len(several),
        }
    return found


def _read(path: Path) -> Record:
    return json.loads(path.read_text()) if path.exists() else {"runs": {}, "summary": {}}


def _write(path: Path, record: Record, validate: bool) -> None:
    """Beside the file first, then renamed: whoever reads finds the old one or the new one."""
    done = {name: record["runs"][name] for name in LADDER if name in record["runs"]}
    about = {
        "script": "python -m dlbook.ladder",
        "judged_by": f"the last {HELD_OUT:,} training examples" if validate else "the test set",
        "device": describe(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "date": date.today().isoformat(),
    }
    record |= about | {"summary": summary(done), "runs": done}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(record) + "\n")
    os.replace(part, path)
