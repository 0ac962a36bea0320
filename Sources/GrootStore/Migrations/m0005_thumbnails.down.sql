DROP TABLE thumbnails;
DELETE FROM retention WHERE table_name = 'thumbnails';
ALTER TABLE retention DROP CONSTRAINT retention_table_name_check;
ALTER TABLE retention ADD CONSTRAINT retention_table_name_check
    CHECK (table_name IN ('inferences', 'control_samples', 'events'));
ALTER TABLE telemetry_boots DROP COLUMN committed_thumbnails, DROP COLUMN dropped_thumbnails;

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
        GRANT INSERT ON inferences, control_samples, events TO groot_writer;
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
                    'inferences', 'control_samples', 'events', 'episode_metrics', 'robot_day', 'worker_utilization',
                    'checkpoint_comparison', 'starvation_causes'
                ) OR c.relispartition AND c.relname ~ '^(inferences|control_samples|events)_(default|[0-9]{8})$')
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
