-- forecast.<dataset> was partitioned by LIST (part), which no question by time could make use of.
-- Now it is by LIST (model), and the branch of each model by RANGE (issued_at): see tables.py and
-- docs/decisions/0027-forecasts-by-day.md. Rows stay where they are: partitions are taken off the
-- old table and put on the new one. One whose rows are not of the day and model that its part says
-- is dropped, and the ledger says so: it is made anew when it is asked for.
DO $migration$
DECLARE
    old record;
    leaf record;
    granted record;
    aside text;
    branch text;
    part_name text;
    model_name text;
    low text;
    high text;
    extent text;
BEGIN
    FOR old IN
        SELECT c.oid, c.relname AS dataset, c.relowner, c.relacl
        FROM pg_partitioned_table p
        JOIN pg_class c ON c.oid = p.partrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
        WHERE n.nspname = 'forecast' AND p.partstrat = 'l' AND a.attname = 'part'
    LOOP
        aside := '/' || old.oid;  -- no dataset has a name with a slash
        EXECUTE format('ALTER TABLE forecast.%I RENAME TO %I', old.dataset, aside);
        EXECUTE format(
            'CREATE TABLE forecast.%I (LIKE forecast.%I) PARTITION BY LIST (model)',
            old.dataset, aside
        );
        FOR granted IN
            SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who
            FROM aclexplode(old.relacl)
            WHERE privilege_type = 'SELECT' AND grantee <> old.relowner
        LOOP
            EXECUTE format('GRANT SELECT ON forecast.%I TO %s', old.dataset, granted.who);
        END LOOP;

        FOR leaf IN
            SELECT c.oid::regclass::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = old.oid
        LOOP
            part_name := replace(
                substring(leaf.bound FROM '^FOR VALUES IN \(''(\d{4}-\d\d-\d\d/.*)''\)$'),
                '''''', ''''
            );
            IF part_name IS NULL THEN
                RAISE EXCEPTION 'Partition % of forecast.% is not of one day and model',
                    leaf.name, quote_ident(old.dataset)
                    USING HINT = format(
                        'Take it off: ALTER TABLE forecast.%I DETACH PARTITION %s',
                        old.dataset, leaf.name
                    );
            END IF;
            model_name := substring(part_name FROM 12);
            low := left(part_name, 10) || ' 00:00:00.000001';
            high := (left(part_name, 10)::date + 1)::text || ' 00:00:00.000001';
            EXECUTE format('ALTER TABLE forecast.%I DETACH PARTITION %s', aside, leaf.name);

            branch := (
                SELECT c.oid::regclass::text
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = format('forecast.%I', old.dataset)::regclass
                AND pg_get_expr(c.relpartbound, c.oid)
                    = format('FOR VALUES IN (''%s'')', replace(model_name, '''', ''''''))
            );
            IF branch IS NULL THEN
                branch := old.dataset || '/' || model_name;
                IF octet_length(branch) > 63 THEN
                    branch := old.oid || '/' || md5(model_name);
                END IF;
                branch := format('forecast.%I', branch);
                EXECUTE format(
                    'CREATE TABLE %s (LIKE forecast.%I) PARTITION BY RANGE (issued_at)',
                    branch, aside
                );
                EXECUTE format(
                    'ALTER TABLE forecast.%I ATTACH PARTITION %s FOR VALUES IN (%L)',
                    old.dataset, branch, model_name
                );
            END IF;

            EXECUTE format(
                'SELECT format('' AND "timestamp" >= %%L AND "timestamp" <= %%L'','
                ' min("timestamp"), max("timestamp")) FROM %s HAVING count(*) > 0',
                leaf.name
            ) INTO extent;
            BEGIN
                EXECUTE format(
                    'ALTER TABLE %s DROP CONSTRAINT IF EXISTS partition_bounds,'
                    ' ADD CONSTRAINT partition_bounds CHECK (issued_at IS NOT NULL'
                    '  AND issued_at >= %L AND issued_at < %L'
                    '  AND model IS NOT NULL AND model = %L),'
                    ' ADD CONSTRAINT partition_values CHECK (part >= %L AND part <= %L %s)',
                    leaf.name, low, high, model_name, part_name, part_name, extent
                );
                EXECUTE format(
                    'ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                    branch, leaf.name, low, high
                );
            EXCEPTION WHEN check_violation THEN
                EXECUTE format('DROP TABLE %s', leaf.name);
                UPDATE meta.ledger SET superseded_at = clock_timestamp()
                WHERE stage = 'forecast' AND dataset = old.dataset AND part = part_name
                AND superseded_at IS NULL;
            END;
        END LOOP;
        BEGIN
            EXECUTE format('DROP TABLE forecast.%I', aside);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            RAISE EXCEPTION 'Views or functions of yours need forecast.% as it was partitioned',
                quote_ident(old.dataset)
                USING HINT = 'Drop them, run again, and make them anew';
        END;
    END LOOP;
END
$migration$;
