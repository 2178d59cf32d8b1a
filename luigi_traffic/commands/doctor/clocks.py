"""Checks of clocks: a server's against this machine's.

S3 refuses requests that are 15 minutes off, and what is old enough to be asked for again, or to
be removed, is told by the time that a server has written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests

from luigi_traffic.commands.doctor.finding import NOTE, Finding, Problem
from luigi_traffic.errors import TrafficError
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from luigi_traffic.warehouse.dsn import Dsn

ALLOWED = timedelta(minutes=1)
TIMEOUT_S = 5
Check = Callable[[], Finding]


def now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def clock_checks(project: Project) -> Iterator[tuple[str, Check]]:
    """One check for each server that stamps what it writes with a time."""
    lake, uri = project.settings.lake, project.settings.tracking_uri
    if lake.kind == "s3":
        ca = str(lake.ca_file) if lake.ca_file else True
        yield "lake clock", lambda: compared(lambda: _http(lake.endpoint, ca))
    if project.settings.warehouse.kind == "server":
        yield "warehouse clock", lambda: compared(lambda: _warehouse(project.warehouse.dsn()))
    if uri.startswith(("http://", "https://")):
        yield "MLflow clock", lambda: compared(lambda: _http(f"{uri.rstrip('/')}/health", True))


def compared(ask: Callable[[], datetime]) -> Finding:
    """How far the clock that `ask` reads is from this machine's, half of the way there allowed for.

    A server that does not answer is another check's finding.
    """
    before = now()
    try:
        theirs = ask()
    except Exception as e:  # noqa: BLE001 - of four libraries; what is wrong is told elsewhere
        return Finding(f"not known: {e.__class__.__name__}", NOTE)
    after = now()
    ahead = theirs - (before + (after - before) / 2)
    if abs(ahead) > ALLOWED:
        off = f"{_spelt(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'}"
        raise Problem(
            f"the server's clock is {off} this machine's",
            "Set both clocks by NTP (chronyd, systemd-timesyncd). If other servers differ by the "
            "same time, this machine's clock is wrong.",
        )
    return Finding(f"within {ALLOWED.total_seconds():.0f} s of this machine's")


def _http(url: str, verify: str | bool) -> datetime:
    """By the Date header, which has whole seconds; who we are does not matter for it."""
    answer = requests.get(url, timeout=TIMEOUT_S, verify=verify, allow_redirects=False)
    return parsedate_to_datetime(answer.headers["Date"])


def _warehouse(dsn: Dsn) -> datetime:
    from luigi_traffic.warehouse.connect import connect

    with closing(connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone() or (None,)
    if not isinstance(theirs, datetime):
        raise TrafficError("the warehouse does not report its time")
    return theirs


def _spelt(off: timedelta) -> str:
    minutes, seconds = divmod(round(off.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
