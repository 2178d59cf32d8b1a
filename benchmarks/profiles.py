"""The main job on the local and the stack profile, side by side: `python benchmarks/profiles.py`.

    python benchmarks/profiles.py [DATASET [LAST_DAY [DAYS [TRAINING]]]]

Default: metr_la 2012-03-28 28 {}; TRAINING is Luigi's --training, for a shorter one.

One run each, one after the other, on the stack that `make stack` has started. Prints the seconds
of both and of each stage, whether raw, bronze, silver and gold have the same checksums, and the
largest difference of any figure of the models' evaluations. Exit code 1 where they differ.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from homes import Home, LocalHome
from stack_home import Stack, StackHome

MOST = 1e-6


def job(home: Home, dataset: str, last: str, days: str, training: str) -> Counter[str]:
    """Run it; seconds of each stage and of all."""
    started = time.monotonic()
    code, output = home.run(
        "luigi", "--module", "luigi_traffic.run", "FullPipeline", "--dataset", dataset,
        "--model", "convlstm", "--date", last, "--window-days", days,
        "--training", training, "--local-scheduler",
        seconds=3600,
    )  # fmt: skip
    if code:
        sys.exit(f"{type(home).__name__} ended with {code}:\n{output}")
    spent: Counter[str] = Counter({"all": time.monotonic() - started})
    for stage, seconds in re.findall(r"INFO (\w+) .*\(([\d.]+) s\)", output):
        spent[stage] += float(seconds)
    return spent


def main(
    dataset: str = "metr_la", last: str = "2012-03-28", days: str = "28", training: str = "{}"
) -> int:
    """Run both, compare, print."""
    stack = Stack.running()
    stack.let_the_lake_user_see_test_buckets()
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        local = LocalHome(Path(name) / "local")
        remote = StackHome.make(stack, Path(name) / "stack")
        try:
            here, there = (job(h, dataset, last, days, training) for h in (local, remote))
            print(f"{'seconds':10} {'local':>8} {'stack':>8}")
            for stage in there:
                print(f"{stage:10} {here[stage]:8.1f} {there[stage]:8.1f}")
            mine, theirs = local.checksums(), remote.checksums()
            unequal = [part for part in mine | theirs if mine.get(part) != theirs.get(part)]
            print(f"{len(mine)} checksums, {len(unequal)} of them differ {unequal[:5]}")
            scores, other = local.scores(), remote.scores()
            assert scores.keys() == other.keys()
            worst = max(abs(scores[path] - other[path]) for path in scores)
            print(f"{len(scores)} figures of the evaluation, largest difference {worst:.3g}")
            for path in sorted(p for p in scores if p.endswith("/mae") or "/mae/" in p):
                print(f"  {path:40} {scores[path]:.4f} {other[path]:.4f}")
        finally:
            local.server.destroy()
    return int(bool(unequal) or worst > MOST)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
