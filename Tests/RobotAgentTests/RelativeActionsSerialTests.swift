import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// A policy whose rows are displacements, as GR00T N1.7's may be, through the whole agent: what the arms are told rests on the
/// pose in which they were observed, however late the answer comes and whatever the plan in force has done meanwhile.
///
/// The gateway adds the rows to the state of the request, as workers do (`LeRobotSerialTests`, groot17-relative).
@Suite(.serialized)
struct RelativeActionsSerialTests {
    private static let joint = 7
    private static let latency = Duration.milliseconds(300)
    /// From the answer until nothing of the older chunk is left: the merge and the blend.
    private static let takeOver = Duration.milliseconds(400)

    /// rad/s; every chunk leads the other way, so that no shift in time looks like one in space.
    private static func speed(_ inference: Int) -> Double { inference.isMultiple(of: 2) ? -0.15 : 0.15 }

    @Test(.timeLimit(.minutes(2)), arguments: [10, 30, 50])
    func rowsRestOnThePoseOfTheirObservation(rowsPerSecond: Int) async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.supportsPrefix = false
        fleet.policy.rowsPerSecond = rowsPerSecond
        fleet.policy.rows = rowsPerSecond * 16 / 10
        fleet.policy.latency = Self.latency
        fleet.policy.displacement = { inference, row in
            Float(Self.speed(inference) * Double(row + 1) / Double(rowsPerSecond))
        }
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                robot.successAfterCommands = 700
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.aggregate = .latestOnly
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                let finished = try #require(fleet.finished.first)
                #expect(finished.outcome == .success && finished.starvedTicks == 0)
                #expect(finished.limitedTicks == 0)
                try expect(robot, follows: fleet.answers, rowsPerSecond)
            }
        }
    }

    private func expect(
        _ robot: ScriptedRobot,
        follows answers: [ScriptedFleet.Answer],
        _ rowsPerSecond: Int
    ) throws {
        var compared = 0
        var farthest = 0.0
        // The first chunk begins when it comes, since the arms stood still. Each later one takes over from an older one.
        for (answer, next) in zip(answers.dropFirst(), answers.dropFirst(2)) {
            let observed = Double(answer.request.stateValues[Self.joint])
            let speed = Self.speed(answer.inference)
            var commands = 0
            for (command, time) in zip(robot.history, robot.times)
            where time > answer.at + Self.takeOver && time < next.at {
                let age = Double(time.nanoseconds - answer.request.capturedAtNs) / 1e9
                let away = abs(command[Self.joint] - (observed + speed * age))
                farthest = max(farthest, away)
                commands += 1
            }
            // Rows taken as relative to the pose at their arrival would be 0.3 s times two speeds off.
            if commands > 0 { compared += 1 }
        }
        #expect(farthest < 0.012, "\(rowsPerSecond) rows a second")
        #expect(compared >= 3, "\(answers.count) answers")
    }
}
