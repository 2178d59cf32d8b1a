"""The environment of a client of the stack: addresses, passwords, certificate authority."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

from certificates import Certificates
from inherited import HOST
from server import Server, Stack
from spark_servers import conf_folder

# Addresses among the variables that we export. A shell that has sourced stack.env and starts
# the stack again must not take them for servers of somebody else.
OWN = "LUIGI_TRAFFIC_STACK_OWN"


def given(environment: Mapping[str, str], variables: Collection[str]) -> set[str]:
    """Those of `variables` by which the environment names a server of somebody else."""
    own = shlex.split(environment.get(OWN, ""))
    return {
        name
        for name in variables
        if environment.get(name) and f"{name}={environment[name]}" not in own
    }


def client_environment(stack: Stack, servers: Collection[Server]) -> dict[str, str]:
    """What a client needs to know of `servers`, those that we start."""
    passwords, ports, found = stack.passwords, stack.ports, {}
    for server in servers:
        match server.name:
            case "minio":
                found["LUIGI_TRAFFIC__LAKE__ENDPOINT"] = server.address
                for key in ("LUIGI_TRAFFIC__LAKE__ACCESS_KEY", "LUIGI_TRAFFIC__LAKE__SECRET_KEY"):
                    found[key] = passwords[key]
            case "kafka":
                found["LUIGI_TRAFFIC__EVENTS__SERVERS"] = f'["{server.address}"]'
            case "postgres":
                authority = Certificates.at(stack.state.tls).authority
                found["LUIGI_TRAFFIC__WAREHOUSE__HOST"] = "localhost"
                found["LUIGI_TRAFFIC__WAREHOUSE__PORT"] = str(server.port)
                found["LUIGI_TRAFFIC__WAREHOUSE__CA_FILE"] = str(authority)
                for key in ("LUIGI_TRAFFIC__WAREHOUSE__PASSWORD", "LUIGI_TRAFFIC_READER_PASSWORD"):
                    found[key] = passwords[key]
            case "mlflow":
                found["LUIGI_TRAFFIC__TRACKING__URI"] = server.address
            case "spark-connect":
                found["LUIGI_TRAFFIC__SPARK__REMOTE"] = server.address
                found["LUIGI_TRAFFIC__SPARK__TOKEN"] = passwords["LUIGI_TRAFFIC__SPARK__TOKEN"]
                # For those who set REMOTE to nothing and are a driver themselves.
                found["SPARK_CONF_DIR"] = str(conf_folder(stack))
                found["LUIGI_TRAFFIC__SPARK__MASTER"] = f"spark://{HOST}:{ports['spark-master']}"
                found["LUIGI_TRAFFIC__SPARK__JARS"] = str(server.files())
            case "luigid":
                found["LUIGI_TRAFFIC_LUIGID"] = server.address
    ours = sorted({server.variable for server in servers})
    return {
        "LUIGI_TRAFFIC_PROFILE": "stack",
        "LUIGI_TRAFFIC_STACK": str(stack.state.folder),
        **found,
        OWN: shlex.join(f"{name}={found[name]}" for name in ours),
    }


def shell_lines(environment: Mapping[str, str]) -> str:
    """To be sourced by a shell."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    title = "# The stack of luigi_traffic, written by `make stack`. It holds passwords."
    return "\n".join([title, *lines]) + "\n"
