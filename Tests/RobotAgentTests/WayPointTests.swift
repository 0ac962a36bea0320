import Foundation
import GrootCore
import Testing

@testable import RobotAgent

/// Way-points of a profile: what they must be, and how the first drive home of a session passes them.
struct WayPointTests {
    private static func bench(
        frozen: Set<Int> = [],
        maximumVelocity: Float? = nil
    ) -> MachineBench {
        var configuration = MachineBench.configuration()
        configuration.wayPoints = MachineBench.wayPoints
        configuration.frozen = frozen
        configuration.maximumVelocity = maximumVelocity
        return MachineBench(configuration)
    }

    /// Drives until the phase is reached and says which of the way-points were passed, in order.
    private func passed(_ bench: inout MachineBench, until phase: SessionPhase) -> [Int] {
        var passed: [Int] = []
        var left = 2000
        while bench.phase != phase, left > 0 {
            bench.run()
            left -= 1
            let near = MachineBench.wayPoints.firstIndex { point in
                (0..<2).allSatisfy { abs(point[$0] - bench.command[$0]) < 1e-3 }
            }
            if let near, passed.last != near { passed.append(near) }
        }
        #expect(bench.phase == phase)
        return passed
    }

    private func isHome(_ bench: MachineBench) -> Bool {
        (0..<2).allSatisfy { abs(bench.command[$0] - MachineBench.home[$0]) < 1e-3 }
    }

