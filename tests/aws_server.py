"""A small server that plays AWS's part in giving roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from http_server import Answer, HttpServer, Request, http_server

JWT = "the-jwt-of-this-pod"
ROLE = "arn:aws:iam::123456789012:role/lake"


class Aws:
    """STS, a container's credentials and EC2's metadata."""

    web: HttpServer
    #: How long the keys of an answer are good, and what it is instead.
    lasts = timedelta(hours=1)
    instead: Answer | None = None

    def answer(self, request: Request) -> Answer:
        return self.instead or Answer(self.content(request.method, request.path))

    def content(self, method: str, path: str) -> str:
        key = f"key-{len(self.web.asked)}"
        end = f"{datetime.now(UTC) + self.lasts:%Y-%m-%dT%H:%M:%SZ}"
        if path.endswith("/latest/api/token"):
            return "the-imds-token"
        if path.endswith("security-credentials/"):
            return "lake-role"
        if method == "GET":
            return json.dumps({"AccessKeyId": key, "SecretAccessKey": "s", "Token": f"token-{key}",
                               "Expiration": end})  # fmt: skip
        return (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>"
            f"<SecretAccessKey>s</SecretAccessKey><SessionToken>token-{key}</SessionToken>"
            f"<Expiration>{end}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
            "</AssumeRoleWithWebIdentityResponse>"
        )


@contextmanager
def aws() -> Iterator[Aws]:
    made = Aws()
    with http_server(made.answer) as made.web:
        yield made
