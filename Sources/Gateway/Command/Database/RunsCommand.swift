import ArgumentParser
import Foundation
import GrootCore
import GrootStore

/// `groot-gateway runs`: run configs, who gets which, canaries.
struct RunsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs",
        abstract: "Run configs: named settings for agents, who gets which, trials on a share of the episodes.",
        subcommands: [
            List.self, Save.self, Assignments.self, Assign.self, Promote.self, Rollback.self, Unassign.self,
        ],
        defaultSubcommand: List.self
    )

    /// Robots and tasks that are meant.
    struct Scope: ParsableArguments {
        @Option(help: "Robots; * stands for any text. The most literal match wins.") var robot = "*"
        @Option(help: "Tasks; * stands for any text.") var task = "*"

        var value: RunConfigScope { RunConfigScope(robots: robot, tasks: task) }

        func validate() throws {
            if robot.isEmpty || task.isEmpty { throw ValidationError("--robot and --task must not be empty; use *") }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All run configs with their versions.")

        @OptionGroup var options: DatabaseOptions

        func run() async throws {
            try options.print(try await options.withStore { store in try await store.report(Queries.listRunConfigs) })
        }
    }

    struct Save: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save a run config; a name that exists gets its next version.",
            discussion: """
                Settings are agent flags without dashes, e.g. {"chunk_size_threshold": 0.6, "mode": "rtc"}. Flags given to an \
                agent by hand override them.
                """
        )

        @OptionGroup var options: DatabaseOptions
        @Argument(help: "Letters, digits, dots, _ and -.") var name: String
        @Option(help: "Settings as a JSON object, or @FILE.") var config = "{}"
        @Option(help: "Checkpoint to ask for. Default: whatever the workers serve.") var checkpoint = ""
        @Flag(help: "Take a checkpoint that no worker has served yet.") var unseenCheckpoint = false
        @Option(help: "Why it exists.") var notes = ""

        func validate() throws { _ = try settings() }

        private func settings() throws -> String {
            var text = config
            if config.hasPrefix("@") {
                do {
                    text = try String(contentsOfFile: String(config.dropFirst()), encoding: .utf8)
                } catch {
                    FileHandle.standardError.write(Data("Error: --config \(config): cannot be read\n".utf8))
                    throw ExitCode(ProcessExit.badInput.rawValue)
                }
            }
            let settings: [String: AssignableSetting.Value]
            do {
                settings = try JSONDecoder().decode([String: AssignableSetting.Value].self, from: Data(text.utf8))
            } catch {
                throw ValidationError(
                    "--config: expected a JSON object of texts, numbers, true and false, e.g. {\"mode\": \"rtc\"}"
                )
            }
            let problems = settings.sorted { $0.key < $1.key }.compactMap {
                AssignableSetting.problem($0.key, $0.value)
            }
            guard problems.isEmpty else { throw ValidationError("--config: \(problems.joined(separator: "; "))") }
            return text
        }

        func run() async throws {
            let settings = try settings()
            let saved = try await options.withStore { [name, checkpoint, notes, unseenCheckpoint] store in
                if !checkpoint.isEmpty, !unseenCheckpoint { try await store.knowsCheckpoint(checkpoint) }
                return try await store.saveRunConfig(
                    name: name,
                    configJSON: settings,
                    checkpoint: checkpoint,
                    notes: notes,
                    by: DatabaseCommand.person
                )
            }
            print(saved)
        }
    }

    struct Assignments: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Who gets which run config.")

        @OptionGroup var options: DatabaseOptions
        @Flag(help: "Include what was replaced.") var history = false

        func run() async throws {
            try options.print(
                try await options.withStore { [history] store in
                    try await store.report(Queries.listAssignments, [.bool(history)])
                }
            )
        }
    }

    struct Assign: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give robots a run config, or try it on a share of their episodes.",
            discussion: "Idle agents get it with their next episode; a running episode keeps what it started with."
        )

        @OptionGroup var options: DatabaseOptions
        @OptionGroup var scope: Scope
        @Argument(help: "NAME or NAME@VERSION. Default: the newest version.") var runConfig: String
        @Option(help: "Share of episodes as a canary, e.g. 0.1 or 10%. Default: all of them.") var share: String?

        func validate() throws {
            _ = try parsed()
        }

        private func parsed() throws -> (name: String, version: Int32?, share: Double?) {
            let parts = runConfig.split(separator: "@", omittingEmptySubsequences: false)
            let version = parts.count == 2 ? Int32(parts[1]) : nil
            guard parts.count == 1 || (parts.count == 2 && version != nil), !parts[0].isEmpty else {
                throw ValidationError("\(runConfig): expected NAME or NAME@VERSION")
            }
            guard let share else { return (String(parts[0]), version, nil) }
            let isPercent = share.hasSuffix("%")
            guard let number = Double(isPercent ? share.dropLast() : share[...]) else {
                throw ValidationError("--share \(share): expected a number such as 0.1 or 10%")
            }
            let value = isPercent ? number / 100 : number
            guard value > 0, value < 1 else {
                throw ValidationError("--share \(share): expected more than 0 and less than all; leave it out for all")
            }
            return (String(parts[0]), version, value)
        }

        func run() async throws {
            let wish = try parsed()
            let made = try await options.withStore { [scope] store in
                try await store.assignRunConfig(
                    name: wish.name,
                    version: wish.version,
                    to: scope.value,
                    share: wish.share,
                    by: DatabaseCommand.person
                )
            }
            print(RunsCommand.sentence(made))
            let warning = try await options.withStore { store in try await store.ambiguity(of: made) }
            if let warning { try FileHandle.standardError.write(contentsOf: Data("groot-gateway: \(warning)\n".utf8)) }
        }
    }

    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the run config on trial the one in force. With one trial running, no options are needed."
        )

        @OptionGroup var options: DatabaseOptions
        @Option(help: "Robots, as assigned.") var robot: String?
        @Option(help: "Tasks, as assigned.") var task: String?

        func run() async throws {
            let made = try await options.withStore { [robot, task] store in
                let scope = try await RunsCommand.scope(robot, task, of: store)
                return try await store.promoteRunConfig(scope, by: DatabaseCommand.person)
            }
            print(RunsCommand.sentence(made))
        }
    }

    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a trial; without one, return to what was in force before the last change."
        )

        @OptionGroup var options: DatabaseOptions
        @Option(help: "Robots, as assigned.") var robot: String?
        @Option(help: "Tasks, as assigned.") var task: String?

        func run() async throws {
            let made = try await options.withStore { [robot, task] store in
                let scope = try await RunsCommand.scope(robot, task, of: store)
                return try await store.rollBackRunConfig(scope, by: DatabaseCommand.person)
            }
            print(RunsCommand.sentence(made))
        }
    }

    struct Unassign: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Leave robots without a run config: their own flags and defaults hold."
        )

        @OptionGroup var options: DatabaseOptions
        @OptionGroup var scope: Scope

        func run() async throws {
            try await options.withStore { [scope] store in try await store.unassignRunConfig(scope.value) }
            print("\(scope.value): nothing assigned")
        }
    }

    /// The scope that was named; the only trial's when none was; else everything.
    private static func scope(_ robot: String?, _ task: String?, of store: Store) async throws -> RunConfigScope {
        if robot != nil || task != nil { return RunConfigScope(robots: robot ?? "*", tasks: task ?? "*") }
        let canaries = try await store.canariesInForce()
        guard canaries.count > 1 else { return canaries.first?.scope ?? RunConfigScope() }
        let scopes = canaries.map(\.scope.description).joined(separator: "; ")
        throw StoreError(.conflict, "\(canaries.count) trials are running; name one with --robot and --task: \(scopes)")
    }

    private static func sentence(_ made: RunConfigAssignment) -> String {
        guard let canary = made.canary else { return "\(made.scope): \(made.stable)" }
        let percent = (made.share * 1000).rounded() / 10
        return "\(made.scope): \(made.stable), and \(canary) for \(percent) % of the episodes"
    }
}
