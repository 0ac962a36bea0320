import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// One cell of each kind of the input contract across processes: rosmaster, a robot in rospy, the built agent and `check`.
@Suite(.serialized)
struct InputContractSerialTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        var faults: [String]
        var exit: ProcessExit
        /// What agent and `check` both say.
        var words: [String]

        var testDescription: String { faults.joined(separator: " ") }
    }

    static let refusals: [Refusal] = [
        .init(faults: ["degrees"], exit: .safety, words: ["zarm_l1_joint reads -7.5 rad", "are these degrees"]),
        .init(faults: ["zeros"], exit: .safety, words: ["14 of 14 joints read exactly 0"]),
        .init(
            faults: ["reordered"],
            exit: .badInput,
            words: ["35fff741b8e115992c1ac46e99c1084f", "54439d3ac2ef33d46fd7cf6d324860c3", "/fake_robot publishes"]
        ),
        .init(
            faults: ["stuck"],
            exit: .unavailable,
            words: ["/sensors_data_raw: messages keep coming with the same stamp"]
        ),
        .init(faults: ["no_claws"], exit: .unavailable, words: ["/leju_claw_state"]),
        .init(faults: ["deaf"], exit: .unavailable, words: ["/kuavo_arm_traj: nobody subscribes to it"]),
        .init(faults: ["mono8"], exit: .badInput, words: ["16x12 mono8 is a grey or depth picture"]),
    ]

    @Test(.timeLimit(.minutes(2)), arguments: refusals)
    func anInputThatCannotBeTrueRefusesTheStartAndCheckSaysTheSame(refusal: Refusal) async throws {
        let scene = try await RobotScene(refusal.faults)
        try await withGateway(ScriptedFleet()) { gateway in
            let agent = try scene.agent(gateway: gateway)
            let check = try scene.check(gateway: gateway)
            try await eventually(within: .seconds(40), "both end: \(agent.lastLines(5))") {
                agent.exitCode != nil && check.exitCode != nil
            }
            #expect(agent.exitCode == refusal.exit.rawValue, "\(agent.lastLines())")
            #expect(check.exitCode == ProcessExit.unavailable.rawValue)
            for word in refusal.words {
                #expect(try agent.logText().contains(word), "\(agent.lastLines())")
                let text = try check.standardOutput()
                #expect(text.contains(word), "\(text)")
            }
            #expect(try scene.summary()?.commands == 0)
            #expect(try scene.services() == [])
        }
    }

    @Test(
        .timeLimit(.minutes(2)),
        arguments: [("joystick", "/joystick publishes it"), ("ghost", "/fake_robot and /ghost")]
    )
    func anotherNodeOnATopicRefusesTheStart(node: String, words: String) async throws {
        let scene = try await RobotScene()
        let other = try scene.node(node)
        try await withGateway(ScriptedFleet()) { gateway in
            try await eventually(within: .seconds(20), "the other one publishes: \(other.lastLines())") {
                let check = try scene.check(gateway: gateway)
                try await eventually(within: .seconds(20), "the check ends") { check.exitCode != nil }
                return try check.standardOutput().contains(words)
            }
            let agent = try scene.agent(gateway: gateway)
            try await eventually(within: .seconds(40), "the agent ends: \(agent.lastLines(5))") {
                agent.exitCode != nil
            }
            #expect(agent.exitCode == ProcessExit.unavailable.rawValue)
            #expect(try agent.logText().contains(words), "\(agent.lastLines())")
            #expect(try scene.summary()?.commands == 0)
            #expect(try scene.services() == [])
        }
    }

    /// Clocks, stamps and encodings that are unusual and fine.
    @Test(
        .timeLimit(.minutes(2)),
        arguments: [
            ["offset=0.9", "later:outlier"], ["offset=-5", "later:step=-0.6"], ["zero_stamps", "bgr8"], ["png"],
        ]
    )
    func whatIsUnusualAndFineIsDriven(faults: [String]) async throws {
        let scene = try await RobotScene(faults)
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let check = try scene.check(gateway: gateway)
            let agent = try scene.agent(gateway: gateway)
            try await eventually(within: .seconds(40), "it drives: \(agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 5
            }
            // The agent drives meanwhile, which is all that `check` may find.
            try await eventually(within: .seconds(20), "the check ends") { check.exitCode != nil }
            let found = try check.standardOutput().split(separator: "What prevents a start:").dropFirst().joined()
            #expect(found.split(separator: "\n").allSatisfy { $0.contains("/groot_agent_r1") }, "\(found)")
            #expect(fleet.records.allSatisfy { $0.skewNs < 50_000_000 }, "\(fleet.records.map(\.skewNs))")
            let request = try #require(fleet.requests.last)
            let head = try #require(request.images.first { $0.key.hasSuffix("cam_head") })
            #expect(Array(head.data.prefix(3)) == [200, 40, 20])
            #expect(agent.isRunning)
            agent.terminate()
            try await eventually(within: .seconds(30), "the agent ends") { agent.exitCode != nil }
            #expect(agent.exitCode == 0, "\(agent.lastLines())")
            #expect(try scene.summary()?.problems == [])
            let worst = try scene.summary()?.worstStep ?? 1
            #expect(worst < 0.031)
        }
    }

    /// Inputs that go bad and others who begin to command: the event says why, and without a joint state the arms stand.
    @Test(
        .timeLimit(.minutes(2)),
        arguments: [
            ("stuck", "frozen"), ("no_claws", "silent"), ("degrees", "out_of_range"), ("deaf", "nobody_listens"),
            ("joystick", "other_commander"), ("ghost", "doubled"),
        ]
    )
    func aFaultWhileRunningHoldsTheArms(fault: String, event: String) async throws {
        let isNode = fault == "joystick" || fault == "ghost"
        let scene = try await RobotScene(isNode ? [] : ["later:\(fault)"])
        let fleet = ScriptedFleet()
        fleet.home = try ProfileCatalog.load("5_wheel").arm.homeRad
        try await withGateway(fleet) { gateway in
            let agent = try scene.agent(gateway: gateway)
            try await eventually(within: .seconds(40), "it drives: \(agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 1
            }
            let node = isNode ? try scene.node(fault) : nil
            try await eventually(within: .seconds(30), "the event says why: \(agent.lastLines(5))") {
                fleet.events.contains { $0.name == event }
            }
            if fault == "stuck" || fault == "degrees" {
                try await eventually(within: .seconds(10), "the arms stand: \(agent.lastLines(5))") {
                    let summary = try scene.summary()
                    return (summary?.still ?? 0) > 0.9 || (summary?.silent ?? 0) > 0.9
                }
            }
            let worst = try scene.summary()?.worstStep ?? 1
            #expect(worst < 0.031, "no jump: \(worst)")
            node?.terminate()
            agent.kill()
        }
    }

    // MARK: One commander

    /// The same robot from another state directory, and another robot at the same master.
    @Test(.timeLimit(.minutes(2)), arguments: ["r1", "r2"])
    func aSecondAgentIsRefusedAndTheFirstGoesOn(name: String) async throws {
        let scene = try await RobotScene()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let first = try scene.agent(gateway: gateway)
            try await eventually(within: .seconds(40), "the first drives: \(first.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 2
            }
            let second = try scene.agent("second", robot: name, gateway: gateway)
            try await eventually(within: .seconds(40), "the second ends: \(second.lastLines(5))") {
                second.exitCode != nil
            }
            #expect(second.exitCode == ProcessExit.unavailable.rawValue, "\(second.lastLines())")
            let words = name == "r1" ? "drives robot r1 already" : "/groot_agent_r1 publishes it"
            #expect(try second.logText().contains(words), "\(second.lastLines())")
            let asked = fleet.inferences
            try await eventually(within: .seconds(20), "the first goes on") { fleet.inferences > asked + 2 }
            #expect(fleet.events.isEmpty, "\(fleet.events.map(\.name))")
            #expect(try scene.services() == ["arm_mode", "quick_mode"], "nothing was handed back")
            first.kill()
            let third = try scene.agent("third", gateway: gateway)
            let asked2 = fleet.inferences
            try await eventually(within: .seconds(40), "a killed agent locks nobody out: \(third.lastLines(5))") {
                fleet.inferences > asked2
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func otherMachinesAreToldTheHostNameThatWasSet() async throws {
        let scene = try await RobotScene()
        try await withGateway(ScriptedFleet()) { gateway in
            let agent = try scene.agent(
                gateway: gateway,
                environment: ["ROS_HOSTNAME": "kuavo-nuc", "ROS_IP": "10.1.2.3"]
            )
            // Nobody can reach that name here: which is found, too.
            try await eventually(within: .seconds(40), "the agent ends: \(agent.lastLines(5))") {
                agent.exitCode != nil
            }
            #expect(agent.exitCode == ProcessExit.unavailable.rawValue)
            #expect(try agent.logText().contains("is not connected to this agent"), "\(agent.lastLines())")
        }
    }

    /// Names, units and kinds as Prometheus wants them, and whose they are.
    @Test(.timeLimit(.minutes(2)))
    func metricsPassPromtoolAndCarryTheRobotsName() async throws {
        let scene = try await RobotScene()
        let admin = try FreePorts.take(1)[0]
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let agent = try scene.agent(gateway: gateway, ["--admin", "127.0.0.1:\(admin)"])
            try await eventually(within: .seconds(40), "it drives: \(agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 2
            }
            let promtool = try ChildProcess(
                "promtool",
                executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", "curl -s http://127.0.0.1:\(admin)/metrics | promtool check metrics 2>&1"],
                folder: scene.folder.url
            )
            try await eventually(within: .seconds(20), "promtool ends") { promtool.exitCode != nil }
            let text = try promtool.standardOutput()
            #expect(promtool.exitCode == 0, "\(text)")
            let curl = try ChildProcess(
                "curl",
                executable: URL(filePath: "/usr/bin/curl"),
                arguments: ["-s", "http://127.0.0.1:\(admin)/metrics"],
                folder: scene.folder.url
            )
            try await eventually(within: .seconds(20), "curl ends") { curl.exitCode != nil }
            let series = try curl.standardOutput().split(separator: "\n").filter { !$0.hasPrefix("#") }
            #expect(series.count > 20)
            #expect(series.allSatisfy { $0.contains(#"robot="r1""#) }, "\(series.filter { !$0.contains("robot=") })")
        }
    }
}
