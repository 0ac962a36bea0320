import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import ROS1
import Testing

@testable import RobotAgent

/// The gateway goes away in mid-motion: the arms stand, and the episode goes on by itself when it is back.
///
/// `GROOT_LINK_CUTS=5,15,40` says how many seconds it is away, in each way; without it 5, and 15 once. `LinkCutTests` has the
/// machines' side of longer cuts, `make bench-link-cut` whole episodes.
@Suite(.serialized)
struct LinkCutSerialTests {
    enum Kind: CaseIterable, Sendable {
        /// Nobody listens on its port.
        case gone
        /// It takes requests and says nothing.
        case frozen
        /// It says that there is no worker.
        case noWorkers
    }

    struct Cut: Sendable, CustomTestStringConvertible {
        var kind: Kind
        var seconds: Int
        var testDescription: String { "\(kind) for \(seconds) s" }

        static let all: [Cut] = {
            guard let text = ProcessInfo.processInfo.environment["GROOT_LINK_CUTS"] else {
                return Kind.allCases.map { Cut(kind: $0, seconds: $0 == .gone ? 15 : 5) }
            }
            let seconds = text.split(separator: ",").compactMap { Int($0) }
            return seconds.flatMap { seconds in Kind.allCases.map { Cut(kind: $0, seconds: seconds) } }
        }()
    }

    @Test(.timeLimit(.minutes(3)), arguments: Cut.all)
    func theEpisodeGoesOn(cut: Cut) async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        let port = try FreePorts.take(1)[0]
        try await withRobot { robot, master in
            var settings = configuration(master: master, gateway: port, state: directory.url)
            settings.episodeTimeout = .seconds(cut.seconds + 60)
            let agent = AgentRun(configuration: settings)
            let run = Task { await agent.execute() }
            let node = ROSNode(name: "/operator", masterURI: settings.rosMaster, logger: Logger(label: "test"))
            try await node.start()
            func away(_ body: () throws -> Void) async throws {
                // The plan in force may run out first; then the arms stand, streaming.
                let begun = robot.history.count
                try await eventually(within: .seconds(20), "the plan runs out") { robot.history.count > begun + 250 }
                let held = robot.history.count
                try await eventually(within: .seconds(cut.seconds + 20), "the arms are held") {
                    robot.history.count > held + 100 * cut.seconds - 250
                }
                #expect(Set(robot.history[held...].map { $0[0] }).count == 1, "they stand")
                #expect(fleet.finished.isEmpty)
                try body()
            }
            func goesOn() async throws {
                let answered = fleet.records.count { $0.status == "OK" }
                try await eventually(within: .seconds(20), "the episode goes on") {
                    fleet.records.count { $0.status == "OK" } > answered + 1
                }
                #expect(fleet.started.count == 1 && fleet.finished.isEmpty, "it is still the same one")
                _ = try await node.callService(
                    "/groot_agent_r1/success",
                    as: Trigger.self,
                    request: TriggerRequest(),
                    timeout: .seconds(5)
                )
                #expect(await run.value == .ok)
                #expect(fleet.finished.map(\.outcome) == [.success])
                #expect(fleet.events.allSatisfy { $0.name != "stopped" })
                #expect(robot.worstStep < 0.13)
            }
            try await withGateway(fleet, port: port) { _ in
                try await eventually(within: .seconds(30), "the robot moves") { fleet.inferences >= 2 }
                guard cut.kind != .gone else { return }
                fleet.trouble = cut.kind == .frozen ? .hangs : .noWorkers
                try await away { fleet.trouble = nil }
                try await goesOn()
            }
            if cut.kind == .gone {
                try await away {}
                try await withGateway(fleet, port: port) { _ in try await goesOn() }
            }
            await node.shutdown()
        }
    }
}
