extension Queries {
    /// Creates the table of applied migrations.
    ///
    /// Not a prepared query: the table that it is about may be missing.
    static let createMigrationTable = """
        CREATE TABLE IF NOT EXISTS groot_migrations (
            version integer PRIMARY KEY,
            name text NOT NULL,
            checksum text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE groot_migrations IS 'Schema migrations applied to this database; written by groot-gateway only.';
        """

    /// Waits until no other program migrates this schema; released at the end of the transaction.
    static let lockMigrations = Query(
        "lock_migrations",
        columns: [PostgresColumn("locked", .bool)],
        sql: """
            SELECT pg_advisory_xact_lock(hashtextextended('groot.migrations.' || current_schema(), 0)) IS NOT NULL
                AS locked
            """
    ) { (row) throws(StoreError) in try row.bool(0) }

    static let migrationTableExists = Query(
        "migration_table_exists",
        columns: [PostgresColumn("found", .bool)],
        sql: "SELECT to_regclass('groot_migrations') IS NOT NULL AS found"
    ) { (row) throws(StoreError) in try row.bool(0) }

    static let appliedMigrations = Query(
        "applied_migrations",
        columns: [
            PostgresColumn("version", .integer), PostgresColumn("name", .text), PostgresColumn("checksum", .text),
        ],
        sql: "SELECT version, name, checksum FROM groot_migrations ORDER BY version"
    ) { (row) throws(StoreError) in
        AppliedMigration(version: Int(try row.integer(0)), name: try row.text(1), checksum: try row.text(2))
    }

    static let recordMigration = Query(
        "record_migration",
        parameters: [.integer, .text, .text],
        sql: "INSERT INTO groot_migrations (version, name, checksum) VALUES ($1, $2, $3)"
    )

    static let forgetMigration = Query(
        "forget_migration",
        parameters: [.integer],
        sql: "DELETE FROM groot_migrations WHERE version = $1"
    )

    /// Makes the roles as far as allowed and gives them their rights on what is there now.
    static let grantRoles = Query(
        "grant_roles",
        columns: [PostgresColumn("role", .text), PostgresColumn("state", .text)],
        sql: "SELECT role, state FROM grant_roles()"
    ) { (row) throws(StoreError) in (role: try row.text(0), state: try row.text(1)) }

    /// Functions that act with their owner's rights are for our roles only; a copy without privileges forgets that.
    static let revokeFunctions = """
        DO $$
        DECLARE
            signature regprocedure;
        BEGIN
            FOR signature IN
                SELECT oid::regprocedure FROM pg_proc
                WHERE pronamespace = to_regnamespace(current_schema()) AND proname IN ('maintain_partitions', 'grant_roles')
            LOOP
                EXECUTE format('REVOKE ALL ON FUNCTION %s FROM public', signature);
            END LOOP;
        END
        $$
        """

    /// SHA-256 of a text in UTF-8, in hex.
    static let textDigest = Query(
        "text_digest",
        parameters: [.text],
        columns: [PostgresColumn("digest", .text)],
        sql: "SELECT encode(sha256(convert_to($1::text, 'UTF8')), 'hex') AS digest"
    ) { (row) throws(StoreError) in try row.text(0) }
}
