"""`luigi-traffic its-sim-serve`: the simulated town as a service that its_openapi can poll."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from luigi_traffic import SettingsError, installed_dataset
from luigi_traffic_its_sim.dataset import ItsSim

if TYPE_CHECKING:
    from luigi_traffic_its_sim.service import Service
    from luigi_traffic_its_sim.service_http import Server, Span

CLOCK = "LUIGI_TRAFFIC_CLOCK"
#: The fastest pace that the clock takes.
FASTEST = 86_400
_CLIENT = "LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__"
_LOOK_AHEAD_EVERY = 0.2


def its_sim_serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on the loopback interface; 0: a free one")
    ] = 0,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Wall time (Asia/Seoul) at which the service begins, for example "
            "2024-06-03T06:00; by default the present",
        ),
    ] = None,
    pace: Annotated[
        float | None, typer.Option(help="How many times as fast as in the world time passes")
    ] = None,
    outage: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM/TO",
            help="Answer 503 between two wall times; may be given several times",
        ),
    ] = None,
    hang: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM/TO",
            help="Accept requests between two wall times and answer nothing; may be given several "
            "times",
        ),
    ] = None,
    silent: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="LINKS",
            help="Number of links that report nothing from the first day of the service on",
        ),
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each request")] = False,
) -> None:
    """Serve the present of the simulated town of its_sim in the format of the ITS OpenAPI.

    At the start, it prints the environment with which its_openapi and all other commands use it.
    It runs until SIGTERM or Ctrl-C.

    \b
    luigi-traffic its-sim-serve
    luigi-traffic its-sim-serve --from 2024-06-03T06:00 --pace 20
    luigi-traffic its-sim-serve --outage 2024-06-03T08:00/2024-06-03T08:20
    """
    from luigi_traffic_its_sim.service import Service
    from luigi_traffic_its_sim.service_http import Conduct, Pages, Server

    given = _moment("--from", begin) if begin else None
    if pace is not None and not 0 < pace <= FASTEST:
        raise SettingsError(f"--pace {pace:g}: expected a number above 0 and up to {FASTEST:,}")
    conduct = Conduct(ItsSim.local_now, _spans("--outage", outage), _spans("--hang", hang), verbose)
    first = given or ItsSim.local_now()
    settings = installed_dataset(ItsSim.name).settings
    if settings.start and first.date() < settings.start:
        raise SettingsError(
            f"the service would begin on {first.date()}, but the simulated source begins on "
            f"{settings.start} (setting start): give a later --from"
        )
    service = Service(settings, silent, first.date())
    try:
        server = Server(port, Pages(service), conduct)
    except OSError as e:
        raise SettingsError(f"--port {port} cannot be used: {e.strerror}") from e
    with server:
        # No request waits for the first day, and no time of a trial passes meanwhile.
        service.items(first)
        with _stopped_by_signals(conduct.ended):
            _announce(server, given, pace)
            _serve(server, service)


def _announce(server: Server, begin: datetime | None, pace: float | None) -> None:
    """Start the clock of the trial, if there is to be one, and print the environment."""
    lines = {f"{_CLIENT}URL": server.url, f"{_CLIENT}API_KEY": "sim"}
    if begin is not None or pace is not None:
        at = begin or ItsSim.local_now()
        os.environ[CLOCK] = f"{at.isoformat()}@{time.time():.6f}x{1.0 if pace is None else pace!r}"
        lines[CLOCK] = os.environ[CLOCK]
    text = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in lines.items())
    typer.echo(text)  # flushed


def _serve(server: Server, service: Service) -> None:
    ended = server.conduct.ended

    def simulate_ahead() -> None:
        while not ended.wait(_LOOK_AHEAD_EVERY):
            service.observations(ItsSim.local_now().date() + timedelta(days=1))

    # Daemons: a day in the making does not hold up the end.
    for work in (server.serve_forever, simulate_ahead):
        threading.Thread(target=work, daemon=True).start()
    ended.wait()
    server.shutdown()


@contextmanager
def _stopped_by_signals(ended: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C set the event, for as long as the block runs."""
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _moment(option: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as e:
        raise SettingsError(f"{option} {text!r}: expected a time like 2024-06-03T06:00") from e
    zone = ZoneInfo(ItsSim.timezone)
    return at.astimezone(zone) if at.tzinfo else at.replace(tzinfo=zone)


def _spans(option: str, texts: list[str] | None) -> list[Span]:
    from luigi_traffic_its_sim.service_http import Span

    found = []
    for text in texts or ():
        begin, slash, end = text.partition("/")
        if not slash:
            raise SettingsError(
                f"{option} {text!r}: expected two times like 2024-06-03T08:00/2024-06-03T08:20"
            )
        span = Span(_moment(option, begin), _moment(option, end))
        if span.begin >= span.end:
            raise SettingsError(f"{option} {text!r}: expected a begin before the end")
        found.append(span)
    return found
