import ArgumentParser
import GrootStore

/// `groot-gateway migrate`: schema, roles and retention.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring the database's schema and roles up to date; show or change how long telemetry is kept."
    )

    @OptionGroup var options: DatabaseOptions

    @Option(
        help: ArgumentHelp(
            "Keep a telemetry table so many days, e.g. inferences=30d. Tables: inferences, control_samples, events, thumbnails.",
            valueName: "table=days"
        )
    )
    var keep: [String] = []

    func validate() throws { _ = try wishes() }

    private func wishes() throws -> [(table: String, days: Int32)] {
        try keep.map { text in
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[1].hasSuffix("d"), let days = Int32(parts[1].dropLast()),
                (1...36_500).contains(days)
            else { throw ValidationError("--keep \(text): expected TABLE=DAYS, e.g. inferences=30d") }
            return (String(parts[0]), days)
        }
    }

    func run() async throws {
        let wishes = try wishes()
        let (migrations, retention) = try await options.withStore(migrate: true) { store in
            for wish in wishes { try await store.setRetention(table: wish.table, days: wish.days) }
            try await store.maintainPartitions()
            return (try await store.report(Queries.listMigrations), try await store.report(Queries.listRetention))
        }
        try options.print(migrations)
        if !options.json { print("") }
        try options.print(retention)
    }
}
