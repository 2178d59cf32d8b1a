-- What `luigi_traffic.functions` means on DuckDB. Expressions of luigi_traffic.api.grammar are
-- given as arguments (`whole`): both engines use the same.

CREATE TEMP MACRO lt_unquoted(cell) AS CASE
    WHEN regexp_matches(cell, '^[ \t]*".*"[ \t]*\z', 's') AND length(trim(cell, chr(32) || chr(9))) > 1
    THEN replace(substring(trim(cell, chr(32) || chr(9)), 2, length(trim(cell, chr(32) || chr(9))) - 2), '""', '"')
    ELSE cell END;

-- Each cell ends with a delimiter, so that an empty one at the end is none too many.
CREATE TEMP MACRO lt_cells(line, delimiter, matching) AS CASE
    WHEN contains(line, '"')
    THEN list_transform(regexp_extract_all(line || delimiter, matching, 1), lambda c: lt_unquoted(c))
    ELSE string_split(line, delimiter) END;

-- To look for a blank takes a fraction of the time that `trim` takes.
CREATE TEMP MACRO lt_trimmed(cell) AS CASE
    WHEN contains(cell, ' ') OR contains(cell, chr(9)) THEN trim(cell, chr(32) || chr(9)) ELSE cell END;

CREATE TEMP MACRO lt_cell(cells, number) AS lt_trimmed(cells[number]);

CREATE TEMP MACRO lt_number(text, whole) AS CASE
    WHEN regexp_matches(text, whole) AND isfinite(TRY_CAST(text AS DOUBLE)) THEN TRY_CAST(text AS DOUBLE) END;

-- A cast takes more than digits. To write its result as text costs less than an expression.
CREATE TEMP MACRO lt_whole_number(text, whole) AS CASE
    WHEN TRY_CAST(text AS BIGINT)::VARCHAR = text THEN TRY_CAST(text AS BIGINT)
    WHEN regexp_matches(text, whole) THEN TRY_CAST(text AS BIGINT) END;

