import Foundation
import GrootCore
import ROS1

/// Draws the cameras on its own thread from the newest snapshot, so that physics never waits for pictures.
struct CameraLoop: Sendable {
    let cell: RobotCell
    /// Camera name in the cell and where its images go.
    let cameras: [(name: String, publisher: ROSPublisher<ROSImage>)]
    let width: Int
    let height: Int
    let rate: Double
    let metrics: SimulatorMetrics

    /// Runs until `thread` is told to stop.
    ///
    /// Context and model copy live and die on this thread.
    func run(_ thread: LoopThread) throws {
        let period = Duration.seconds(1 / rate)
        let pristine = try PhysicsModel()
        var renderer: CameraRenderer?
        var drawn: SceneVariation?
        var sequence: UInt32 = 0
        var deadline = MonotonicInstant.now()
        while !thread.shouldStop {
            let now = MonotonicInstant.now()
            if now < deadline {
                usleep(UInt32(clamping: min((deadline - now).nanoseconds / 1000, 50_000)))
                continue
            }
            // Missed frames are skipped, like a real camera that was not read.
            deadline = max(deadline + period, now)
            guard let snapshot = cell.snapshot.peek() else { continue }
            guard let renderer else {
                // Takes a while, so it is done before anybody asks; the next round draws a fresh snapshot.
                let fresh = try CameraRenderer(scene: snapshot.scene, pristine: pristine)
                // The first pictures make Mesa compile its shaders.
                _ = fresh.render(cameras.map(\.name), positions: snapshot.positions, width: width, height: height)
                renderer = fresh
                drawn = snapshot.scene
                continue
            }
            let wanted = cameras.filter { $0.publisher.subscriberCount > 0 }
            guard !wanted.isEmpty else { continue }
            if drawn != snapshot.scene { renderer.show(snapshot.scene, pristine: pristine) }
            drawn = snapshot.scene
            let age = MonotonicInstant.now() - snapshot.capturedAt
            let stamp = ROSTime.now().earlier(by: age)
            let frames = renderer.render(
                wanted.map(\.name),
                positions: snapshot.positions,
                width: width,
                height: height
            )
            sequence &+= 1
            for (camera, frame) in zip(wanted, frames) {
                camera.publisher.publish(
                    ROSImage(
                        header: ROSHeader(seq: sequence, stamp: stamp, frameID: camera.name),
                        height: UInt32(height),
                        width: UInt32(width),
                        encoding: "rgb8",
                        isBigEndian: 0,
                        step: UInt32(width * 3),
                        data: frame.pixels
                    )
                )
            }
            metrics.images.increment(by: UInt64(frames.count))
        }
    }
}

extension ROSTime {
    fileprivate func earlier(by age: Duration) -> ROSTime {
        let nanoseconds = Int64(sec) * 1_000_000_000 + Int64(nsec) - age.nanoseconds
        return ROSTime(
            sec: UInt32(clamping: nanoseconds / 1_000_000_000),
            nsec: UInt32(clamping: nanoseconds % 1_000_000_000)
        )
    }
}
