"""The process of `luigi-traffic serve`: what it may be started with, its socket, and its end."""

from __future__ import annotations

import ipaddress
import logging
import socket
from dataclasses import dataclass

import typer
import uvicorn

from luigi_traffic.commands.serve.app import application
from luigi_traffic.commands.serve.catalog import About
from luigi_traffic.commands.serve.pool import Pool
from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.commands.warehouse import is_new, nothing_yet
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes.stop_signal import stop_signal
from luigi_traffic.project import Project
from luigi_traffic.settings.reading import Layers
from luigi_traffic.settings.serve_keys import ServeSettings

logger = logging.getLogger("luigi_traffic")

#: Requests that are being answered when a signal comes have this long.
_GRACE_S = 15
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Options:
    """The command line: see `luigi-traffic serve --help`."""

    dataset: str | None = None
    host: str | None = None
    port: int | None = None


def serve(project: Project, options: Options) -> None:
    """Answer until SIGTERM or Ctrl-C; requests that have begun are answered first.

    Raises `SettingsError` if an address other than loopback has no token, if the address is taken,
    or if the role of the warehouse may write.
    """
    chosen = project.settings.serve
    host = options.host if options.host is not None else chosen.host
    token = token_of(chosen)
    if token is None and not is_loopback(host):
        raise SettingsError(
            f"serve would listen on {host}, where other machines may ask: set a token "
            f"({Layers.variable('serve.token')} or serve.token_file), or listen on 127.0.0.1."
        )
    if is_new(project):
        raise SettingsError(nothing_yet(project))
    pool = Pool(project.reader_dsn, chosen.connections, chosen.timeout_seconds)
    _look(project, pool)
    app = application(pool, chosen, token=token, dataset=options.dataset, about=known(project))
    listener = _listener(host, options.port if options.port is not None else chosen.port)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, proxy_headers=False, server_header=False,
        lifespan="off", ws="none", timeout_graceful_shutdown=_GRACE_S,
    )  # fmt: skip
    # uvicorn raises the signal again when it has ended, for the handlers of before.
    with listener, stop_signal():
        name, port = listener.getsockname()[:2]
        typer.echo(f"http://{f'[{name}]' if ':' in name else name}:{port}")
        uvicorn.Server(config).run(sockets=[listener])
    pool.close()


def token_of(chosen: ServeSettings) -> str | None:
    """The token that clients must send; None: there is none.

    Raises `SettingsError` if it is set twice, cannot be read, or is easily guessed.
    """
    token = chosen.token.get_secret_value() if chosen.token else None
    if chosen.token_file is not None:
        if token is not None:
            raise SettingsError("serve.token and serve.token_file are both set: remove one.")
        try:
            lines = chosen.token_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"serve.token_file: {chosen.token_file} cannot be read: {error}"
            ) from error
        token = lines[0].strip() if lines else ""
    if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii()):
        raise SettingsError(
            f"the token of serve is not one: expected at least {_SHORTEST_TOKEN} ASCII characters, "
            "for example those of `openssl rand -hex 32`"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def known(project: Project) -> dict[str, About]:
    """What the installed plugins know of their datasets."""
    found = {}
    for name in project.plugins.datasets:
        dataset = project.plugins.dataset(name)
        found[name] = About(dataset.timezone, dataset.measures.get("speed"))
    return found


def _look(project: Project, pool: Pool) -> None:
    """Bring the tables up to date as far as our role may, and see that `pool` may only read."""
    try:
        project.warehouse.migrate()
        project.warehouse.close()
        pool.rows("SELECT 1")
    except (StoreError, Problem) as error:
        logger.warning("serve: begins without the warehouse: %s", error)


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        raise SettingsError(
            f"serve cannot listen on {host}, port {port}: {error.strerror or error}. Choose "
            "another one (--host, --port)."
        ) from error
