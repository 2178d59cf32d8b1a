"""What a process keeps and a new one would not know."""

from __future__ import annotations

from luigi.task_register import Register

from luigi_traffic.project import current


def forget() -> None:
    """Drop the project of this process, and the tasks that Luigi keeps."""
    if current.cache_info().currsize:
        current().close()
    current.cache_clear()
    Register.clear_instance_cache()
