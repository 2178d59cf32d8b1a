"""Named places where a test may kill the process for real (SIGKILL), or stop it (SIGSTOP).

Off unless `LUIGI_TRAFFIC_CRASH_AT` or `LUIGI_TRAFFIC_STOP_AT` names a point, or `point:3` for the
third time it is passed. A test walks all of them and asserts that the child died by signal 9.
A stopped process lives on and keeps its connections and locks, as one on a machine that sleeps.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import StrEnum

VARIABLE = "LUIGI_TRAFFIC_CRASH_AT"
STOP_VARIABLE = "LUIGI_TRAFFIC_STOP_AT"
_SIGNALS = {VARIABLE: signal.SIGKILL, STOP_VARIABLE: signal.SIGSTOP}


class CrashPoint(StrEnum):
    """Every place where a crash could leave something half-done."""

    RAW_DOWNLOADED = "raw.downloaded"
    RAW_WRITTEN = "raw.written"
    RAW_COMMITTED = "raw.committed"
    ANNOUNCE_PUBLISHED = "announce.published"
    ANNOUNCE_COMMITTED = "announce.committed"
    BRONZE_WRITTEN = "bronze.written"
    BRONZE_COMMITTED = "bronze.committed"
    SILVER_WRITTEN = "silver.written"
    SILVER_COMMITTED = "silver.committed"
    GOLD_STAGED = "gold.staged"
    GOLD_ATTACHED = "gold.attached"  # inside the transaction, before its COMMIT
    GOLD_COMMITTED = "gold.committed"
    TRAIN_CHECKPOINTED = "train.checkpointed"
    TRAIN_SCORED = "train.scored"
    TRAIN_REGISTERED = "train.registered"
    TRAIN_COMMITTED = "train.committed"
    FORECAST_STAGED = "forecast.staged"
    FORECAST_ATTACHED = "forecast.attached"  # inside the transaction, before its COMMIT
    FORECAST_COMMITTED = "forecast.committed"
    EVALUATION_ATTACHED = "evaluation.attached"  # inside the transaction, before its COMMIT
    LIVE_POLLED = "live.polled"
    LIVE_ROWS = "live.rows"  # inside the transaction, before its COMMIT
    LIVE_ROWS_COMMITTED = "live.rows_committed"
    LIVE_FORECAST = "live.forecast"  # inside the transaction, before its COMMIT
    LIVE_FORECAST_COMMITTED = "live.forecast_committed"


_passed: Counter[tuple[str, str]] = Counter()


def crash_point(point: CrashPoint) -> None:
    """Die here by SIGKILL, or stop by SIGSTOP, if a test asked for it; otherwise do nothing."""
    for variable, number in _SIGNALS.items():
        name, _, nth = os.environ.get(variable, "").partition(":")
        if name != point.value:
            continue
        _passed[variable, name] += 1
        if _passed[variable, name] == int(nth or 1):
            os.kill(os.getpid(), number)
