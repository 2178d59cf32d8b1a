-- forecast.<dataset> held the forecasts of every model, of rejected ones too. Now
-- forecast_versions.<dataset> holds them by day and version, and forecast.<dataset> is a view of
-- those that are published: see published.py and docs/decisions/0041-published-forecasts.md. Rows
-- stay where they are; their version and observed inputs are not known, so these are NULL. A
-- partition whose rows are not of the day and model that its bounds say is dropped, and the ledger
-- says so.
CREATE TABLE meta.published (
    dataset text NOT NULL,
    -- The measure that is forecast; empty for the dataset's own target.
    target text NOT NULL,
    day date NOT NULL,
    part text NOT NULL,
    -- When it was looked up who the champion is: a model that was trained later may be the champion
    -- of today, though the part was published after that.
    champion_at timestamptz NOT NULL,
    PRIMARY KEY (dataset, target, day)
);

DO $migration$
DECLARE
    old record;
    branch record;
    leaf record;
    granted record;
    names text;
    leaf_name text;
    model_name text;
    part_name text;
    low text;
    high text;
    node text;
BEGIN
    FOR old IN
        SELECT c.oid, c.relname AS dataset, c.relowner, c.relacl
        FROM pg_partitioned_table p
        JOIN pg_class c ON c.oid = p.partrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
        WHERE n.nspname = 'forecast' AND p.partstrat = 'l' AND a.attname = 'model'
    LOOP
        CREATE SCHEMA IF NOT EXISTS forecast_versions;
        EXECUTE format(
            'CREATE TABLE forecast_versions.%1$I'
            ' (LIKE forecast.%1$I, version integer, observed smallint)'
            ' PARTITION BY RANGE (issued_at)',
            old.dataset
        );
        FOR branch IN
            SELECT c.oid, c.oid::regclass::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = old.oid
        LOOP
            model_name := replace(
                substring(branch.bound FROM '^FOR VALUES IN \(''(.*)''\)$'), '''''', ''''
            );
            IF model_name IS NULL THEN
                RAISE EXCEPTION 'Partition % of forecast.% is not of one model',
                    branch.name, quote_ident(old.dataset)
                    USING HINT = format(
                        'Take it off: ALTER TABLE forecast.%I DETACH PARTITION %s',
                        old.dataset, branch.name
                    );
            END IF;
            FOR leaf IN
                SELECT c.oid, pg_get_expr(c.relpartbound, c.oid) AS bound
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = branch.oid
            LOOP
                leaf_name := leaf.oid::regclass::text;
                low := substring(leaf.bound FROM '^FOR VALUES FROM \(''([^'']*)''\) TO ');
                high := substring(leaf.bound FROM ' TO \(''([^'']*)''\)$');
                IF low IS NULL OR high IS NULL THEN
                    RAISE EXCEPTION 'Partition % of % is not of one day', leaf_name, branch.name
                        USING HINT = format(
                            'Take it off: ALTER TABLE %s DETACH PARTITION %s',
                            branch.name, leaf_name
                        );
                END IF;
                part_name := left(low, 10) || '/' || model_name;
                EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', branch.name, leaf_name);
                EXECUTE format(
                    'ALTER TABLE %s ADD COLUMN version integer, ADD COLUMN observed smallint',
                    leaf_name
                );
                EXECUTE format('ALTER TABLE %s SET SCHEMA forecast_versions', leaf_name);
                leaf_name := leaf.oid::regclass::text;

                node := (
                    SELECT c.oid::regclass::text
                    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhparent = format('forecast_versions.%I', old.dataset)::regclass
                    AND pg_get_expr(c.relpartbound, c.oid) = leaf.bound
                );
                IF node IS NULL THEN
                    node := old.dataset || '/' || left(low, 10);
                    IF octet_length(node) > 63 THEN
                        node := old.oid || '/' || left(low, 10);
                    END IF;
                    node := format('forecast_versions.%I', node);
                    EXECUTE format(
                        'CREATE TABLE %s (LIKE forecast_versions.%I) PARTITION BY LIST (part)',
                        node, old.dataset
                    );
                    EXECUTE format(
                        'ALTER TABLE forecast_versions.%I ATTACH PARTITION %s %s',
                        old.dataset, node, leaf.bound
                    );
                END IF;
                BEGIN
                    EXECUTE format(
                        'ALTER TABLE %s DROP CONSTRAINT IF EXISTS partition_bounds,'
                        ' ADD CONSTRAINT partition_bounds CHECK (issued_at IS NOT NULL'
                        '  AND issued_at >= %L AND issued_at < %L'
                        '  AND part IS NOT NULL AND part = %L)',
                        leaf_name, low, high, part_name
                    );
                    EXECUTE format(
                        'ALTER TABLE %s ATTACH PARTITION %s FOR VALUES IN (%L)',
                        node, leaf_name, part_name
                    );
                EXCEPTION WHEN check_violation THEN
                    EXECUTE format('DROP TABLE %s', leaf_name);
                    UPDATE meta.ledger SET superseded_at = clock_timestamp()
                    WHERE stage = 'forecast' AND dataset = old.dataset AND part = part_name
                    AND superseded_at IS NULL;
                END;
            END LOOP;
        END LOOP;
        BEGIN
            EXECUTE format('DROP TABLE forecast.%I', old.dataset);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            RAISE EXCEPTION 'Views or functions of yours need forecast.%, which becomes a view',
                quote_ident(old.dataset)
                USING HINT = 'Drop them, run again, and make them anew';
        END;
        names := (
            SELECT string_agg(format('f.%I', attname), ', ' ORDER BY attnum)
            FROM pg_attribute
            WHERE attrelid = format('forecast_versions.%I', old.dataset)::regclass
            AND attnum > 0 AND NOT attisdropped
        );
        EXECUTE format(
            'CREATE VIEW forecast.%1$I AS SELECT %2$s FROM forecast_versions.%1$I f'
            ' JOIN meta.published p ON p.dataset = %3$L AND p.part = f.part',
            old.dataset, names, old.dataset
        );
        FOR granted IN
            SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who
            FROM aclexplode(old.relacl)
            WHERE privilege_type = 'SELECT' AND grantee <> old.relowner
        LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA forecast_versions TO %s', granted.who);
            EXECUTE format(
                'GRANT SELECT ON forecast.%1$I, forecast_versions.%1$I TO %2$s',
                old.dataset, granted.who
            );
        END LOOP;
    END LOOP;
END
$migration$;

-- Of each day the last forecast by a model that had become champion.
INSERT INTO meta.published (dataset, target, day, part, champion_at)
SELECT DISTINCT ON (1, 2, 3) f.dataset, coalesce(substring(f.part FROM '^[^:]*:(.*)$'), ''),
    left(f.part, 10)::date, f.part, f.committed_at
FROM meta.ledger f
WHERE f.stage = 'forecast' AND f.superseded_at IS NULL AND f.part ~ '^\d{4}-\d\d-\d\d/'
AND EXISTS (
    SELECT FROM jsonb_array_elements(f.inputs) i
    JOIN meta.ledger m ON m.stage = 'model' AND m.partition_id = i ->> 'id'
    WHERE i ->> 'stage' = 'model' AND (m.details ->> 'promoted')::boolean
)
ORDER BY 1, 2, 3, f.committed_at DESC;
