"""The whole stack without containers: every server on loopback, from package registries.

State lies in LUIGI_TRAFFIC_STACK, or in `stack` below LUIGI_TRAFFIC_HOME; builds and downloads
in LUIGI_TRAFFIC_CACHE, or in `luigi_traffic` in the user's cache folder. A server that the
environment names (LUIGI_TRAFFIC__LAKE__ENDPOINT, …__EVENTS__SERVERS, …__WAREHOUSE__HOST,
…__TRACKING__URI, …__SPARK__REMOTE, LUIGI_TRAFFIC_LUIGID) is used instead of one of ours.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from types import FrameType

import operate
from state import State
from talk import line, say

from luigi_traffic.errors import TrafficError


def main(arguments: list[str]) -> int:
    """The exit status."""
    chosen = _parser().parse_args(arguments)
    # The probes say what is wrong; the clients' own views of it would stand in between.
    for name in ("kafka", "urllib3", "pyspark"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _act(chosen, threading.Event())
    except TrafficError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: `down` stops what runs\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python docker/native", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start what does not run, wait until it answers")
    stopping = commands.add_parser("down", help="stop what was started, and nothing else")
    stopping.add_argument("--delete", action="store_true", help="delete all data, too")
    commands.add_parser("status", help="what runs and answers; exit status 1 if something does not")
    commands.add_parser("env", help="print stack.env, for eval; it holds passwords")
    restarting = commands.add_parser("restart", help="stop a server, start it again with its data")
    killing = commands.add_parser("kill", help="SIGKILL for all processes of a server")
    for command in (restarting, killing):
        command.add_argument("name")
    running = commands.add_parser("run", help="up, a command, and down of what was not up before")
    running.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    return parser


def _act(chosen: argparse.Namespace, cancelled: threading.Event) -> int:
    match chosen.command:
        case "up":
            _up(cancelled)
        case "down":
            operate.down()
            if chosen.delete:
                operate.delete()
        case "status":
            return 0 if operate.status() else 1
        case "env":
            line(operate.environment().rstrip())
        case "restart":
            operate.restart(chosen.name, cancelled)
        case "kill":
            killed = operate.kill(chosen.name)
            say(chosen.name, f"killed {killed or 'nothing: it does not run'}")
            return 0 if killed else 1
        case "run":
            words = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
            if not words:
                _parser().error("run: what?")
            return operate.run(words, cancelled)
    return 0


def _up(cancelled: threading.Event) -> None:
    began = time.monotonic()
    started: list[str] = []
    servers = operate.up(started, cancelled)
    seconds = time.monotonic() - began
    line(f"{len(started)} of {len(servers)} servers started in {seconds:.0f} s, all answer:")
    for server in servers:
        line(f"  {server.name:16} {server.address}")
    line(f"To use them: . {State.of_environment().folder / 'stack.env'}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise operate.Terminated


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
