"""The Luigi module of the one command: `luigi --module luigi_traffic.run FullPipeline`.

Importing it sets what Luigi leaves open: true exit codes (Luigi's own default is 0 even for
a failed run) and a check after each task that it really is complete. luigi.cfg wins.
"""

from __future__ import annotations

import os

import luigi.configuration

from luigi_traffic.commands import logs
from luigi_traffic.project import current
from luigi_traffic.tasks import workers
from luigi_traffic.tasks.announce import AnnounceRaw
from luigi_traffic.tasks.backfill import Backfill
from luigi_traffic.tasks.bronze import Bronze
from luigi_traffic.tasks.drift import Drift
from luigi_traffic.tasks.evaluate import Evaluate
from luigi_traffic.tasks.forecast import Forecast
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.insight import Insight
from luigi_traffic.tasks.pipeline import FullPipeline
from luigi_traffic.tasks.raw import IngestRaw
from luigi_traffic.tasks.retrain import RetrainIfNeeded
from luigi_traffic.tasks.silver import Silver
from luigi_traffic.tasks.train import Train

__all__ = [
    "AnnounceRaw",
    "Backfill",
    "Bronze",
    "Drift",
    "Evaluate",
    "Forecast",
    "FullPipeline",
    "Gold",
    "IngestRaw",
    "Insight",
    "RetrainIfNeeded",
    "Silver",
    "Train",
]

_DEFAULTS = {
    "retcode": {
        # Not "a task was once run by another worker": whether all is done in the end decides.
        "already_running": "0",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
    "worker": {"check_complete_on_run": "true"},
    # Two runs of the same command at once are fine here: one works, the other finds it done.
    "core": {"no_lock": "true", "autoload_range": "true"},
    # Luigi's own are 100 days before now and 50 tasks: of an older or longer range it then runs
    # less, or nothing, and says that all is well.
    "RangeDaily": {"days_back": "36500", "task_limit": "36500"},
}


#: Where `make stack` has put luigid; Luigi's own default is port 8082 of this machine.
_LUIGID = "LUIGI_TRAFFIC_LUIGID"


_SCHEDULER_URL = ("default-scheduler-url", "default_scheduler_url")


def _set_defaults() -> None:
    config = luigi.configuration.get_config()
    named = os.environ.get(_LUIGID)
    if named and not any(config.has_option("core", key) for key in _SCHEDULER_URL):
        config.set("core", _SCHEDULER_URL[0], named)
    for section, values in _DEFAULTS.items():
        for key, value in values.items():
            if not config.has_option(section, key):
                config.set(section, key, value)


_set_defaults()
workers.limit(lambda: current().settings)
logs.set_up()
