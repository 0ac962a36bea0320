import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// A robot in rospy whose arms do not go where they are told, or push: the built agent says so, holds them where they are, hands
/// back, and the next motion starts from there.
@Suite(.serialized)
struct FollowingSerialTests {
    enum Trouble: String, Sendable {
        /// As after an emergency stop.
        case freeze
        /// Measured 0.8 rad off from here on, wherever the arm is told to be.
        case lag = "lag=0.8"
        /// 60 Nm in the first joint, of which the profile allows 40.
        case torque = "torque=60"
    }

    @Test(
        .timeLimit(.minutes(2)),
        arguments: [(Trouble.freeze, true), (.torque, true), (.freeze, false), (.lag, false)]
    )
    func theArmsAreHeldWhereTheyAreMeasured(trouble: Trouble, isHoming: Bool) async throws {
        let scene = try await RobotScene(["later:\(trouble.rawValue)"], away: isHoming ? 0.9 : 0, isTriggered: true) {
            if trouble == .torque { $0.arm.maximumTorqueNm = Array(repeating: 40, count: 14) }
        }
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let agent = try scene.agent(gateway: gateway)
            try await eventually(within: .seconds(40), "the arms move: \(agent.lastLines(5))") {
                guard isHoming else { return fleet.records.count { $0.status == "OK" } >= 2 }
                let poses = try scene.poses()
                return poses.count > 60 && abs(poses[poses.count - 1][0] - poses[0][0]) > 0.05
            }
            let begun = try #require(try scene.poses().last)
            try scene.setFaults(on: true)
            // In an episode the policy has to lead the frozen arm away from where it is.
            if trouble == .freeze { fleet.offset = 0.36 }
            try await eventually(within: .seconds(20), "the agent ends: \(agent.lastLines(5))") {
                agent.exitCode != nil
            }
            #expect(agent.exitCode == ProcessExit.safety.rawValue, "\(agent.lastLines())")
            let log = try agent.logText()
            #expect(log.contains("not_following: zarm_"), "\(agent.lastLines())")
            if trouble == .torque { #expect(log.contains("zarm_l1_joint pushes with 60.0 Nm"), "\(agent.lastLines())") }
            #expect(try scene.services().count == 4, "handed back")
            if !isHoming { #expect(fleet.finished.map(\.outcome) == [.aborted]) }

            let held = try #require(try scene.poses().last)
            let seen = try scene.lines().count
            try await eventually(within: .seconds(5), "the robot says where it is") {
                try scene.lines().count > seen + 1
            }
            let measured = try #require(try scene.summary()?.measured)
            if trouble == .lag {
                // The tolerance and the braking behind it, and not on to the joint's limit.
                #expect(abs(held[0] - begun[0]) < 0.35 + 0.5, "\(held[0]) from \(begun[0])")
            } else {
                for joint in 0..<14 { #expect(abs(held[joint] - measured[joint]) < 0.061, "joint \(joint)") }
            }
            guard trouble == .freeze, isHoming else { return }

            // The emergency stop is released: nothing leaps, and the next run drives from there.
            try scene.setFaults(on: false)
            fleet.offset = 0
            let count = try scene.poses().count
            let again = try scene.agent("again", gateway: gateway)
            try await eventually(within: .seconds(40), "it drives home and on: \(again.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 2
            }
            let first = try scene.poses()[count]
            for joint in 0..<14 { #expect(abs(first[joint] - held[joint]) < 0.07, "joint \(joint)") }
            again.terminate()
            try await eventually(within: .seconds(20), "the agent ends") { again.exitCode != nil }
            #expect(again.exitCode == 0, "\(again.lastLines())")
            let worst = try scene.summary()?.worstStep ?? 1
            #expect(worst < 0.031, "3 rad/s at most: \(worst) rad in a tick")
        }
    }
}
