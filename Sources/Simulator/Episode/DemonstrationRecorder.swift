import Foundation
import GrootCore
import Synchronization

/// Hands out seeds to playing threads and writes their clips in seed order.
///
/// A directory so depends on its arguments only, not on thread timing. Any thread.
final class DemonstrationRecorder: Sendable {
    struct Job: Sendable {
        var index: Int
        var seed: UInt64
        var kind: DemonstrationClip.Kind
    }

    /// At most one clip per playing thread waits for an earlier one, which bounds the memory.
    private struct State {
        var issued = 0
        var written = 0
        var waiting: [Int: DemonstrationClip] = [:]
        var kept = 0
        var refused = 0
        var frames = 0
        var failures = 0
        var stopped = false
        var index: [IndexEntry] = []
    }

    private struct IndexEntry: Encodable {
        var episode: Int
        var seed: UInt64
        var first: Int
        var count: Int
        var task: String
        var kind: String
        var sigma: Double
        var seconds: Double
    }

    private struct Index: Encodable {
        struct Field: Encodable {
            var file: String
            var type: String
            var shape: [Int]
        }
        var version = 1
        var rateHz = 10
        var frames: Int
        var fields: [String: Field]
        var seed: UInt64
        var sigmas: [Double]
        var phases: [String]
        var failedEpisodes: Int
        var episodes: [IndexEntry]
    }

    private let directory: URL
    private let seed: UInt64
    private let episodes: Int
    private let refuseClips: Int
    private let sigmas: [Double]
    private let files: [String: FileHandle]
    private let state = Mutex(State())
    private let started = MonotonicInstant.now()

    init(directory: String, seed: UInt64, episodes: Int, refuseClips: Int, sigmas: [Double]) throws(SimulatorError) {
        self.directory = URL(filePath: directory)
        self.seed = seed
        self.episodes = episodes
        self.refuseClips = refuseClips
        self.sigmas = sigmas
        var files: [String: FileHandle] = [:]
        do {
            try FileManager.default.createDirectory(at: self.directory, withIntermediateDirectories: true)
            for name in ["images.u8", "state.f32", "chunk.f32", "aux.f32", "task.u8"] {
                let file = self.directory.appending(path: name)
                try Data().write(to: file)
                files[name] = try FileHandle(forWritingTo: file)
            }
        } catch {
            throw SimulatorError(.output, "cannot write demonstrations into \(directory)", cause: error)
        }
        self.files = files
    }

    var progress: String {
        let seconds = (MonotonicInstant.now() - started).seconds
        return state.withLock { state in
            "\(state.kept)/\(episodes) demonstrations, \(state.refused)/\(refuseClips) refusals, \(state.failures) failed, "
                + "\(state.frames) frames, \(Int(seconds)) s"
        }
    }

    func stop() { state.withLock { $0.stopped = true } }

    /// The next episode to play, or nil when enough are under way.
    ///
    /// Refusals come first.
    func nextJob() -> Job? {
        state.withLock { state in
            guard !state.stopped, state.kept < episodes || state.refused < refuseClips else { return nil }
            defer { state.issued += 1 }
            return Job(
                index: state.issued,
                seed: seed + UInt64(state.issued),
                kind: state.issued < refuseClips ? .refuse : .demo
            )
        }
    }

    func finished(_ job: Job, _ clip: DemonstrationClip) throws(SimulatorError) {
        let failure: (any Error)? = state.withLock { state in
            state.waiting[job.index] = clip
            do {
                while let clip = state.waiting.removeValue(forKey: state.written) {
                    state.written += 1
                    try write(clip, &state)
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure {
            throw SimulatorError(.output, "cannot write demonstrations; is the disk full?", cause: failure)
        }
    }

    private func write(_ clip: DemonstrationClip, _ state: inout State) throws {
        guard clip.outcome.isSuccess else {
            state.failures += 1
            return
        }
        if clip.kind == .demo {
            guard state.kept < episodes else { return }
            state.kept += 1
        } else {
            state.refused += 1
        }
        var task = Array(clip.task.lowercased().utf8)
        precondition(task.count <= DemonstrationClip.maximumTaskBytes, "a task sentence is too long")
        task += [UInt8](repeating: 0, count: DemonstrationClip.maximumTaskBytes - task.count)
        try files["images.u8"]?.write(contentsOf: Data(clip.images))
        try files["state.f32"]?.write(contentsOf: Self.bytes(clip.states))
        try files["chunk.f32"]?.write(contentsOf: Self.bytes(clip.chunks))
        try files["aux.f32"]?.write(contentsOf: Self.bytes(clip.auxiliary))
        for _ in 0..<clip.frames { try files["task.u8"]?.write(contentsOf: Data(task)) }
        state.index.append(
            IndexEntry(
                episode: state.index.count,
                seed: clip.seed,
                first: state.frames,
                count: clip.frames,
                task: clip.task,
                kind: clip.kind.rawValue,
                sigma: clip.sigma,
                seconds: clip.seconds
            )
        )
        state.frames += clip.frames
    }

    private static func bytes(_ values: [Float]) -> Data {
        var data = Data(capacity: values.count * 4)
        for value in values {
            let bits = value.bitPattern
            data.append(UInt8(truncatingIfNeeded: bits))
            data.append(UInt8(truncatingIfNeeded: bits >> 8))
            data.append(UInt8(truncatingIfNeeded: bits >> 16))
            data.append(UInt8(truncatingIfNeeded: bits >> 24))
        }
        return data
    }

    /// Writes the index; the directory is complete only then.
    func close() throws(SimulatorError) {
        let state = state.withLock { $0 }
        let size = DemonstrationClip.imageSize
        let index = Index(
            frames: state.frames,
            fields: [
                "images": .init(file: "images.u8", type: "uint8", shape: [state.frames, 2, size, size, 3]),
                "state": .init(file: "state.f32", type: "float32", shape: [state.frames, 16]),
                "chunk": .init(file: "chunk.f32", type: "float32", shape: [state.frames, 16, 16]),
                "aux": .init(file: "aux.f32", type: "float32", shape: [state.frames, 5]),
                "task": .init(file: "task.u8", type: "uint8", shape: [state.frames, 96]),
            ],
            seed: seed,
            sigmas: sigmas,
            phases: ExpertPhase.allCases.map { "\($0)" },
            failedEpisodes: state.failures,
            episodes: state.index
        )
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do {
            for file in files.values { try file.close() }
            try encoder.encode(index).write(to: directory.appending(path: "index.json"))
        } catch {
            throw SimulatorError(.output, "cannot write index.json", cause: error)
        }
    }
}