    @Test func theFirstDriveHomePassesThemInOrderAndLaterOnesDoNot() throws {
        var bench = Self.bench()
        bench.request(.home(id: 3, opensClaws: false))
        #expect(bench.phase == .approaching)
        var fastest: Float = 0
        var phases: [SessionPhase] = []
        while bench.status.completedMove != 3, bench.tick < 2000 {
            let before = bench.command
            bench.run()
            #expect(bench.isPublishing)
            if bench.tick > 1 { fastest = max(fastest, abs(bench.command[0] - before[0])) }
            if phases.last != bench.phase { phases.append(bench.phase) }
            if bench.phase == .approaching { #expect(bench.status.completedMove == 0) }
        }
        #expect(phases == [.approaching, .homing, .standing])
        #expect(isHome(bench) && bench.command[2] == 40)
        #expect(fastest <= 0.00401, "0.4 rad/s: \(fastest)")
        // An episode later the way home is the straight one.
        bench.request(.beginEpisode())
        _ = try bench.chunk(-0.6)
        bench.run(150)
        bench.request(.endEpisode)
        bench.run(until: .standing)
        #expect(!isHome(bench))
        bench.request(.home(id: 4, opensClaws: false))
        #expect(bench.phase == .homing)
        #expect(passed(&bench, until: .standing) == [])
        #expect(isHome(bench))
    }

    @Test func theyArePassedOnceEach() throws {
        var bench = Self.bench()
        bench.request(.home(id: 1, opensClaws: false))
        #expect(passed(&bench, until: .standing) == [0, 1])
    }

    /// On which leg a person stands the arms, and how.
    @Test(arguments: [0, 1], [RobotAgent.Order.stop, .pause, .resume, .home])
    func whatAPersonOrdersOnTheWay(leg: Int, order: RobotAgent.Order) throws {
        var bench = Self.bench()
        bench.request(.home(id: 1, opensClaws: false))
        while bench.machine.passedWayPoints < leg { bench.run() }
        bench.run(50)
        #expect(bench.phase == .approaching)
        bench.order(order)
        switch order {
        case .stop, .pause:
            bench.run(MachineBench.stopTicks + 1)
            #expect(bench.phase == (order == .stop ? .stopped : .paused))
            // Somebody pushes an arm meanwhile: it goes on from there, to the way-point that it was heading for.
            bench.inputs.measured[0] += 0.2
            bench.isObedient = false
            bench.run(50)
            bench.isObedient = true
            bench.order(.resume)
            bench.run()
            bench.request(.home(id: 2, opensClaws: false))
            let pose = bench.command
            bench.run()
            #expect(bench.phase == .approaching && abs(bench.command[0] - pose[0]) < 0.0041)
            #expect(passed(&bench, until: .standing) == Array(leg..<2))
        case .resume:
            #expect(passed(&bench, until: .standing) == Array(leg..<2), "there is nothing to go on from")
        default:
            // The straight way, and then as after a stop; the way-points are behind the arms.
            #expect(passed(&bench, until: .stopped) == [])
            #expect(isHome(bench))
            bench.order(.resume)
            bench.run()
            bench.request(.home(id: 2, opensClaws: false))
            #expect(bench.phase == .homing)
            bench.run(until: .standing)
        }
        #expect(bench.status.fault == nil && isHome(bench))
    }

    @Test func flagsHoldOnTheWay() throws {
        var bench = Self.bench(frozen: [0], maximumVelocity: 0.1)
        bench.request(.home(id: 1, opensClaws: false))
        bench.run()
        while bench.phase == .approaching, bench.tick < 3000 {
            let before = bench.command
            bench.run()
            #expect(bench.command[0] == 0, "the frozen arm stays")
            #expect(abs(bench.command[1] - before[1]) <= 0.00101)
        }
        #expect(abs(bench.command[1] - MachineBench.wayPoints[1][1]) < 1e-3)
    }

    @Test func anArmThatDoesNotFollowOnTheWayIsHeldWhereItIs() throws {
        var bench = Self.bench()
        bench.request(.home(id: 1, opensClaws: false))
        bench.run()
        bench.isObedient = false
        bench.inputs.measured = [0.9, 0, 40]
        bench.run(until: .leaving)
        guard case .notFollowing(0, _)? = bench.status.fault else {
            Issue.record("\(String(describing: bench.status.fault))")
            return
        }
        #expect(abs(bench.command[0] - 0.9) < 0.061)
    }

    // MARK: The profile

    /// Every way in which a pose can be wrong, at every place.
    enum Flaw: CaseIterable, Sendable {
        case tooHigh, tooLow, notANumber, endless, short, long

        func spoil(_ pose: inout [Float], joint: Int, _ arm: RobotProfile.Arm) {
            switch self {
            case .tooHigh: pose[joint] = arm.maximumRad[joint] + 0.01
            case .tooLow: pose[joint] = arm.minimumRad[joint] - 0.01
            case .notANumber: pose[joint] = .nan
            case .endless: pose[joint] = .infinity
            case .short: pose.remove(at: joint)
            case .long: pose.insert(0, at: joint)
            }
        }
    }

    @Test(arguments: Flaw.allCases)
    func aProfileWithAnImpossibleWayPointIsRefusedByName(flaw: Flaw) throws {
        for joint in [0, 3, 13] {
            for index in 0..<3 {
                var profile = try ProfileCatalog.load("5_wheel")
                var points = [[Float]](repeating: profile.arm.homeRad, count: 3)
                profile.arm.wayPointsRad = points
                #expect(profile.problems == [])
                flaw.spoil(&points[index], joint: joint, profile.arm)
                profile.arm.wayPointsRad = points
                let isCount = flaw == .short || flaw == .long
                let problem = try #require(profile.problems.first)
                #expect(profile.problems.count == 1 && problem.contains("pose \(index + 1)"), "\(profile.problems)")
                #expect(isCount || problem.contains(profile.arm.commandNames[joint]), "\(problem)")
            }
        }
    }

    @Test func theirNumberIsBounded() throws {
        var profile = try ProfileCatalog.load("5_wheel")
        let most = RobotProfile.Arm.maximumWayPoints
        profile.arm.wayPointsRad = Array(repeating: profile.arm.homeRad, count: most)
        #expect(profile.problems == [])
        profile.arm.wayPointsRad?.append(profile.arm.homeRad)
        #expect(profile.problems.count == 1 && profile.problems[0].contains("33 poses"), "\(profile.problems)")
        profile.arm.wayPointsRad = []
        #expect(profile.problems == [])
    }

    /// What is no number does not pass the file's boundary either.
    @Test(arguments: ["1e99", "null", "\"0.1\"", "NaN"])
    func aFileWithAWayPointThatIsNoNumberIsRefused(text: String) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let json = String(decoding: try encoder.encode(try ProfileCatalog.load("5_wheel")), as: UTF8.self)
        let spoilt = json.replacing(
            #""homing_velocity_rad_s""#,
            with: #""way_points_rad":[[\#(text)]],"homing_velocity_rad_s""#
        )
        #expect(spoilt.contains("way_points_rad"))
        let error = #expect(throws: AgentError.self) { try RobotProfile(json: Data(spoilt.utf8), source: "lab.json") }
        #expect(error?.exit == .badInput)
    }
}
