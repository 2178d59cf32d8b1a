"""No secret where anybody may look: each place is searched, and is proven to be searchable."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import mlflow
import psutil
import pytest
import requests
from kafka import KafkaConsumer
from kafka.structs import TopicPartition
from stack_home import StackHome

from luigi_traffic.events import header_names

#: Where a text was found, and the text.
Found = Iterator[tuple[str, bytes]]
#: Newest jobs come first; a server that has run for long has thousands of pages about them.
_MOST_PAGES = 300


def leaks(found: Found, needles: dict[str, str]) -> dict[str, str]:
    """Name of each needle that is in a text → where. Their values are not told."""
    return {
        name: place
        for place, text in found
        for name, needle in needles.items()
        if needle.encode() in text
    }


def secrets(home: StackHome) -> dict[str, str]:
    """All that `make stack` has made, and what clients know. Their values are random."""
    named = {
        name: value
        for name, value in home.environment.items()
        if name.endswith(("PASSWORD", "_KEY", "TOKEN"))
    }
    found = home.stack.secrets | named
    assert len(found) >= 11 and min(map(len, found.values())) >= 16
    return found


def files(*folders: Path) -> Found:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()


def server_logs(home: StackHome) -> Found:
    """Of every server, and of each Spark application in the workers' folders."""
    stack = home.stack.folder
    yield from files(stack / "logs")
    yield from files(*sorted(stack.glob("spark-worker-*/work")))


def server_files(home: StackHome) -> Found:
    """What the servers are configured by: files that may be copied into a ticket."""
    stack = home.stack.folder
    for path in [*stack.glob("*/*.properties"), *stack.glob("*/conf/*"), stack / "servers.json"]:
        if path.is_file():
            yield str(path), path.read_bytes()


def outputs(home: StackHome) -> Found:
    """What the run has printed, and all that it leaves in its home."""
    yield from files(home.path)


def manifests(home: StackHome) -> Found:
    for key in home.objects():
        if key.startswith("_manifests/"):
            yield key, home.read(key)


def ledger(home: StackHome) -> Found:
    for number, (row,) in enumerate(home.sql("SELECT l::text FROM meta.ledger l")):
        yield f"ledger row {number}", row.encode()


def events(home: StackHome) -> Found:
    """Every message of every topic, headers too."""
    header_names.tolerate()  # another test sends one that is no text
    server = home.stack.setting("EVENTS__SERVERS", '["127.0.0.1:9092"]').strip('["]')
    consumer = KafkaConsumer(bootstrap_servers=[server], auto_offset_reset="earliest")
    try:
        for topic in sorted(consumer.topics()):
            spots = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            ends = consumer.end_offsets(spots)
            consumer.assign(spots)
            consumer.seek_to_beginning(*spots)
            while any(consumer.position(spot) < ends[spot] for spot in spots):
                for messages in consumer.poll(timeout_ms=1000).values():
                    for message in messages:
                        yield f"{topic} {message.offset}", repr(message).encode()
    finally:
        consumer.close()


def mlflow_texts(home: StackHome) -> Found:
    """Experiments, runs and versions as the server tells them."""
    client = mlflow.MlflowClient(tracking_uri=home.stack.tracking_uri)
    experiments = client.search_experiments()
    for experiment in experiments:
        yield f"experiment {experiment.name}", repr(dict(experiment)).encode()
    for run in client.search_runs([e.experiment_id for e in experiments], max_results=1000):
        yield f"run {run.info.run_id}", repr(run.to_dictionary()).encode()
    for version in client.search_model_versions():
        yield f"version {version.version}", repr(dict(version)).encode()


def mlflow_artifacts(home: StackHome) -> Found:
    """All objects of its bucket."""
    s3 = home.stack.s3()
    from pyarrow.fs import FileSelector, FileType

    for info in s3.get_file_info(FileSelector("mlflow", recursive=True)):
        if info.type == FileType.File:
            with s3.open_input_stream(info.path) as stream:
                yield info.path, stream.read()


def pages(*roots: str) -> Found:
    """These pages and all of the same servers that they link to."""
    hosts = {urlsplit(root).netloc for root in roots}
    waiting, seen = list(roots), set(roots)
    while waiting:
        url = waiting.pop(0)
        answer = requests.get(url, timeout=30)
        yield url, unescape(answer.text).encode()
        for link in re.findall(r'(?:href|src)="([^"#]+)"', answer.text):
            target = urljoin(url, unescape(link))
            wanted = urlsplit(target).netloc in hosts and not re.search("/static/|kill", target)
            if wanted and target not in seen and len(seen) < _MOST_PAGES:
                seen.add(target)
                waiting.append(target)


def spark_pages(home: StackHome) -> Found:
    """Master, workers and the driver of the Connect server, where its environment is shown."""
    ports = json.loads((home.stack.folder / "ports.json").read_text())
    pages_of = [n for n in ports if n.startswith(("spark-worker", "spark-master-ui"))]
    driver = f"http://127.0.0.1:{ports['spark-connect-ui']}"
    tops = ("environment", "executors", "jobs", "stages", "storage", "SQL", "connect")
    yield from pages(
        *(f"http://127.0.0.1:{ports[name]}/" for name in pages_of),
        *(f"{driver}/{top}/" for top in tops),
    )


def luigid_pages(home: StackHome) -> Found:
    url = home.stack.client["LUIGI_TRAFFIC_LUIGID"]
    for path in ("/api/task_list?data={}", "/api/worker_list?data={}", "/metrics"):
        yield path, requests.get(url + path, timeout=30).content


def arguments(home: StackHome) -> Found:
    """Of every process of this machine: everybody may read them."""
    for process in psutil.process_iter():
        try:
            yield f"process {process.pid}", "\0".join(process.cmdline()).encode()
        except psutil.Error:  # it has ended
            continue


#: Place → a text that is in it for certain.
PLACES: dict[Callable[[StackHome], Found], str] = {
    server_logs: "database system is ready to accept connections",
    server_files: "spark.connect.grpc.binding.port",
    outputs: "Luigi Execution Summary",
    manifests: '"its_sim"',
    ledger: "its_sim",
    events: "its_sim",
    mlflow_texts: "its_sim",
    mlflow_artifacts: "its_sim",
    spark_pages: "spark.connect.grpc.binding.port",
    luigid_pages: "luigi_task_started_total",
    arguments: "org.apache.spark.deploy.worker.Worker",
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_place_holds_no_secret(finished: StackHome, place) -> None:
    known = {"what is there": PLACES[place]}
    found = leaks(place(finished), known | secrets(finished))
    assert found.pop("what is there", None), "this place was not searched at all"
    assert found == {}


def test_a_secret_in_a_place_is_found(finished: StackHome, tmp_path: Path) -> None:
    (tmp_path / "some.log").write_text(f"x{finished.stack.secrets['POSTGRES_PASSWORD']}y")
    assert set(leaks(files(tmp_path), secrets(finished))) == {"POSTGRES_PASSWORD"}
