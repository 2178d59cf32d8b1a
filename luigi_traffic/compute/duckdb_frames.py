"""SQLFrame's data frames, without work that it does again with every step of a plan.

A plan is a tree of sqlglot, and each step copies it several times: of a small day, that is most of
the time of bronze and silver. What is here gives the same plans as SQLFrame's own methods.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import uuid4

from sqlframe.base import util
from sqlframe.base.column import Column
from sqlframe.duckdb import DuckDBDataFrame
from sqlglot import Dialect, exp

#: Where in its text the parser found a name: a fifth of a plan, and of use to error messages alone.
_PLACES = ("line", "col", "start", "end")


def dialect_name(dialect: Dialect) -> str:
    """The name of a dialect, which SQLFrame asks for with each column. Its own function imports all
    thirty dialects of sqlglot for it, and goes through them each time."""
    return type(dialect).__name__.lower()


util.dialect_to_string = dialect_name


class Frame(DuckDBDataFrame):
    """A frame of the engine DuckDB. No frame changes once it is made: steps give new ones."""

    def __init__(self, session: Any, expression: Any, *words: Any, **more: Any) -> None:
        super().__init__(session, expression, *words, **more)
        forget_places(expression)

    @cached_property
    def text(self) -> str:
        """The plan as DuckDB's SQL. DuckDB optimises it itself."""
        made: str = self.sql(dialect="duckdb", optimize=False, pretty=False)
        return made

    @cached_property
    def described(self) -> list[dict[str, str]]:
        """The columns and their types, see `Session.schema`."""
        found: list[dict[str, str]] = self.session.schema(self.text)
        return found

    @property
    def columns(self) -> list[str]:
        """Their names. Of the last step: SQLFrame copies all the others as well."""
        if not isinstance(self.expression, exp.Select):
            return list(super().columns)
        last = exp.Select(expressions=[one.copy() for one in self.expression.expressions])
        self._set_display_names(last)
        return list(last.named_selects)

    def copy(self, **changed: Any) -> Frame:
        """Another frame like this one. SQLFrame copies also what `changed` replaces."""
        changed["join_on_uuid"] = str(uuid4())
        kept = {
            name: value.copy() if hasattr(value, "copy") else value
            for name, value in vars(self).items()
            if name not in changed and name not in ("session", "text", "described")
        }
        return self.__class__(self.session, **kept, **changed)

    def _convert_leaf_to_cte(
        self, sequence_id: str | None = None, name: str | None = None
    ) -> Frame:
        """The next step reads this one by name. SQLFrame copies all steps five times for it, and
        writes them as SQL for a name that says what they are; here it says what this step is, and
        which one it reads."""
        plan = self.expression
        if self.pending_hints or plan.args.get("joins") or not _is_chain(plan):
            made: Frame = super()._convert_leaf_to_cte(sequence_id, name)
            return made
        copy = plan.copy()
        steps = copy.ctes
        copy.set("with_", None)
        name = name or self._create_hash_from_expression(copy)
        step = exp.CTE(this=copy, alias=exp.TableAlias(this=exp.to_identifier(name)))
        step.set("branch_id", self.branch_id)
        step.set("sequence_id", sequence_id or self.sequence_id)
        columns = [column.expression for column in self._get_outer_select_columns(step)]
        following = exp.select(*columns, copy=False).from_(name, copy=False)
        following.set("with_", exp.With(expressions=[*steps, step]))
        return self.copy(expression=following, sequence_id=sequence_id or self.sequence_id)

    @classmethod
    def _get_outer_select_columns(cls, item: exp.Expression) -> list[Column]:
        """The columns of the outer select. SQLFrame writes each as SQL and parses that."""
        select = item.find(exp.Select)
        names = [_name(one) for one in select.expressions] if select else []
        if not all(isinstance(name, exp.Identifier) for name in names):
            made: list[Column] = super()._get_outer_select_columns(item)
            return made
        return [_column(name) for name in names]


def _is_chain(plan: exp.Expression) -> bool:
    steps = plan.args.get("with_")
    return isinstance(plan, exp.Select) and not (steps and steps.args.get("recursive"))


def _name(column: exp.Expression) -> Any:
    if isinstance(column, exp.Alias):
        return column.args["alias"]
    return column.this if isinstance(column, exp.Column) else None


def _column(name: exp.Identifier) -> Column:
    made = exp.Column(this=name.copy())
    made.meta["display_name"] = name.this
    return Column(made)


def forget_places(plan: exp.Expression) -> None:
    """Remove from the last step of a plan where in a text its names stood."""
    for key, part in plan.args.items():
        # The steps before it have forgotten theirs.
        for one in part if isinstance(part, list) else [part]:
            if key != "with_" and isinstance(one, exp.Expression):
                for node in one.walk():
                    if node._meta:
                        for place in _PLACES:
                            node._meta.pop(place, None)
                        node._meta = node._meta or None
