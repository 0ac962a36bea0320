import ArgumentParser
import Foundation
import GrootAPI
import GrootCore
import GrootSecurity
import Logging
import ROS1

/// `groot-agent check`: what is on the robot, and what would prevent a start. Changes nothing.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "List a robot's topics and services and say what would prevent a start; moves nothing."
    )

    @Option(help: "Name of this robot.")
    var robot: String

    @Option(help: "Robot profile: auto, simulator, 5_wheel, 4_pro or a JSON file.")
    var profile = "auto"

    @Option(help: "ROS master URI. Default: ROS_MASTER_URI, else http://127.0.0.1:\(DefaultPort.rosMaster).")
    var rosMaster: String?

    @Option(
        help: "Name or address at which other ROS nodes reach this one. Default: ROS_HOSTNAME, ROS_IP, else 127.0.0.1."
    )
    var rosHost: String?

    @Option(name: [.customLong("gateway"), .customLong("server-address")], help: "Gateway to ask for its checkpoints.")
    var gateway: String?

    @Option(help: "Seconds to listen.")
    var seconds = 3.0

    @OptionGroup(title: "TLS") var tls: TLSFlags

    func run() async throws {
        guard AgentConfiguration.isUsable(robot: robot), (0.1...600).contains(seconds) else {
            throw ValidationError("--robot: letters, digits, _ and -; --seconds: 0.1 to 600")
        }
        if profile != "auto" { _ = try ProfileCatalog.load(profile) }
        let tlsFiles: TLSFiles?
        do { tlsFiles = try tls.files() } catch { throw ValidationError(error.description) }
        let environment = ProcessInfo.processInfo.environment
        let master = rosMaster ?? environment["ROS_MASTER_URI"] ?? "http://127.0.0.1:\(DefaultPort.rosMaster)"
        var logger = Logger(label: "check")
        logger.logLevel = .warning
        // What the contract says stands in the report.
        var quiet = logger
        quiet.logLevel = .error
        // Two checks at a time do not push each other out.
        let process = ProcessInfo.processInfo.processIdentifier
        let node = ROSNode(
            name: "/groot_check_\(robot.replacing("-", with: "_"))_\(process)",
            masterURI: master,
            host: rosHost ?? AgentNode.host(environment),
            logger: logger
        )
        do {
            try await node.start()
        } catch {
            print("master    \(master) does not answer: \(error)")
            throw ExitCode(ProcessExit.unavailable.rawValue)
        }
        let found = try await ProfileCatalog.resolve(profile, on: node)
        print("master    \(master)\nprofile   \(found.name): \(found.description)")
        var served: Served?
        if let gateway { served = await ask(gateway, found, tlsFiles, logger) }
        // Without a policy that fits, every camera of the profile counts.
        let policies = served?.fitting ?? []
        let report = try await RobotCheck(
            profile: found,
            usedCameras: policies.isEmpty ? nil : policies.flatMap { $0.images.map(\.key) },
            extras: policies.isEmpty ? nil : found.extras(for: policies.flatMap(\.stateNames)),
            commandsBase: policies.contains {
                found.controlNames(for: $0.actionNames).count > found.claws.upperBound
            },
            node: node,
            logger: quiet,
            time: .seconds(seconds)
        ).run()
        let twin = try await twin(on: node, report)
        await node.shutdown()
        print(Self.table(report))
        if !report.notes.isEmpty { print("\nGood to know:") }
        for note in report.notes { print("  \(note)") }
        let problems = report.problems + twin + (served?.problems ?? [])
        if problems.isEmpty {
            print("\nNothing prevents a start.")
            return
        }
        print("\nWhat prevents a start:")
        for problem in problems { print("  \(problem)") }
        throw ExitCode(ProcessExit.unavailable.rawValue)
    }

    /// An agent that drives the robot already, unless the report names it.
    private func twin(on node: ROSNode, _ report: RobotCheck.Report) async throws -> [String] {
        let name = AgentNode.name(robot: robot)
        guard try await node.isAlive(node: name), !report.problems.contains(where: { $0.contains(name) }) else {
            return []
        }
        return ["\(name): lives already; only one agent may drive a robot"]
    }

    private struct Served {
        var fitting: [PolicyDescription] = []
        var problems: [String] = []
    }

    /// Checkpoints of the gateway against the profile.
    private func ask(
        _ address: String,
        _ profile: RobotProfile,
        _ tls: TLSFiles?,
        _ logger: Logger
    ) async -> Served {
        do {
            let visit = GatewayVisit(
                endpoints: [try Endpoint(parsing: address, defaultPort: DefaultPort.gateway)],
                robot: robot,
                tls: tls,
                logger: logger
            )
            let policies = try await visit.ask { try await $0.describe(timeout: .seconds(5)) }
            var served = Served()
            for policy in policies {
                let own = PolicyMatch.problems(policy: policy, profile: profile, task: "-")
                print("serves    \(policy.checkpoint) (\(policy.runtime)): \(own.isEmpty ? "fits" : "does not fit")")
                if own.isEmpty { served.fitting.append(policy) }
                served.problems += own
            }
            if !served.fitting.isEmpty { served.problems = [] }
            if policies.isEmpty { served.problems = ["gateway \(address): its workers serve nothing"] }
            return served
        } catch let error as AgentError {
            return Served(problems: [error.description])
        } catch {
            return Served(problems: ["gateway \(address): \(error)"])
        }
    }

    static func table(_ report: RobotCheck.Report) -> String {
        func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
        var rows = [["topic", "rate Hz", "age ms", "stamp age ms", "type", "md5", "what", "from"]]
        for finding in report.topics {
            rows.append([
                finding.topic, number(finding.rate), finding.age.map { number($0.milliseconds) } ?? "-",
                finding.stampAge.map { number($0.milliseconds) } ?? "-",
                finding.offeredType ?? "(nobody)", finding.md5.isEmpty ? "-" : finding.md5,
                finding.detail.isEmpty ? "-" : finding.detail, finding.publisher.isEmpty ? "-" : finding.publisher,
            ])
        }
        var services = [["service", "type", "md5"]]
        for finding in report.services {
            services.append([
                finding.name, finding.type.isEmpty ? "(nobody)" : finding.type, finding.md5.isEmpty ? "-" : finding.md5,
            ])
        }
        return "\n" + aligned(rows) + "\n\n" + aligned(services)
    }

    private static func aligned(_ rows: [[String]]) -> String {
        let columns = rows.first?.count ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
