"""Checks of the servers of the stack: Kafka, Spark and luigid."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from luigi_traffic.commands.doctor.finding import NOTE, Finding, Problem
from luigi_traffic.errors import TrafficError
from luigi_traffic.events.announcement import topic_of
from luigi_traffic.project import Project
from luigi_traffic.settings.engine_keys import SparkSettings
from luigi_traffic.settings.reading import Layers

TIMEOUT_S = 5
_LONGEST = 300
_LUIGID_PAGE = "/static/visualiser/index.html"


def knock(address: str, setting: str, default_port: int = 0) -> None:
    """Whether anything listens at `host:port`. Raises `Problem` that names the setting."""
    place = urlsplit(f"//{address}")
    try:
        host, port = place.hostname or "", place.port or default_port
        with socket.create_connection((host, port), timeout=TIMEOUT_S):
            return
    except (OSError, ValueError) as e:
        raise Problem(
            f"no server answers at {address}: {e}", f"Start the server, or correct {setting}."
        ) from e


def kafka(project: Project) -> Finding:
    """Brokers, and the topics of the datasets."""
    chosen = project.settings.events
    silent = _silent(chosen.servers, "events.servers")
    if len(silent) == len(chosen.servers):
        raise silent[0]
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    from luigi_traffic.events.kafka_client import connect, trouble

    admin = connect(KafkaAdminClient, chosen, request_timeout_ms=TIMEOUT_S * 1000)
    try:
        brokers = len(admin.describe_cluster()["brokers"])
        described = {t["name"]: t for t in admin.describe_topics() if not t["error_code"]}
    except KafkaError as e:
        raise trouble(chosen, "asking for topics", e) from e
    finally:
        admin.close()
    odd = [str(problem) for problem in silent]
    told = []
    for topic in _topics(project):
        if topic not in described:
            told.append(f"the first announcement creates {topic}")
            if brokers < chosen.replication:
                raise Problem(
                    f"{brokers} brokers cannot hold {chosen.replication} copies of topic {topic}",
                    "Set events.replication to at most the number of brokers.",
                )
            continue
        shape = _shape(described[topic])
        told.append(f"{topic} has {shape[0]} partitions, {shape[1]} copies")
        if shape != (chosen.partitions, chosen.replication):
            odd.append(
                f"topic {topic} differs from events.partitions and events.replication "
                f"({chosen.partitions}, {chosen.replication})"
            )
    found = "; ".join([f"Kafka at {', '.join(chosen.servers)}: {brokers} brokers", *told, *odd])
    if odd:
        return Finding(found, NOTE, "An existing topic is not changed: change it by hand.")
    return Finding(found)


def _silent(addresses: Sequence[str], setting: str) -> list[Problem]:
    found = []
    for address in addresses:
        try:
            knock(address, setting, 9092)
        except Problem as e:
            found.append(e)
    return found


def _topics(project: Project) -> list[str]:
    try:
        loaded, chosen = project.plugins, project.settings.events
        return sorted({topic_of(loaded.dataset(name), chosen) for name in loaded.datasets})
    except TrafficError:  # told by the checks of plugins and datasets
        return []


def _shape(topic: dict[str, Any]) -> tuple[int, int]:
    """Number of partitions, and of the copies of the one that has the fewest."""
    copies = [len(partition["replica_nodes"]) for partition in topic["partitions"]]
    return len(copies), min(copies, default=0)


def spark(chosen: SparkSettings) -> Iterator[tuple[str, Any]]:
    """A check of the Connect server or of the master that the settings name, if they do."""
    if chosen.remote:
        yield "Spark Connect", partial(spark_connect, chosen)
    elif chosen.master.startswith("spark://"):
        yield "Spark master", partial(spark_master, chosen.master)


def spark_master(master: str) -> Finding:
    """A standalone master; of several, one has to answer."""
    addresses = master.removeprefix("spark://").split(",")
    silent = _silent(addresses, "spark.master")
    if len(silent) == len(addresses):
        raise silent[0]
    return Finding(f"answers at {master}")


def spark_connect(chosen: SparkSettings) -> Finding:
    """Its version, which it tells to those who have the token."""
    place = urlsplit(chosen.remote)
    address = f"{place.hostname}:{place.port or 15002}"
    knock(address, "spark.remote")
    import grpc  # type: ignore[import-untyped]
    from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc

    token = chosen.token.get_secret_value() if chosen.token else ""
    request = base_pb2.AnalyzePlanRequest(
        session_id=str(uuid.uuid4()),
        user_context=base_pb2.UserContext(user_id="doctor"),
        spark_version=base_pb2.AnalyzePlanRequest.SparkVersion(),
    )
    tls = "use_ssl=true" in place.path.lower()
    credentials = grpc.ssl_channel_credentials() if tls else None
    with (
        grpc.secure_channel(address, credentials) if tls else grpc.insecure_channel(address)
    ) as channel:
        stub = base_pb2_grpc.SparkConnectServiceStub(channel)  # type: ignore[no-untyped-call]
        known = [("authorization", f"Bearer {token}")]
        try:
            answer = stub.AnalyzePlan(request, timeout=2 * TIMEOUT_S, metadata=known)
        except grpc.RpcError as e:
            if e.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise Problem(
                    f"{chosen.remote} refuses the token",
                    f"Set {Layers.variable('spark.token')} to the token that the server was "
                    "started with.",
                ) from e
            raise Problem(
                f"{chosen.remote} does not work: {e.code().name} {e.details()}"[:_LONGEST],
                "See the log of the Connect server.",
            ) from e
    return Finding(f"Spark {answer.spark_version.version} at {chosen.remote}")


def luigid(profile: str) -> Finding | None:
    """The scheduler of Luigi's own configuration; None where it is not there, nor needed.

    The local profile does without.
    """
    import requests
    from luigi.interface import core

    chosen = core()
    url = (
        os.environ.get("LUIGI_TRAFFIC_LUIGID")  # where `make stack` has put it
        or chosen.scheduler_url
        or f"http://{chosen.scheduler_host}:{chosen.scheduler_port}"
    )
    try:
        answer = requests.get(url.rstrip("/") + _LUIGID_PAGE, timeout=TIMEOUT_S)
        if answer.ok and "luigi" in answer.text.lower():
            return Finding(f"answers at {url}")
        said = f"answers {answer.status_code} and is not luigid"
    except requests.RequestException as e:
        said = f"does not answer: {e.__class__.__name__}"
    if profile == "local" or chosen.local_scheduler:
        return None
    raise Problem(
        f"{url} {said}",
        "Start luigid, correct default-scheduler-url in luigi.cfg, or run with --local-scheduler.",
    )
