"""The lake by a role: Python's and Java's SDKs fetch keys for the same web identity."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from aws_server import JWT, ROLE, aws
from homes import LocalHome
from s3_servers import BUCKET, moto, proxy
from small import SMALL

sys.path.append(str(Path(__file__).parents[3] / "docker" / "native"))

from artifacts import SPARK_S3A

RUN = ("luigi", "--module", "luigi_traffic.run", "Silver", "--dataset", "its_sim", "--date",
       "2024-01-10", "--local-scheduler")  # fmt: skip


@pytest.mark.timeout(400)
def test_a_day_reaches_silver_by_a_role_alone(tmp_path: Path) -> None:
    jars = SPARK_S3A.get(tmp_path / "jars.log")
    (tmp_path / "jwt").write_text(JWT)
    with moto(tmp_path) as port, proxy(port) as between, aws() as sts:
        lake = {"KIND": "s3", "ENDPOINT": f"http://127.0.0.1:{between.port}", "BUCKET": BUCKET,
                "KEYS_FROM": "role"}  # fmt: skip
        home = LocalHome(
            tmp_path / "home",
            SMALL
            | {f"LUIGI_TRAFFIC__LAKE__{name}": value for name, value in lake.items()}
            | {
                "LUIGI_TRAFFIC__SPARK__JARS": str(jars),
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "jwt"),
                "AWS_ROLE_ARN": ROLE,
                "AWS_ENDPOINT_URL_STS": sts.web.url,
            },
        )
        try:
            code, output = home.run(*RUN)
        finally:
            home.server.destroy()
        assert code == 0, output
        assert any("/silver/" in path and method == "PUT" for method, path, _ in between.seen)
        assert all(token == f"token-{key}" for key, token in between.keys)
        assert len({key for key, _ in between.keys}) >= 2, "Java's SDK asked for keys of its own"
        assert JWT not in output
        assert not any(JWT in path for path in sts.web.paths)
