"""What runs did of late, for the figures of the server."""

from __future__ import annotations

from luigi_traffic.commands.serve.pool import Pool

_ATTEMPTS = """
SELECT stage, coalesce(outcome, 'open'), count(*) FROM meta.attempts
WHERE dataset = %s AND began_at > now() - interval '1 day' GROUP BY 1, 2 ORDER BY 1, 2
"""
_PARTITIONS = """
SELECT stage, count(*) FROM meta.ledger
WHERE dataset = %s AND superseded_at IS NULL GROUP BY 1 ORDER BY 1
"""


def attempts(pool: Pool, dataset: str) -> list[tuple[str, str, int]]:
    """Stage, outcome and number of the attempts that began within 24 hours; "open": no end yet."""
    return [(stage, outcome, count) for stage, outcome, count in pool.rows(_ATTEMPTS, (dataset,))]


def partitions(pool: Pool, dataset: str) -> list[tuple[str, int]]:
    """Stage and number of the partitions of the warehouse that count."""
    return [(stage, count) for stage, count in pool.rows(_PARTITIONS, (dataset,))]
