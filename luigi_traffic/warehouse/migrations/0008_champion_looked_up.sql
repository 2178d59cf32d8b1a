-- Homes that were migrated by an early form of 0006 have the time of the publication instead of the
-- time at which it was looked up who the champion is. It is a little later, which is as near as can be.
DO $migration$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = 'meta.published'::regclass
        AND attname = 'published_at' AND NOT attisdropped
    ) THEN
        ALTER TABLE meta.published RENAME COLUMN published_at TO champion_at;
        ALTER TABLE meta.published ALTER COLUMN champion_at DROP DEFAULT;
    END IF;
END
$migration$;
