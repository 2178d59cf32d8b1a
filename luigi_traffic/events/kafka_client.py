"""Opening clients of Kafka: what the settings say in kafka-python's words, and errors in ours."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kafka.errors import (
    AuthorizationError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)
from tenacity import Retrying, retry_if_exception_type, stop_after_delay

from luigi_traffic.errors import SettingsError, StoreError, TrafficError
from luigi_traffic.settings.keys import EventsSettings

logger = logging.getLogger("luigi_traffic")

#: How long a broker may take to answer: a restart of one is survived, not noticed.
PATIENCE_S = 60.0
#: One attempt of these, so that a wrong password does not take all of the above.
_ATTEMPT_S = 5.0
_TELL_EVERY_S = 10.0
_REFUSED = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
_PASSWORD = "LUIGI_TRAFFIC__EVENTS__PASSWORD"  # noqa: S105 - its name


def options(settings: EventsSettings) -> dict[str, Any]:
    """Addresses, TLS and SASL as kafka-python wants them. Raises SettingsError."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.servers,
        "security_protocol": settings.security_protocol,
        "reconnect_backoff_max_ms": 2_000,
    }
    if settings.security_protocol.endswith("SSL") and settings.ca_file:
        if not settings.ca_file.is_file():
            raise SettingsError(f"events.ca_file: the file {settings.ca_file} does not exist")
        found["ssl_cafile"] = str(settings.ca_file)
    if settings.security_protocol.startswith("SASL"):
        found["sasl_mechanism"] = settings.sasl_mechanism
        found["sasl_plain_username"] = settings.user
        password = settings.password
        found["sasl_plain_password"] = password.get_secret_value() if password else ""
    return found


def connect(client: Callable[..., Any], settings: EventsSettings, **more: Any) -> Any:
    """A client that has reached a broker: `client` is a class of kafka-python.

    Raises SettingsError where the broker refuses the user or the password, StoreError
    where none answers for a minute.
    """
    chatter = _chatter()

    def attempt() -> Any:
        chatter.refused = None
        try:
            return client(**options(settings), bootstrap_timeout_ms=int(_ATTEMPT_S * 1000), **more)
        except KafkaTimeoutError as error:
            if chatter.refused is not None:
                raise trouble(settings, "connecting", chatter.refused) from error
            raise

    retry = Retrying(
        retry=retry_if_exception_type(KafkaTimeoutError),
        stop=stop_after_delay(PATIENCE_S),
        reraise=True,
    )
    try:
        return retry(attempt)
    except (KafkaError, OSError) as error:
        raise trouble(settings, "connecting", error) from error


def trouble(settings: EventsSettings, what: str, error: Exception) -> TrafficError:
    """The error that a person reads: which brokers, what went wrong, what to do."""
    where = f"Kafka at {', '.join(settings.servers)}: {what} failed"
    if isinstance(error, _REFUSED):
        return SettingsError(
            f"{where}: the broker refuses user {settings.user!r} by {settings.sasl_mechanism}. "
            f"Set events.user, events.sasl_mechanism and the password in {_PASSWORD}."
        )
    if isinstance(error, AuthorizationError):
        return SettingsError(
            f"{where}: {_name(error)}: user {settings.user!r} may not do that. Grant it that "
            "right in the brokers' ACLs; see docs/decisions/0014-listener.md."
        )
    if isinstance(error, InvalidReplicationFactorError):
        return SettingsError(
            f"{where}: there are fewer brokers than events.replication ({settings.replication})"
        )
    if isinstance(error, InvalidTopicError):
        return SettingsError(f"{where}: that is not a valid topic name; see events.topic")
    if isinstance(error, UnsupportedCodecError):
        return SettingsError(
            f"{where}: {_name(error)}. The messages of the topic use this compression: install "
            "python-snappy, lz4 or zstandard here."
        )
    last = _chatter().last
    return StoreError(
        f"{where}: {_name(error)}{f' (the client last said: {last})' if last else ''}. Are the "
        "brokers up, and are events.servers, events.security_protocol and events.ca_file right?"
    )


def _name(error: Exception) -> str:
    """What went wrong without the dump of the request that kafka-python adds."""
    described = getattr(error, "description", None) or "".join(map(str, error.args[:1]))
    return f"{type(error).__name__}: {described[:300]}"


class Chatter(logging.Handler):
    """What kafka-python logs while a broker is away: a line now and then instead of ten a second.

    It also keeps the reason of a refused login, which kafka-python logs and does not raise.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self.refused: Exception | None = None
        self._told = float("-inf")
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: D102
        arguments = record.args if isinstance(record.args, tuple) else ()
        self.refused = next((a for a in arguments if isinstance(a, _REFUSED)), self.refused)
        self.last = record.getMessage()[:300]
        now = time.monotonic()
        if now - self._told < _TELL_EVERY_S:
            self._left_out += 1
            return
        more = f" (and {self._left_out} similar lines before)" if self._left_out else ""
        logger.warning("Kafka client: %s%s", self.last, more)
        self._told, self._left_out = now, 0


_guard = threading.Lock()


def _chatter() -> Chatter:
    """The handler of this process, put in place at its first use."""
    theirs = logging.getLogger("kafka")
    with _guard:
        for handler in theirs.handlers:
            if isinstance(handler, Chatter):
                return handler
        ours = Chatter()
        theirs.addHandler(ours)
        theirs.propagate = False
        # "Task … ran for 0.157s": on a busy machine every command would say so.
        logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
        return ours
