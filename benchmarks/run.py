"""Measure every kernel against its peer and print one table of ratios.

    python benchmarks/run.py [module ...]

Each ``bench_<module>.py`` has ``cases(device) -> list[Case]``. The figures go to ``results/bench-<device>.json``.
"""

import argparse
import importlib
import json
import math
import platform
import sys
from datetime import date
from pathlib import Path

import torch
from timing import measure

from dlbook import device

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="modules to measure; all when none is named")
    args = parser.parse_args()
    available = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    if unknown := set(args.modules) - set(available):
        sys.exit(f"no benchmark for {', '.join(sorted(unknown))}; there are: {', '.join(available)}")
    where = device.device()
    torch.manual_seed(0)
    rows = []
    print(device.describe())
    print(f"{'kernel':28} {'size':34} {'peer':10} {'eager':>7} {'compiled':>9} {'limit':>6}")
    for module in args.modules or available:
        for case in importlib.import_module(f"bench_{module}").cases(where):
            row = {"module": module, **measure(case)}
            rows.append(row)
            compiled = f"{row['compiled']['ratio']:9.2f}" if "compiled" in row else " " * 9
            limit = f"{row['limit']:6.1f}" if row["limit"] else ""
            print(
                f"{row['kernel']:28} {row['size']:34} {row['peer']:10} {row['eager']['ratio']:7.2f} {compiled} {limit}",
                flush=True,
            )
    for module in dict.fromkeys(row["module"] for row in rows):
        ratios = [r["compiled"]["ratio"] for r in rows if r["module"] == module and "compiled" in r]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"{module}: geometric mean of the compiled ratios {mean:.2f} over {len(ratios)} kernels")
    save(rows, where)


def save(rows: list[dict], where: torch.device) -> None:
    """Merge the rows into the device's file: a run of one module keeps the others' figures."""
    path = HERE.parent / "results" / f"bench-{where.type}.json"
    measured = {row["module"] for row in rows}
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    stamp = {
        "script": "benchmarks/run.py",
        "device": device.describe(),
        "python": platform.python_version(),
        "seed": 0,
        "date": date.today().isoformat(),
    }
    rows = [row for row in old if row["module"] not in measured] + [{**row, "measured": stamp} for row in rows]
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"rows": sorted(rows, key=lambda row: row["module"])}, indent=1) + "\n")
    part.replace(path)
    print(f"wrote {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
