import ArgumentParser
import Foundation
import GrootStore

/// `groot-gateway checkpoints`: what was served, how well it did, where it came from.
struct CheckpointsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoints",
        abstract: "Checkpoints: what was served, how well it did, where it came from.",
        subcommands: [List.self, Show.self, Compare.self, Describe.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All checkpoints, the latest seen first.")

        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try options.print(try await options.withStore { store in try await store.report(Queries.listCheckpoints) })
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Everything known about a checkpoint.")

        @OptionGroup var options: DatabaseOptions
        @Argument(help: "Its name, or the beginning of its digest.") var checkpoint: String

        func run() async throws {
            try options.printCard(
                try await options.withStore { [checkpoint] store in try await find(checkpoint, in: store) }
            )
        }
    }

    struct Compare: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Success per task and checkpoint with 95 % intervals; is the difference more than chance?"
        )

        @OptionGroup var options: DatabaseOptions
        @Option(help: "Tasks; * stands for any text.") var task = "*"

        func run() async throws {
            try options.print(
                try await options.withStore { [task] store in
                    try await store.report(Queries.compareCheckpoints, [.text(task)])
                }
            )
        }
    }

    struct Describe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Note where a checkpoint lies, what it was trained from, its statistics, and what you know."
        )

        @OptionGroup var options: DatabaseOptions
        @Argument(help: "Its name, or the beginning of its digest.") var checkpoint: String
        @Option(help: "Where its files are.") var path: String?
        @Option(help: "The checkpoint that it was trained from: name, or beginning of the digest.") var parent: String?
        @Option(help: "JSON file with statistics.") var statistics: String?
        @Option(help: "What people should know.") var notes: String?

        func validate() throws {
            guard [path, parent, statistics, notes].contains(where: { $0 != nil }) else {
                throw ValidationError("nothing to note; give --path, --parent, --statistics or --notes")
            }
        }

        func run() async throws {
            let statistics = try statistics.map { file in
                do {
                    return try String(contentsOfFile: file, encoding: .utf8)
                } catch {
                    throw ValidationError("--statistics \(file): cannot be read")
                }
            }
            try options.printCard(
                try await options.withStore { [checkpoint, path, parent, notes] store in
                    let digest = try await find(checkpoint, in: store).rows[0].text(0)
                    var parentDigest: String?
                    if let parent { parentDigest = try await find(parent, in: store).rows[0].text(0) }
                    try await store.describeCheckpoint(
                        sha256: digest,
                        path: path,
                        statisticsJSON: statistics,
                        parentSHA256: parentDigest,
                        notes: notes
                    )
                    return try await find(digest, in: store)
                }
            )
        }
    }

    /// The one checkpoint that is meant.
    private static func find(_ checkpoint: String, in store: Store) async throws(StoreError) -> StoreReport {
        let found = try await store.report(Queries.showCheckpoint, [.text(checkpoint)])
        guard !found.rows.isEmpty else { throw StoreError(.notFound, "there is no checkpoint \(checkpoint)") }
        guard found.rows.count == 1 else {
            throw StoreError(.conflict, "\(found.rows.count) checkpoints are called \(checkpoint); name the digest")
        }
        return found
    }
}