CREATE TEMP MACRO lt_is_day(y, m, d) AS y BETWEEN 0 AND 200000 AND m BETWEEN 1 AND 12 AND d BETWEEN 1
    AND CASE WHEN m = 2 THEN 28 + (y % 4 = 0 AND (y % 100 <> 0 OR y % 400 = 0))::INT ELSE 30 + (m + m // 8) % 2 END;

-- TRY would do, but evaluates all rows of a vector one by one if one of them fails. 24:00 is the
-- whole hour alone.
CREATE TEMP MACRO lt_made(y, m, d, hour, minute, second, fraction) AS CASE
    WHEN NOT lt_is_day(y, m, d) THEN NULL
    WHEN hour = 24 AND minute = 0 AND second = 0 AND trim(fraction, '0') = ''
    THEN make_timestamp(y, m, d, 0, 0, 0.0) + to_days(1)
    WHEN second BETWEEN 0 AND 59 AND minute BETWEEN 0 AND 59 AND hour BETWEEN 0 AND 23
    THEN make_timestamp(y, m, d, hour, minute, second::DOUBLE)
        + to_microseconds(TRY_CAST(rpad(substring(fraction, 1, 6), 6, '0') AS BIGINT)) END;

-- Parts are texts of digits; an empty one is 0 where it may be left out.
CREATE TEMP MACRO lt_time(y, m, d, hour, minute, second, fraction) AS lt_made(
    TRY_CAST(y AS BIGINT), TRY_CAST(m AS BIGINT), TRY_CAST(d AS BIGINT), TRY_CAST(hour AS BIGINT),
    TRY_CAST(minute AS BIGINT), CASE WHEN second = '' THEN 0 ELSE TRY_CAST(second AS BIGINT) END, fraction);

-- A cast rounds numbers and takes texts such as 1.5, 1e3 and 0x1.
CREATE TEMP MACRO lt_part(part) AS CASE
    WHEN typeof(part) = 'VARCHAR' OR typeof(part) LIKE '%INT%' THEN TRY_CAST(part AS BIGINT)
    ELSE TRY_CAST(trunc(TRY_CAST(part AS DOUBLE)) AS BIGINT) END;

CREATE TEMP MACRO lt_digits(part) AS CASE WHEN typeof(part) = 'VARCHAR' THEN part::VARCHAR ELSE '' END;

CREATE TEMP MACRO lt_time_of_parts(y, m, d, hour, minute, second) AS CASE
    WHEN regexp_matches(
        lt_digits(y) || lt_digits(m) || lt_digits(d) || lt_digits(hour) || lt_digits(minute) || lt_digits(second),
        '^[0-9 +-]*\z')
    THEN lt_made(lt_part(y), lt_part(m), lt_part(d), lt_part(hour), lt_part(minute), lt_part(second), '') END;

-- Twelve characters whose number has twelve digits: no room is left for the blanks and signs that
-- a cast and strptime take.
CREATE TEMP MACRO lt_compact_time(text, count, least, midnight, form) AS CASE
    WHEN length(text) = count AND TRY_CAST(text AS BIGINT) >= least
    THEN CASE WHEN suffix(text, midnight) THEN try_strptime(text[1:8], '%Y%m%d') + to_days(1)
        ELSE try_strptime(text, form) END END;

-- SQLFrame's own cast is to Spark's TIMESTAMP, which has a zone.
CREATE TEMP MACRO lt_timestamp(text) AS text::TIMESTAMP;

CREATE TEMP MACRO lt_hour_of_12(hour, half) AS CASE
    WHEN TRY_CAST(hour AS BIGINT) BETWEEN 1 AND 12
    THEN TRY_CAST(hour AS BIGINT) % 12 + CASE WHEN lower(half) = 'pm' THEN 12 ELSE 0 END END;

-- An offset is `Z`, `+09`, `+0900` or `+09:00`; it is up to 18 hours, as on Spark.
CREATE TEMP MACRO lt_offset(hours, minutes) AS CASE
    WHEN minutes < 60 AND hours * 60 + minutes <= 1080 THEN hours * 60 + minutes END;

CREATE TEMP MACRO lt_instant(moment, sign, hours, minutes, zone) AS timezone(zone, timezone('UTC',
    moment - CASE WHEN sign = '-' THEN -1 ELSE 1 END * to_minutes(lt_offset(
        CASE WHEN hours = '' THEN 0 ELSE TRY_CAST(hours AS BIGINT) END,
        CASE WHEN minutes = '' THEN 0 ELSE TRY_CAST(minutes AS BIGINT) END))));

CREATE TEMP MACRO lt_unix_time(seconds, most, zone) AS CASE
    WHEN seconds BETWEEN 0 AND most
    THEN timezone(zone, make_timestamptz(CAST(trunc(seconds * 1000000) AS BIGINT))) END;

-- By way of text: half of a microsecond is rounded as it is written, as on Spark.
CREATE TEMP MACRO lt_time_after(moment, seconds) AS moment
    + to_microseconds(CAST(TRY_CAST(seconds::DOUBLE::VARCHAR AS DECIMAL(18, 6)) * 1000000 AS BIGINT));

CREATE TEMP MACRO lt_interval_start(moment, seconds) AS time_bucket(to_seconds(seconds), moment::TIMESTAMP);

CREATE TEMP MACRO lt_json_members(line, structure) AS CASE
    WHEN json_valid(line) AND json_type(line) = 'OBJECT' THEN json_transform(line, structure) END;

CREATE TEMP MACRO lt_exact_sum(value) AS CAST(sum(CAST(round(value * 1000000) AS BIGINT)) AS DOUBLE) / 1000000.0;

CREATE TEMP MACRO lt_exact_mean(value) AS
    CAST(sum(CAST(round(value * 1000000) AS BIGINT)) AS DOUBLE) / count(value) / 1000000.0;

CREATE TEMP MACRO lt_values(found) AS coalesce(list_filter(found, lambda one: one IS NOT NULL), []);

-- As in Java and Python: the dot of İ is kept, and a Σ at the end of a word is ς.
CREATE TEMP MACRO lt_lower(text) AS lower(CASE
    WHEN contains(text, 'İ') OR contains(text, 'Σ')
    THEN regexp_replace(
        replace(text, 'İ', 'i' || chr(775)), '([\p{Lu}\p{Ll}\p{Lt}]\pM*)Σ([^\p{Lu}\p{Ll}\p{Lt}]|\z)', '\1ς\2', 'g')
    ELSE text END);
