"""What a client is told if it gets no answer."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(Exception):
    """An answer other than 2xx: status, one sentence, and the seconds to wait, if that helps."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Those that go with it."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class ProblemBody(BaseModel):
    """The body of every answer that is an error."""

    detail: str = Field(description="What is wrong, and what to do")
