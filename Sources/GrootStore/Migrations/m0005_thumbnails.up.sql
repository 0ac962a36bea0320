-- Small pictures of what the cameras saw, of robots that record, for the timeline of an episode.

CREATE TABLE thumbnails (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    robot text NOT NULL,
    boot text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    episode_id uuid,
    camera text NOT NULL,
    captured_at timestamptz NOT NULL,
    jpeg bytea NOT NULL CHECK (length(jpeg) BETWEEN 1 AND 32768)
) PARTITION BY RANGE (recorded_at);
CREATE TABLE thumbnails_default PARTITION OF thumbnails DEFAULT;
CREATE INDEX thumbnails_episode ON thumbnails (episode_id, sequence);
COMMENT ON TABLE thumbnails IS 'Small pictures of what the cameras saw, about one per camera and second, of robots that record (groot-agent --record).';
COMMENT ON COLUMN thumbnails.recorded_at IS 'When it arrived here, on the database''s clock; decides the partition.';
COMMENT ON COLUMN thumbnails.robot IS 'Robot.';
COMMENT ON COLUMN thumbnails.boot IS 'Start of its agent.';
COMMENT ON COLUMN thumbnails.sequence IS 'Counts the thumbnails of one boot.';
COMMENT ON COLUMN thumbnails.episode_id IS 'Episode it belongs to; its row may arrive later.';
COMMENT ON COLUMN thumbnails.camera IS 'Key of the camera, e.g. observation.images.cam_head.';
COMMENT ON COLUMN thumbnails.captured_at IS 'The agent''s wall clock at the capture.';
COMMENT ON COLUMN thumbnails.jpeg IS 'A JPEG file.';

-- Thumbnails wait in a queue of their own on the robot, so that they hold nothing up, and have numbers of their own.
ALTER TABLE telemetry_boots
    ADD COLUMN committed_thumbnails int8multirange NOT NULL DEFAULT '{}',
    ADD COLUMN dropped_thumbnails bigint NOT NULL DEFAULT 0 CHECK (dropped_thumbnails >= 0);
COMMENT ON COLUMN telemetry_boots.committed_thumbnails IS 'Sequences of thumbnails that are committed.';
COMMENT ON COLUMN telemetry_boots.dropped_thumbnails IS 'Thumbnails given up, the first to go.';

ALTER TABLE retention DROP CONSTRAINT retention_table_name_check;
ALTER TABLE retention ADD CONSTRAINT retention_table_name_check
    CHECK (table_name IN ('inferences', 'control_samples', 'events', 'thumbnails'));
INSERT INTO retention VALUES ('thumbnails', '14 days');

CREATE OR REPLACE FUNCTION grant_roles() RETURNS TABLE (role text, state text) LANGUAGE plpgsql AS $$
DECLARE
    space text := current_schema();
    item record;
BEGIN
    FOREACH role IN ARRAY ARRAY['groot_migrator', 'groot_writer', 'groot_reader'] LOOP
        state := 'exists';
        IF to_regrole(role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
                state := 'created';
            EXCEPTION
                -- Another database of this server was quicker.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN state := 'missing: ask an administrator for CREATE ROLE';
            END;
        END IF;
        IF to_regrole(role) IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', space, role);
        END IF;
        RETURN NEXT;
    END LOOP;
    IF to_regrole('groot_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO groot_reader', space);
    END IF;
    IF to_regrole('groot_writer') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO groot_writer', space);
        GRANT INSERT ON inferences, control_samples, events, thumbnails TO groot_writer;
        GRANT INSERT, UPDATE ON robots, workers, worker_checkpoints, checkpoints, run_configs, run_config_versions,
            run_config_assignments, episodes, telemetry_boots TO groot_writer;
        GRANT EXECUTE ON FUNCTION maintain_partitions TO groot_writer;
    END IF;
    -- Migrations belong to the migrator, as far as who runs this may give its things away.
    IF to_regrole('groot_migrator') IS NOT NULL AND pg_has_role(current_user, 'groot_migrator', 'MEMBER') THEN
        EXECUTE format('GRANT CREATE ON SCHEMA %I TO groot_migrator', space);
        FOR item IN
            SELECT c.relname, c.relkind FROM pg_class AS c
            WHERE c.relnamespace = to_regnamespace(quote_ident(space)) AND c.relkind IN ('r', 'p', 'v')
                AND pg_has_role(current_user, c.relowner, 'MEMBER')
                AND pg_get_userbyid(c.relowner) <> 'groot_migrator'
                AND (c.relname IN (
                    'groot_migrations', 'robots', 'workers', 'worker_checkpoints', 'checkpoints', 'run_configs',
                    'run_config_versions', 'run_config_assignments', 'episodes', 'telemetry_boots', 'retention',
                    'inferences', 'control_samples', 'events', 'thumbnails', 'episode_metrics', 'robot_day', 'worker_utilization',
                    'checkpoint_comparison', 'starvation_causes'
                ) OR c.relispartition AND c.relname ~ '^(inferences|control_samples|events|thumbnails)_(default|[0-9]{8})$')
        LOOP
            EXECUTE format(
                'ALTER %s %I OWNER TO groot_migrator', CASE item.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, item.relname
            );
        END LOOP;
        FOR item IN
            SELECT p.oid::regprocedure AS signature FROM pg_proc AS p
            WHERE p.pronamespace = to_regnamespace(quote_ident(space))
                AND p.proname IN (
                    'maintain_partitions', 'grant_roles', 'keep_used_run_config', 'matches_pattern', 'wilson_low',
                    'wilson_high'
                )
                AND pg_has_role(current_user, p.proowner, 'MEMBER')
                AND pg_get_userbyid(p.proowner) <> 'groot_migrator'
        LOOP
            EXECUTE format('ALTER FUNCTION %s OWNER TO groot_migrator', item.signature);
        END LOOP;
    END IF;
END
$$;
