"""Does a change of traffic lead to one training? `python benchmarks/drift.py --quiet 60`.

    --quiet N     days without a change, on which nothing may drift (default 60)
    --after N     days after it (default 12)
    --model NAME  a model plugin (default ridge)
    --links N     of the simulated town (default 20)

A home of its own: `its_sim`, a champion trained on 14 days, then each day `RetrainIfNeeded`. From
the day after the quiet ones, all speeds are 0.7 of what they were. The exit code is 1 if a quiet
day drifts, if the change is not seen on its first day, or if not exactly one training follows,
whose model becomes champion.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import date, timedelta

FIRST, WINDOW = date(2024, 3, 1), 14


def main() -> int:
    """Run it all, a line a day that is not like the one before."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--quiet", type=int, default=60)
    asked.add_argument("--after", type=int, default=12)
    asked.add_argument("--model", default="ridge")
    asked.add_argument("--links", type=int, default=20)
    given = asked.parse_args()
    trained = FIRST + timedelta(days=WINDOW - 1)
    change = trained + timedelta(days=given.quiet + 1)
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as home:
        prefix = "LUIGI_TRAFFIC__"
        os.environ |= {
            "LUIGI_TRAFFIC_HOME": home,
            f"{prefix}DATASETS__ITS_SIM__LINKS_COUNT": str(given.links),
            f"{prefix}DATASETS__ITS_SIM__SLOW_FROM": change.isoformat(),
        }
        return run(given.model, trained, change, given.after)


def run(model: str, trained: date, change: date, after: int) -> int:
    """The days one after the other; the settings are in the environment."""
    import luigi

    from luigi_traffic.commands import drift
    from luigi_traffic.project import current
    from luigi_traffic.run import FullPipeline, RetrainIfNeeded

    def build(task: luigi.Task) -> None:
        if not luigi.build([task], local_scheduler=True, log_level="WARNING"):
            raise SystemExit(f"{task} failed")

    build(FullPipeline(dataset="its_sim", model=model, date=trained, window_days=WINDOW))
    last = change + timedelta(days=after - 1)
    for n in range((last - trained).days):
        build(RetrainIfNeeded(trained + timedelta(days=n + 1), dataset="its_sim"))
    rows = drift.rows(current(), "its_sim", "", trained + timedelta(days=1), last)
    quiet = [row for row in rows if row["day"] < change.isoformat()]
    later = rows[len(quiet) :]
    for name in ("coverage", "links", "distribution", "error"):
        seen = [c["value"] for row in quiet for c in row["checks"] if c["name"] == name]
        print(f"{len(quiet)} quiet days, {name}: at most {max(seen):.3f}")
    for row in later:
        shown = ", ".join(f"{c['name']} {c['value']:.3f}" for c in row["checks"])
        print(f"{row['day']}: {'drift' if row['drifted'] else 'quiet'}, {shown}")
        if row["retraining"]["needed"]:
            print(f"  trained: {row['retraining']['reason']}\n  {row['retraining']['decision']}")
    trainings = [row for row in rows if row["retraining"] and row["retraining"]["needed"]]
    wrong = []
    if any(row["drifted"] for row in quiet):
        wrong.append("a quiet day drifted")
    if not later[0]["drifted"]:
        wrong.append("the change was not seen on its first day")
    if len(trainings) != 1 or later[-1]["version"] != trainings[0]["retraining"]["version"]:
        wrong.append("not exactly one training, whose model became champion")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
