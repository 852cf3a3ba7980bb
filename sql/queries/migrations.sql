-- name: read_versions
-- The migrations that were applied, as dbmate keeps them: the numbers that their files begin with.
SELECT version FROM schema_migrations;
