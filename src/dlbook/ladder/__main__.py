"""``python -m dlbook.ladder``: climbs the digit ladder, or some rungs of it, and goes on where it stopped."""

import argparse
from pathlib import Path

import pooch

from dlbook.device import device
from dlbook.ladder import LADDER, climb


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and climb."""
    parser = argparse.ArgumentParser("python -m dlbook.ladder", description=__doc__)
    parser.add_argument("rungs", nargs="*", metavar="RUNG", help=f"which; all when left out: {', '.join(LADDER)}")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each rung (3)")
    parser.add_argument("--validate", action="store_true", help="judge by held-out training examples, not the test set")
    parser.add_argument("--results", type=Path, help="the JSON file (results/digits-<device>.json)")
    parser.add_argument("--folder", type=Path, help="where checkpoints are kept (the user's cache)")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.rungs) - set(LADDER)
    if unknown:
        parser.error(f"RUNG: expected some of {', '.join(LADDER)}; got {', '.join(sorted(unknown))}")
    kind = "validation" if chosen.validate else "digits"
    results = chosen.results or Path("results") / f"{kind}-{device().type}.json"
    folder = chosen.folder or Path(pooch.os_cache("dlbook")) / "ladder"
    record = climb(
        chosen.rungs or tuple(LADDER), chosen.seeds, results=results, folder=folder, validate=chosen.validate
    )
    for name, found in record["summary"].items():
        published = LADDER[name].published
        beside = f"   published {published:.2f}" if published else ""
        print(f"{name:18} {100 * found['accuracy']:6.2f} ± {100 * found['sd']:.2f} %{beside}")


if __name__ == "__main__":
    main()
