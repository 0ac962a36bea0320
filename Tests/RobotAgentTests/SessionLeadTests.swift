import ArgumentParser
import Foundation
import GrootCore
import Logging
import Testing

@testable import RobotAgent

/// Who begins an episode, and which runs nobody could judge.
struct SessionLeadTests {
    private func configuration(_ change: (inout AgentConfiguration) -> Void) -> AgentConfiguration {
        var settings = RobotAgentTests.configuration(master: 1, gateway: 1, state: URL(filePath: "/nowhere"))
        change(&settings)
        return settings
    }

    /// Every combination of profile, number, person, judge and dry run.
    @Test func severalEpisodesThatNobodyJudgesAreRefused() throws {
        for profile in ["5_wheel", "4_pro", "simulator"] {
            for episodes in [1, 2, 50] {
                for bits in 0..<8 {
                    let isAttended = bits & 1 != 0
                    let hasJudge = bits & 2 != 0
                    let isDryRun = bits & 4 != 0
                    let settings = configuration {
                        $0.episodes = episodes
                        $0.isAttended = isAttended
                        $0.judge = hasJudge ? JudgeCommand(command: "true", limit: .seconds(1)) : nil
                        $0.isDryRun = isDryRun
                    }
                    let problem = SessionLead.problem(settings, try ProfileCatalog.load(profile))
                    let isRefused = profile != "simulator" && episodes > 1 && !isAttended && !hasJudge && !isDryRun
                    #expect((problem != nil) == isRefused, "\(profile) \(episodes) \(bits)")
                    if let problem {
                        #expect(problem.contains("--episodes \(episodes)") && problem.contains("--judge"))
                    }
                }
            }
        }
    }

    private func lead(_ desk: OperatorDesk, isAttended: Bool) -> SessionLead {
        SessionLead(desk: desk, isAttended: isAttended, node: "/groot_agent_r1", logger: Logger(label: "test"))
    }

    @Test func withoutAPersonItBeginsAtOnce() async throws {
        try await lead(OperatorDesk(orders: OrderInbox()), isAttended: false).mayBegin(0, of: 3) {
            Issue.record("it waits for nothing")
        }
    }

    /// An Enter from before the question is none; the one behind it begins.
    @Test func aPersonBegins() async throws {
        let desk = OperatorDesk(orders: OrderInbox())
        desk.typed("")
        var looks = 0
        try await lead(desk, isAttended: true).mayBegin(1, of: 3) {
            looks += 1
            if looks == 3 { desk.typed("") }
            #expect(looks <= 3)
        }
        #expect(looks == 3)
    }

    @Test func theEndOfTheSessionEndsTheWait() async {
        struct Over: Error {}
        var looks = 0
        await #expect(throws: Over.self) {
            try await lead(OperatorDesk(orders: OrderInbox()), isAttended: true).mayBegin(0, of: 1) {
                looks += 1
                if looks == 2 { throw Over() }
            }
        }
    }

    @Test func theTerminalDecidesUnlessTold() throws {
        func isAttended(_ flags: [String], isTerminal: Bool) throws -> Bool? {
            let arguments = ["--robot", "r1"] + flags
            return try? RunCommand.parse(arguments).flags.checked(
                environment: [:],
                arguments: arguments,
                isTerminal: isTerminal
            ).get().isAttended
        }
        for isTerminal in [true, false] {
            #expect(try isAttended([], isTerminal: isTerminal) == isTerminal)
            #expect(try isAttended(["--attended"], isTerminal: isTerminal) == true)
            #expect(try isAttended(["--unattended"], isTerminal: isTerminal) == false)
            #expect(try isAttended(["--attended", "--unattended"], isTerminal: isTerminal) == nil)
        }
    }
}
