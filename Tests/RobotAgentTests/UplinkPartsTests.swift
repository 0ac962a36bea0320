import Foundation
import GrootAPI
import GrootCore
import Testing

@testable import RobotAgent

struct UplinkPartsTests {
    private let now = MonotonicInstant(nanoseconds: 1_000_000_000)

    @Test func aFailedGatewayIsLeftAtOnceAndComesBackLater() {
        var choice = GatewayChoice(count: 3)
        #expect(choice.failed(0, at: now) == true)
        #expect(choice.current == 1)
        choice.succeeded(1)
        #expect(choice.current == 1, "requests stay where they are served")
        #expect(choice.alternative(to: 1, at: now) == 2)
        #expect(choice.failed(1, at: now + .milliseconds(10)) == true)
        #expect(choice.current == 2)
        #expect(choice.failed(2, at: now + .milliseconds(20)) == true)
        #expect(choice.current == 0, "all failed: the one that failed longest ago")
        #expect(choice.alternative(to: 0, at: now + .seconds(3)) == 1)
        var single = GatewayChoice(count: 1)
        #expect(single.failed(0, at: now) == false)
        #expect(single.alternative(to: 0, at: now) == nil)
    }

    @Test func anAssignedConfigYieldsToFlagsAndNamesNonsense() throws {
        var configuration = AgentConfiguration(
            robot: "r1",
            task: "t",
            gateway: .tcp(host: "h", port: 1),
            rosMaster: "http://h:1",
            stateDirectory: URL(filePath: "/tmp")
        )
        configuration.explicitFlags = ["blend_ms"]
        var answer = Groot_V1_AssignRunConfigResponse()
        answer.name = "careful"
        answer.version = 3
        answer.configJson = """
            {"chunk_size_threshold": "auto", "blend_ms": 50, "mode": "rtc", "action_chunk_size": 99, "aggregate_fn": "average"}
            """
        let policy = PolicyDescription(
            checkpoint: "c",
            policyType: "t",
            sha256: "",
            runtime: "r",
            images: [],
            stateNames: [],
            actionNames: [],
            chunkSize: 16,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 96
        )
        let (result, problems) = configuration.applying(answer, policy: policy)
        #expect(result.threshold == .auto && result.mode == .rtc && result.aggregate == .average)
        #expect(result.blend == .milliseconds(300), "a flag given by hand wins")
        #expect(result.chunkSize == nil)
        #expect(problems.count == 1 && problems[0].contains("action_chunk_size = 99"))
        #expect(result.runConfigName == "careful" && result.runConfigVersion == 3)
        let json = result.json(policy: policy, profile: try ProfileCatalog.load("simulator"), mode: .rtc)
        #expect(json.contains(#""run_config":"careful v3""#) && json.contains(#""aggregate_fn":"latest_only""#))
        answer.configJson = "[1]"
        #expect(configuration.applying(answer, policy: policy).problems.count == 1)
        #expect(configuration.applying(.init(), policy: policy).0.runConfigName == "")
    }

    @Test func operatorsLines() {
        let orders = OrderInbox()
        let desk = OperatorDesk(orders: orders)
        desk.typed("n box slipped")
        desk.typed("N twice")
        desk.typed("z")
        #expect(desk.take() == nil)
        desk.typed(" S ")
        desk.wished(.retry, by: "service")
        #expect(orders.take().orders == [Orders(.success), Orders(.retry)], "the control thread hears of it first")
        #expect(orders.take().orders == [])
        let wishes = [desk.take(), desk.take()]
        #expect(wishes.map { $0?.wish } == [.success, .retry] && wishes.map { $0?.origin } == ["key", "service"])
        #expect(desk.take() == nil && desk.origin(of: .retry) == "service" && desk.origin(of: .interrupt) == "signal")
        #expect(desk.takeNotes() == "box slipped; twice")
        #expect(desk.takeApproval() == false)
        desk.typed("")
        #expect(desk.takeApproval() && !desk.takeApproval())
    }

    @Test func pausesCountForNothing() {
        var machine = EpisodeMachine(limits: .init(episode: .seconds(10)), startedAt: now)
        machine.firstActionExecuted(at: now)
        machine.paused(at: now + .seconds(2))
        machine.timePassed(now + .seconds(100))
        #expect(machine.verdict == nil)
        machine.resumed(at: now + .seconds(100))
        machine.timePassed(now + .seconds(107))
        #expect(machine.verdict == nil)
        machine.judged(.success, reason: "", by: .operator, at: now + .seconds(107))
        #expect(machine.verdict?.duration == .seconds(9))
    }

    @Test func aFlagOfAnUnusualAgentIsNotReadAsAValue() {
        #expect(RunFlags.explicit(in: ["--robot", "r1", "--blend-ms=30", "--", "--mode"]) == ["robot", "blend_ms"])
    }
}
