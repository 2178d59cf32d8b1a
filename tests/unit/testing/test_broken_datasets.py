"""Each broken dataset is caught, by the test that is meant to, with what to change."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import broken_datasets as made
import broken_hooks
import broken_transforms as turned
import pytest
from kit_city import DemoCity, DemoSettings

from luigi_traffic.testing import DatasetSuite
from luigi_traffic.testing.sample import Sample

DAY = date(2024, 5, 1)
DECLARED = [
    (made.NameWithHyphen, "test_name_and_version", "lower-case Python identifier"),
    (made.SevenMinutes, "test_interval_divides_a_day", "that divides a day"),
    (made.Abbreviation, "test_timezone_is_known", "Use a name like 'Asia/Seoul'"),
    (made.NegativeWait, "test_settles_after_is_a_time", r"timedelta\(hours=3\)"),
    (made.UnknownUnit, "test_speed_unit_is_known", "one of km/h, mph, m/s"),
    (made.SettingWithoutStage, "test_settings_say_stage_and_description", r"setting\(default, st"),
    (made.SettingWithoutDescription, "test_settings_say_stage_and_description", "Say in a few"),
    (made.SettingWithoutDefault, "test_settings_have_defaults", "Give every setting a default"),
    (made.Unpicklable, "test_pickles", "create them in the method that needs them"),
    (made.RandomSource, "test_source_is_deterministic", "seed random values"),
    (made.SecretInRecipe, "test_source_recipe_holds_no_secret", "'url'.*Leave it out"),
    (made.MovingRecipe, "test_source_recipe_is_json", "Leave out times, random numbers"),
    (made.MovingAddress, "test_source_address_is_json", r"address\(\) differs between two"),
    (made.TextInsteadOfBytes, "test_source_yields_streams_of_bytes", "encode text as UTF-8"),
    (broken_hooks.NotMarked, "test_the_hook_provides_it", "decorate it with @luigi_traffic.hookim"),
    (made.AnyHeader, "test_header_refuses_foreign_lines", "Compare with the exact column names"),
    (made.RowsAreHeaders, "test_header_knows_what_the_source_sends", "taken for a header is lost"),
]
RUN = [
    (made.Collects, "test_transforms_only_build_plans", r"silver\(\) uses DataFrame\.collect:.*"),
    (made.CountsAndHides, "test_transforms_only_build_plans", r"bronze\(\) uses DataFrame\.count"),
    (made.UsesRdd, "test_transforms_only_build_plans", r"\.rdd: RDDs do not exist on Spark Conn"),
    (made.UsesContext, "test_transforms_only_build_plans", "Use the session that bronze.. is giv"),
    (made.OwnSession, "test_transforms_only_build_plans", r"builder\.getOrCreate: the session bel"),
    (made.OtherIds, "test_graph_joins_links_of_silver", "Use the same ids in graph"),
    (made.NumbersInGraph, "test_graph_joins_links_of_silver", r"LinkGraph\.from_edges"),
    (made.ImpossibleCheck, "test_the_pipeline_accepts_the_day", "lowest speed.*is below 100"),
    (made.DistinctCheck, "test_the_pipeline_accepts_the_day", "no DISTINCT"),
    (made.WholeWeek, "test_the_pipeline_accepts_the_day", "max_rejected.*other day.*ManyDays"),
    (made.FinerGrid, "test_interval_is_the_step_of_the_data", r"come every 0:10:00.*Set interval"),
    (made.HalfIntervals, "test_expected_slots_are_those_of_the_data", "08:03:00, at which no"),
    (made.NightShift, "test_expected_slots_are_those_of_the_data", "the first is 03:00:00.*Ret"),
    (made.WiderGraph, "test_graph_joins_links_of_silver", "2 of the 4 links of the graph.*'203'"),
    (made.LacksExtraColumn, "test_silver_has_its_columns", "'truck_share'.*each of extra_columns"),
    (turned.DropsBadRows, "test_bronze_is_one_row_a_line", "Flag bad rows in reject_reason"),
    (turned.DuplicatesARow, "test_bronze_is_one_row_a_line", "869 rows of 868 lines"),
    (turned.KoreanTimeAsUtc, "test_bronze_good_rows_lie_in_the_day", "Keep the wall time of Asia"),
    (turned.KoreanTimeAsUtc, "test_silver_lies_on_the_grid", "without a conversion between zones"),
    (turned.SessionTime, "test_wall_time_in_every_session_zone", r"F\.wall_time\(text\)"),
    (turned.ZonedBronze, "test_bronze_has_its_columns", r"F\.wall_time\(text\)"),
    (turned.ZonedSilver, "test_silver_has_its_columns", "Keep wall time without a zone"),
    (turned.NumericLinks, "test_bronze_has_its_columns", r"link_id.*bigint.*cast\('string'\)"),
    (turned.NumericLinks, "test_silver_has_its_columns", r"Link ids are text: cast\('string'\)"),
    (turned.NoRawLine, "test_bronze_rejected_rows_keep_their_line", r"alias\('raw_line'\)"),
    (turned.UndeclaredReason, "test_bronze_reasons_are_listed", "'no observation'.*Add them to"),
    (turned.SparkLineEnds, "test_bronze_carriage_return_ends_no_line", r"F\.lines\(session"),
    (turned.OtherLinkCell, "test_bronze_of_some_links", "id is in cell 3.*0 rows.*Return the cell"),
    (turned.KeepsCarriageReturn, "test_bronze_reads_crlf_as_lf", r"Remove the \\r before"),
    (turned.DropsBlankLines, "test_garbage_lines", "instead of dropping it"),
    (turned.CrashesOnGarbage, "test_garbage_lines", r"use F\.number"),
    (turned.CrashesOnEmptyDay, "test_empty_day", r"if raw\.paths is empty, as F\.lines"),
    (turned.FillsInSpeeds, "test_rows_that_are_cut_short", "reject rows with too few fields"),
    (turned.ReadsByPosition, "test_missing_columns", "Raise DataError in header"),
    (turned.LinksWithoutName, "test_text_in_place_of_a_value", "an invalid time, link or speed"),
    (turned.OffGrid, "test_silver_lies_on_the_grid", "down to the start of their interval"),
    (turned.LosesObservations, "test_silver_conserves_rows", "Count the rows that are merged"),
    (turned.LosesSlowRows, "test_silver_conserves_rows", "drop none"),
    (turned.NotUnique, "test_silver_is_unique", "Group by both and take the mean"),
    (turned.FirstOfMany, "test_same_content_in_any_partitioning", "silver.*exact_mean"),
    (turned.FloatingMean, "test_silver_in_any_order_of_rows", "exact_mean"),
    (turned.DateAsMidnight, "test_times_that_are_cut_short", r"Read times with F\.wall_time"),
    (turned.NumbersRows, "test_same_content_in_any_partitioning", "bronze.*monotonically_incr"),
    (turned.NanSpeeds, "test_silver_speeds_are_plausible", "silver of the day raised.*NaN is not"),
    (turned.ForSparkAlone, "test_same_content_on_both_engines", r"DuckDB raised.*never from py"),
    (turned.OtherTypes, "test_same_content_on_both_engines", r"other columns.*\.cast\('int'\)"),
    (turned.PlainMean, "test_silver_speeds_are_plausible", r"NULL or NaN.*test it with F\.isnan"),
    (turned.KilometresAsMetres, "test_silver_speeds_are_plausible", "not the unit of the source"),
    (turned.MphAsKilometres, "test_silver_speed_is_in_the_declared_unit", "'mph' in measures"),
]  # fmt: skip


def suite_of(dataset: type[DemoCity], folder: Path, spark: object = None) -> DatasetSuite:
    kind = type("TestBroken", (DatasetSuite,), {"dataset": dataset, "day": DAY})
    suite: DatasetSuite = kind()
    suite.sample = Sample(suite, folder, lambda: spark)
    return suite


def names(value: object) -> str | None:
    return value.__name__ if isinstance(value, type) else None


@pytest.mark.parametrize(("dataset", "test", "said"), DECLARED, ids=names)
def test_it_is_caught(dataset: type[DemoCity], test: str, said: str, tmp_path: Path) -> None:
    caught(suite_of(dataset, tmp_path), test, said)


@pytest.mark.parametrize(("dataset", "test", "said"), RUN, ids=names)
def test_it_is_caught_on_spark(
    dataset: type[DemoCity], test: str, said: str, tmp_path: Path, luigi_traffic_spark: object
) -> None:
    caught(suite_of(dataset, tmp_path, luigi_traffic_spark), test, said)


def caught(suite: DatasetSuite, test: str, said: str) -> None:
    failure = (AssertionError, pytest.fail.Exception)
    with pytest.raises(failure, match=f"(?s){said}"):
        getattr(suite, test)()


def test_every_check_catches_somebody() -> None:
    checks = {name for name in dir(DatasetSuite) if name.startswith("test_")}
    tried = {test for _, test, _ in [*DECLARED, *RUN]}
    # Speed is reported and fails nobody; the others are the same checks on other input.
    assert checks - tried == {
        "test_speed_is_reported", "test_settings_make_recipes", "test_one_row_day",
        "test_reject_reasons_are_declared", "test_extra_columns_are_names",
    }  # fmt: skip


def test_a_secret_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    suite = suite_of(made.SecretInRecipe, tmp_path)
    with pytest.raises(AssertionError) as e:
        suite.test_source_recipe_holds_no_secret()
    assert DemoSettings().token not in str(e.value)
