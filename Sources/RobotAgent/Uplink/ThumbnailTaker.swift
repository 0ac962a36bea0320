import Foundation
import GrootAPI
import GrootCore
import GrootImaging
import Synchronization

/// Small pictures of what the policy saw, for the timeline of a recorded episode: one per camera and `interval`.
///
/// Any thread. Called beside a request that is under way, so that encoding costs the robot no time.
final class ThumbnailTaker: Sendable {
    /// Longer side, pixels.
    static let side = 192
    static let quality = 60
    /// Larger files are not kept; the control plane takes no larger ones.
    static let maximumBytes = 32 * 1024

    private let episode: String
    private let rotated: Set<String>
    private let spool: TelemetrySpool
    private let pace: Mutex<RateLimit>

    /// - Parameters:
    ///   - interval: at most one picture per camera in this time (`--thumbnail-interval`).
    ///   - rotated: cameras that are mounted upside down.
    init(episode: String, interval: Duration, rotated: Set<String>, spool: TelemetrySpool) {
        self.episode = episode
        self.rotated = rotated
        self.spool = spool
        pace = Mutex(RateLimit(every: interval))
    }

    func take(_ observation: ObservationBuffers.Aligned) async {
        let now = MonotonicInstant.now()
        guard pace.withLock({ $0.admit(at: now) }) != nil else { return }
        let capturedAt = WallClock.unixNanoseconds() - (now - observation.capturedAt).nanoseconds
        let encoder = JPEGEncoder(quality: Self.quality)
        for (camera, picture) in observation.frames.sorted(by: { $0.key < $1.key }) {
            // What cannot be decoded or encoded is no picture; the request itself reports it when it matters.
            guard let frame = try? picture.decoded(),
                let jpeg = try? encoder.encode(Self.small(rotated.contains(camera) ? frame.rotated180() : frame)),
                jpeg.count <= Self.maximumBytes
            else { continue }
            var thumbnail = Groot_V1_Thumbnail()
            thumbnail.episodeID = episode
            thumbnail.camera = camera
            thumbnail.capturedAtUnixNs = capturedAt
            thumbnail.jpeg = Data(jpeg)
            await spool.append(thumbnail)
        }
    }

    static func small(_ frame: CameraFrame) -> CameraFrame {
        let longer = max(frame.width, frame.height)
        guard longer > side else { return frame }
        return frame.resized(
            width: max(1, frame.width * side / longer),
            height: max(1, frame.height * side / longer)
        )
    }
}
