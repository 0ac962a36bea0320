import ArgumentParser
import GrootCore
import GrootStore

/// `groot-gateway episodes`: what the robots did.
struct EpisodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "episodes",
        abstract: "What the robots did.",
        subcommands: [List.self, Show.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The latest episodes, newest first.")

        @OptionGroup var options: DatabaseOptions
        @Option(help: "Robots; * stands for any text.") var robot = "*"
        @Option(help: "Tasks; * stands for any text.") var task = "*"
        @Option(help: "Checkpoints; * stands for any text.") var checkpoint = "*"
        @Option(help: "success, dropped, wrong_box, timeout, refused, aborted, failure or running.")
        var outcome: String?
        @Option(help: "How far back, e.g. 30m, 12h, 7d.") var since = "365d"
        @Option(help: "Most episodes shown.") var limit = 20

        func validate() throws {
            let outcomes = EpisodeOutcome.allCases.map(\.rawValue) + ["running"]
            if let outcome, !outcomes.contains(outcome) {
                throw ValidationError("--outcome \(outcome): expected one of \(outcomes.joined(separator: ", "))")
            }
            guard DatabaseCommand.interval(since) != nil else {
                throw ValidationError("--since \(since): expected a time such as 30m, 12h or 7d")
            }
            guard (1...100_000).contains(limit) else { throw ValidationError("--limit \(limit): expected 1 to 100000") }
        }

        func run() async throws {
            let values: [PostgresValue] = [
                .text(robot), .text(task), .text(checkpoint), .optional(outcome),
                .optional(DatabaseCommand.interval(since)), .integer(Int64(limit)),
            ]
            try options.print(
                try await options.withStore { store in try await store.report(Queries.listEpisodes, values) }
            )
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One episode: figures, events, and why the robot ran out of motion."
        )

        @OptionGroup var options: DatabaseOptions
        @Argument(help: "Its id, or the beginning of it.") var episode: String

        func run() async throws {
            let (figures, events, starvation) = try await options.withStore { [episode] store in
                let found = try await store.report(Queries.showEpisode, [.text(episode)])
                guard let row = found.rows.first else { throw StoreError(.notFound, "there is no episode \(episode)") }
                guard found.rows.count == 1 else {
                    throw StoreError(.conflict, "several episodes begin with \(episode); give more of the id")
                }
                let id = PostgresValue.text(try row.text(0))
                return (
                    found, try await store.report(Queries.episodeEvents, [id]),
                    try await store.report(Queries.episodeStarvation, [id])
                )
            }
            try options.printCard(figures)
            for (title, report) in [("events", events), ("chunks that came too late", starvation)] {
                if !options.json { print("\n\(title):") }
                try options.print(report)
            }
        }
    }
}
