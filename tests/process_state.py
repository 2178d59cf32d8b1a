"""What a process keeps and a new one would not know."""

from __future__ import annotations

from luigi.task_register import Register

from luigi_traffic.commands.plugin_commands import added_commands
from luigi_traffic.parts import parts
from luigi_traffic.plugins.loading import plugins
from luigi_traffic.settings.keys import reset
from luigi_traffic.targets.chain import lineage
from luigi_traffic.targets.warehouse import ledger_view


def forget() -> None:
    """Drop what this process has read of settings, plugins, recipes, ledger and parts."""
    if parts.cache_info().currsize and "warehouse" in vars(parts()):
        parts().warehouse.close()
    reset()
    for cached in (plugins, parts, lineage, added_commands):
        cached.cache_clear()
    ledger_view.forget()
    Register.clear_instance_cache()
