import GrootCore
import Testing

@testable import Simulator

@Suite struct ExpertTests {
    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func theExpertPlacesTheNamedCarton(seed: UInt64) throws {
        let clip = try DemonstrationClip.play(seed: seed, kind: .demo, sigmas: [0.008], pictures: false)
        #expect(clip.outcome == .success)
        #expect(clip.seconds > 3 && clip.seconds < 15)
    }

    @Test func aRunIsRepeatedExactlyFromItsSeed() throws {
        var states: [[Double]] = []
        for _ in 0..<2 {
            let cell = try Cell(seed: 21, cameras: false)
            var expert = Expert(target: cell.target)
            for _ in 0..<12 {
                cell.advance(
                    to: expert.plan(command: cell.command, measured: cell.world.state, cartons: cell.world.cartons)
                        .rows[0]
                )
            }
            states.append(cell.world.positions)
        }
        #expect(states[0] == states[1])
    }

    @Test func withoutATargetItStaysHome() throws {
        let cell = try Cell(seed: 5, task: "take the purple box", cameras: false, limits: .init(stayHome: 1))
        #expect(cell.target == nil)
        var expert = Expert(target: nil)
        for _ in 0..<15 {
            cell.advance(
                to: expert.plan(command: cell.command, measured: cell.world.state, cartons: cell.world.cartons).rows[0]
            )
        }
        #expect(cell.judge.verdict?.outcome == .refused)
    }

    @Test func aChunkIsContinuous() throws {
        let cell = try Cell(seed: 9, cameras: false)
        var expert = Expert(target: cell.target)
        let plan = expert.plan(command: cell.command, measured: cell.world.state, cartons: cell.world.cartons)
        #expect(plan.rows.count == 16)
        for (row, next) in zip(plan.rows, plan.rows.dropFirst()) {
            #expect(zip(row, next).prefix(14).allSatisfy { abs($0 - $1) <= InverseKinematics.maximumChange + 1e-9 })
        }
    }

    @Test func everyCameraShowsTheSceneFromAPlaceOfItsOwn() throws {
        let cameras = RobotMessages.cameraTopics.keys.sorted()
        let frames = try Cell(seed: 2).images(cameras, width: 64, height: 48)
        #expect(frames.count == cameras.count && frames.allSatisfy { $0.width == 64 && $0.height == 48 })
        for frame in frames { #expect(Set(frame.pixels).count > 20, "the picture is not blank") }
        for (index, frame) in frames.enumerated() { #expect(!frames[..<index].contains(frame)) }
    }
}
