ALTER TABLE checkpoints DROP COLUMN notes, DROP COLUMN parent_sha256, DROP COLUMN statistics, DROP COLUMN path;
DROP INDEX checkpoints_name;
DROP INDEX episodes_unfinished, episodes_task_started_at, episodes_run_config_name;
ALTER TABLE episodes DROP COLUMN notes, DROP COLUMN run_config_version, DROP COLUMN run_config_name;
-- The older program does not know rtc; async is what it comes closest to.
UPDATE episodes SET mode = 'async' WHERE mode = 'rtc';
ALTER TABLE episodes DROP CONSTRAINT episodes_mode_check;
ALTER TABLE episodes ADD CONSTRAINT episodes_mode_check CHECK (mode IN ('async', 'sync'));
COMMENT ON COLUMN episodes.mode IS 'async (infers while moving) or sync (stops to infer).';
DROP FUNCTION matches_pattern;
DROP TABLE run_config_assignments;
DROP TABLE run_config_versions;
DROP FUNCTION keep_used_run_config;
