"""Checks of the machine: interpreters, memory, disk."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

from luigi_traffic.commands.doctor.finding import NOTE, Finding, Problem
from luigi_traffic.settings.keys import Settings

PYTHON_NEEDED = (3, 11)
DISK_NEEDED = 2 << 30
#: Beside Spark's heap: Python, PostgreSQL, and what the JVM takes outside its heap.
MEMORY_BESIDE = 1 << 30
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def python() -> Finding:
    """The interpreter."""
    ours = ".".join(str(n) for n in sys.version_info[:3])
    if sys.version_info < PYTHON_NEEDED:
        needed = ".".join(str(n) for n in PYTHON_NEEDED)
        raise Problem(f"{sys.executable} is {ours}", f"Install Python {needed} or newer.")
    return Finding(f"{ours}, {sys.executable}")


def java() -> Finding:
    """The Java that Spark would start."""
    from luigi_traffic.spark.session import JAVA_NEEDED, java_version

    path, found = java_version()
    if found < JAVA_NEEDED:
        raise Problem(
            f"{path} is version {found}, Spark needs {JAVA_NEEDED}",
            "Install a newer version, or set JAVA_HOME to one.",
        )
    return Finding(f"{found}, {path}")


def spark_jar() -> Finding:
    """Spark's own files, without importing it."""
    todo = "Install the package pyspark again."
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise Problem("the package pyspark is not installed", todo)
    jars = Path(os.environ.get("SPARK_HOME") or Path(spec.origin).parent) / "jars"
    core = next(iter(jars.glob("spark-core_*.jar")), None)
    if core is None:
        raise Problem(
            f"there is no spark-core jar in {jars}", f"{todo} SPARK_HOME, if set, takes precedence."
        )
    return Finding(f"{core.name}, {jars}")


def duckdb_package() -> Finding:
    """DuckDB and what the engine needs beside it."""
    missing = [name for name in ("duckdb", "sqlframe", "xxhash") if find_spec(name) is None]
    if missing:
        raise Problem(
            f"not installed: {', '.join(missing)}",
            "pip install 'luigi-traffic[duckdb]', or set compute.engine to spark.",
        )
    return Finding(f"duckdb {version('duckdb')}, sqlframe {version('sqlframe')}; no Java is needed")


def disk(home: Path) -> Finding:
    """Room where the home is."""
    place = _existing(home)
    free = shutil.disk_usage(place).free
    if free < DISK_NEEDED:
        raise Problem(
            f"{free / 2**30:.1f} GiB free at {place}",
            "Free some space, set LUIGI_TRAFFIC_HOME to a larger disk, or run `luigi-traffic gc`.",
        )
    return Finding(f"{free / 2**30:.0f} GiB free at {place}")


def home_folder(home: Path) -> Finding:
    """Whether local state can be written."""
    place = _existing(home)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as e:
        raise Problem(
            f"{place} cannot be written: {e.strerror}",
            "Set LUIGI_TRAFFIC_HOME to a folder that you can write to.",
        ) from e
    return Finding(str(home) if home.exists() else f"{home}; the first run creates it")


def memory(driver_memory: str) -> Finding:
    """Room for Spark's heap and what is beside it."""
    heap = _bytes(driver_memory)
    whole = min([psutil.virtual_memory().total, *_limits()])
    free = min(psutil.virtual_memory().available, whole)
    found = (
        f"{free / 2**30:.1f} of {whole / 2**30:.1f} GiB available, "
        f"spark.driver_memory is {driver_memory}"
    )
    if whole < heap + MEMORY_BESIDE:
        raise Problem(found, "Set spark.driver_memory to at most the memory minus one GiB.")
    if free < heap + MEMORY_BESIDE:
        return Finding(found, NOTE, "Close other programs, or set a smaller spark.driver_memory.")
    return Finding(found)


def job(settings: Settings) -> Finding:
    """Let the engine read a thousand rows of its own."""
    import pyarrow as pa

    from luigi_traffic.compute.engine import engine_of

    engine = engine_of(settings)
    try:
        counted = engine.table(pa.table({"number": range(1000)})).count()
    # What the JVM throws comes as one of several libraries' errors, which have no common base.
    except Exception as e:
        raise Problem(
            f"{engine.name} does not work: {e.__class__.__name__}: {str(e).splitlines()[0]}",
            "See its output above. For Spark, Java, memory and spark.master are the usual causes.",
        ) from e
    if counted != 1000:
        raise Problem(f"{engine.name} counted {counted} rows of 1000", "Install it again.")
    return Finding(f"{engine.name} runs a job")


def _limits() -> list[int]:
    """Memory limits of the container."""
    found = []
    for path in map(Path, _CGROUP_LIMITS):
        if path.is_file() and (text := path.read_text(encoding="ascii").strip()).isdigit():
            found.append(int(text))
    return found


def _bytes(text: str) -> int:
    """A size as Java writes it: 3g, 512m. Spark takes a bare number as MiB."""
    found = re.fullmatch(r"(\d+)([kmgt]?)b?", text.strip().lower())
    if not found:
        raise Problem(
            f"spark.driver_memory is {text!r}, which is not a size",
            "Write it, for example, as 3g or 512m.",
        )
    return int(found[1]) * (_UNITS[found[2]] if found[2] else 1 << 20)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
