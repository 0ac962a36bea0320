-- Named run configurations and who gets which; what people know about checkpoints; what episodes say since rtc.

CREATE TABLE run_config_versions (
    name text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    version integer NOT NULL CHECK (version >= 1),
    config jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'),
    checkpoint text NOT NULL DEFAULT '',
    notes text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT '',
    used_at timestamptz,
    PRIMARY KEY (name, version)
);
COMMENT ON TABLE run_config_versions IS 'Named run configurations; a change makes a new version, and a version that was used never changes.';
COMMENT ON COLUMN run_config_versions.name IS 'Chosen by a person.';
COMMENT ON COLUMN run_config_versions.version IS 'Counts from 1.';
COMMENT ON COLUMN run_config_versions.config IS 'Agent settings by flag name without dashes; what is absent keeps the agent''s default.';
COMMENT ON COLUMN run_config_versions.checkpoint IS 'Checkpoint to ask for; empty: whatever the workers serve.';
COMMENT ON COLUMN run_config_versions.notes IS 'Why it exists.';
COMMENT ON COLUMN run_config_versions.created_at IS 'When it was saved.';
COMMENT ON COLUMN run_config_versions.created_by IS 'Who saved it.';
COMMENT ON COLUMN run_config_versions.used_at IS 'First assignment or episode; from then on immutable.';

CREATE FUNCTION keep_used_run_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.used_at IS NULL THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.name, NEW.version, NEW.config, NEW.checkpoint, NEW.used_at)
        IS NOT DISTINCT FROM (OLD.name, OLD.version, OLD.config, OLD.checkpoint, OLD.used_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'run config %@% was used and cannot change; save a new version', OLD.name, OLD.version
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
COMMENT ON FUNCTION keep_used_run_config IS 'Refuses every change to a used version but its notes.';
CREATE TRIGGER keep_used_run_config BEFORE UPDATE OR DELETE ON run_config_versions
    FOR EACH ROW EXECUTE FUNCTION keep_used_run_config();

-- One row per change, one of them in force per pair of patterns.
CREATE TABLE run_config_assignments (
    assignment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    robot_pattern text NOT NULL CHECK (robot_pattern <> ''),
    task_pattern text NOT NULL CHECK (task_pattern <> ''),
    name text NOT NULL,
    version integer NOT NULL,
    canary_name text,
    canary_version integer,
    canary_share double precision CHECK (canary_share > 0 AND canary_share < 1),
    previous_id bigint REFERENCES run_config_assignments,
    assigned_at timestamptz NOT NULL DEFAULT now(),
    assigned_by text NOT NULL DEFAULT '',
    ended_at timestamptz,
    FOREIGN KEY (name, version) REFERENCES run_config_versions,
    FOREIGN KEY (canary_name, canary_version) REFERENCES run_config_versions,
    CHECK ((canary_name IS NULL) = (canary_version IS NULL) AND (canary_name IS NULL) = (canary_share IS NULL))
);
CREATE UNIQUE INDEX run_config_assignments_in_force ON run_config_assignments (robot_pattern, task_pattern)
    WHERE ended_at IS NULL;
CREATE INDEX run_config_assignments_previous ON run_config_assignments (previous_id);
COMMENT ON TABLE run_config_assignments IS 'Which run config robots get for a task: the history, and what is in force (ended_at is null).';
COMMENT ON COLUMN run_config_assignments.assignment_id IS 'Counts changes.';
COMMENT ON COLUMN run_config_assignments.robot_pattern IS 'Robots meant; * stands for any text. The most literal match wins, robots before tasks.';
COMMENT ON COLUMN run_config_assignments.task_pattern IS 'Tasks meant; * stands for any text, case does not matter.';
COMMENT ON COLUMN run_config_assignments.name IS 'See run_config_versions.';
COMMENT ON COLUMN run_config_assignments.version IS 'See run_config_versions.';
COMMENT ON COLUMN run_config_assignments.canary_name IS 'The run config on trial; null without a canary.';
COMMENT ON COLUMN run_config_assignments.canary_version IS 'Its version.';
COMMENT ON COLUMN run_config_assignments.canary_share IS 'Weight of the canary: the share of episodes that get it, decided by the episode''s id.';
COMMENT ON COLUMN run_config_assignments.previous_id IS 'Where a rollback goes; null at the first assignment.';
COMMENT ON COLUMN run_config_assignments.assigned_at IS 'When it came into force.';
COMMENT ON COLUMN run_config_assignments.assigned_by IS 'Who changed it.';
COMMENT ON COLUMN run_config_assignments.ended_at IS 'When it was replaced.';

CREATE FUNCTION matches_pattern(value text, pattern text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(value) LIKE replace(
        replace(replace(replace(lower(pattern), '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'
    )
$$;
COMMENT ON FUNCTION matches_pattern IS 'True when a text matches a pattern in which * stands for any text; case does not matter.';

ALTER TABLE episodes DROP CONSTRAINT episodes_mode_check;
ALTER TABLE episodes ADD CONSTRAINT episodes_mode_check CHECK (mode IN ('async', 'sync', 'rtc'));
ALTER TABLE episodes
    ADD COLUMN run_config_name text,
    ADD COLUMN run_config_version integer,
    ADD COLUMN notes text;
CREATE INDEX episodes_run_config_name ON episodes (run_config_name, run_config_version);
CREATE INDEX episodes_task_started_at ON episodes (task, started_at);
CREATE INDEX episodes_unfinished ON episodes (robot, started_at) WHERE outcome IS NULL;
COMMENT ON COLUMN episodes.mode IS 'async (infers while moving), sync (stops to infer) or rtc (async, chunks continue each other).';
-- No foreign key: an episode is recorded even when it names a version that this database never had.
COMMENT ON COLUMN episodes.run_config_name IS 'The assigned run config that the episode started from; null without one.';
COMMENT ON COLUMN episodes.run_config_version IS 'Its version.';
COMMENT ON COLUMN episodes.notes IS 'What the operator wrote.';

ALTER TABLE checkpoints
    ADD COLUMN path text,
    ADD COLUMN statistics jsonb CHECK (jsonb_typeof(statistics) = 'object'),
    ADD COLUMN parent_sha256 text REFERENCES checkpoints CHECK (parent_sha256 <> sha256),
    ADD COLUMN notes text;
CREATE INDEX checkpoints_name ON checkpoints (name);
CREATE INDEX checkpoints_parent ON checkpoints (parent_sha256);
COMMENT ON COLUMN checkpoints.path IS 'Where its files are, as far as someone said.';
COMMENT ON COLUMN checkpoints.statistics IS 'Normalisation statistics or training figures, as far as someone said.';
COMMENT ON COLUMN checkpoints.parent_sha256 IS 'The checkpoint that it was trained from.';
COMMENT ON COLUMN checkpoints.notes IS 'What people know about it.';
