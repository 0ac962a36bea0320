import Foundation
import GrootAPI
package import GrootCore
import GrootImaging

/// Turns an aligned observation into a request: names, sizes, encodings and what is blanked for diagnosis.
package struct ObservationEncoder: Sendable {
    /// How images travel.
    package enum ImageFormat: Sendable, Equatable, CustomStringConvertible {
        case raw
        /// Quality 1 to 100.
        case jpeg(quality: Int)

        package var description: String {
            switch self {
            case .raw: "raw"
            case .jpeg(let quality): "jpeg:\(quality)"
            }
        }

        /// `raw` or `jpeg:Q`.
        package init?(_ text: String) {
            if text == "raw" {
                self = .raw
                return
            }
            let parts = text.split(separator: ":")
            guard parts.count == 2, parts[0] == "jpeg", let quality = Int(parts[1]), (1...100).contains(quality) else {
                return nil
            }
            self = .jpeg(quality: quality)
        }
    }

    package struct Configuration: Sendable {
        package var robot: String
        package var task: String
        package var rotatesHeadCamera = false
        package var format = ImageFormat.raw
        /// Diagnosis: the policy sees zeros instead of the joint state.
        package var zeroesState = false
        /// Diagnosis: cameras whose image is black; keys or their last part.
        package var zeroedCameras: Set<String> = []
        /// Rows wanted.
        package var rows: Int
        /// Seed of the flow head's noise.
        package var seed: UInt64

        package init(robot: String, task: String, rows: Int, seed: UInt64) {
            self.robot = robot
            self.task = task
            self.rows = rows
            self.seed = seed
        }
    }

    package let configuration: Configuration
    private let policy: PolicyDescription
    private let profile: RobotProfile
    private let headKeys: Set<String>

    package init(configuration: Configuration, policy: PolicyDescription, profile: RobotProfile) {
        self.configuration = configuration
        self.policy = policy
        self.profile = profile
        self.headKeys = Set(profile.cameras.filter(\.isHead).map(\.key))
    }

    func request(
        _ observation: ObservationBuffers.Aligned,
        index: UInt64,
        capturedTick: Int64
    ) throws(AgentError) -> Groot_V1_InferRequest {
        var request = Groot_V1_InferRequest()
        request.robot = configuration.robot
        request.requestID = UUID().uuidString.lowercased()
        request.checkpoint = policy.checkpoint
        request.observationIndex = index
        request.capturedTick = UInt64(max(0, capturedTick))
        request.capturedAtNs = observation.capturedAt.nanoseconds
        request.task = configuration.task
        request.stateNames = policy.stateNames
        request.stateValues = try policy.stateNames.map { name throws(AgentError) in
            guard let value = profile.value(of: name, in: observation) else {
                throw AgentError(.mismatch, "the robot measures no \"\(name)\"")
            }
            return configuration.zeroesState ? 0 : value
        }
        request.maxRows = UInt32(configuration.rows)
        request.noiseSeed = NoiseSeed.of(episode: configuration.seed, observation: index)
        request.images = try policy.images.map { input throws(AgentError) in
            guard let picture = observation.frames[input.key] else {
                throw AgentError(.mismatch, "the robot sends no image \"\(input.key)\"")
            }
            do throws(PictureError) {
                return try image(picture.decoded(), for: input)
            } catch {
                throw AgentError(.unavailable, "image \(input.key) cannot be decoded or encoded", cause: error)
            }
        }
        return request
    }

    private func image(
        _ original: CameraFrame,
        for input: PolicyDescription.ImageInput
    ) throws(PictureError) -> Groot_V1_Image {
        var frame = original.resized(width: input.width, height: input.height)
        if configuration.rotatesHeadCamera, headKeys.contains(input.key) { frame = frame.rotated180() }
        if isZeroed(input.key) { frame.pixels = Array(repeating: 0, count: frame.pixels.count) }
        var image = Groot_V1_Image()
        image.key = input.key
        image.width = UInt32(frame.width)
        image.height = UInt32(frame.height)
        switch configuration.format {
        case .raw:
            image.encoding = .rgb8
            image.data = Data(frame.pixels)
        case .jpeg(let quality):
            image.encoding = .jpeg
            // An encoder costs microseconds; images of two cameras may be encoded at the same time.
            image.data = Data(try JPEGEncoder(quality: quality).encode(frame))
        }
        return image
    }

    private func isZeroed(_ key: String) -> Bool {
        configuration.zeroedCameras.contains { key == $0 || key.hasSuffix("." + $0) }
    }
}
