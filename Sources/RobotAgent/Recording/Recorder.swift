import Foundation
import GrootCore
import Logging
import NIOCore
import ROS1
import Synchronization

/// Writes what the agent saw and commanded to one MCAP file per episode.
///
/// Taps are called on event loops and the publishing thread: they encode and hand over; one queue writes. When
/// the disk is too slow, messages are dropped and counted, never waited for.
final class Recorder: MessageTap {
    /// Bytes that may wait for the disk.
    static let backlog = 64 << 20

    /// One episode's file.
    final class Recording: Sendable {
        private struct State {
            var writer = MCAPWriter()
            var file: FileHandle?
        }

        // SAFETY: the handle is used under the lock only.
        private struct Box: @unchecked Sendable {
            var state: State
        }

        let url: URL
        private let box: Mutex<Box>
        private let finish: @Sendable (Recording) -> Void

        fileprivate init(url: URL, finish: @escaping @Sendable (Recording) -> Void) throws {
            self.url = url
            self.finish = finish
            guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
                throw CocoaError(.fileWriteUnknown)
            }
            var state = State()
            let file = try FileHandle(forWritingTo: url)
            try file.write(contentsOf: Data(state.writer.begin()))
            state.file = file
            box = Mutex(Box(state: state))
        }

        fileprivate func write(topic: String, type: String, definition: String, time: UInt64, body: [UInt8]) throws {
            try box.withLock { box in
                let bytes = box.state.writer.message(
                    topic: topic,
                    type: type,
                    definition: definition,
                    time: time,
                    body: body
                )
                if !bytes.isEmpty { try box.state.file?.write(contentsOf: Data(bytes)) }
            }
        }

        fileprivate func close() throws {
            try box.withLock { box in
                guard let file = box.state.file else { return }
                box.state.file = nil
                try file.write(contentsOf: Data(box.state.writer.end()))
                try file.close()
            }
        }

        /// Completes the file behind everything that still waits.
        func end() { finish(self) }
    }

    private let directory: URL
    private let robot: String
    private let logger: Logger
    private let queue = DispatchQueue(label: "groot-recorder")
    private let current = Mutex<Recording?>(nil)
    private let waiting = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)
    private let failures = Mutex(RateLimit(every: .seconds(5)))
    /// Wall clock minus monotonic clock, fixed so that a step of the wall clock tears no recording.
    private let toWall = WallClock.unixNanoseconds() - MonotonicInstant.now().nanoseconds

    init(directory: URL, robot: String, logger: Logger) throws(AgentError) {
        self.directory = directory
        self.robot = robot
        self.logger = logger
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        } catch {
            throw AgentError(.spool, "--record \(directory.path): the folder cannot be made", cause: error)
        }
    }

    /// Messages that found the disk too slow.
    var lostCount: UInt64 { lost.load(ordering: .relaxed) }

    /// Starts the file of an episode; nil (with an error line) when it cannot be written.
    func begin(episode: String) -> Recording? {
        do {
            let recording = try Recording(url: directory.appending(path: "\(robot)-\(episode).mcap")) {
                [weak self] in self?.finish($0)
            }
            current.withLock { $0 = recording }
            return recording
        } catch {
            logger.error("the recording cannot be written", metadata: ["error": "\(error)"])
            return nil
        }
    }

    func received<Message: ROSMessage>(_ message: Message, topic: String, at now: MonotonicInstant) {
        take(message, topic: topic, at: now)
    }

    func published<Message: ROSMessage>(_ message: Message, topic: String, at now: MonotonicInstant) {
        take(message, topic: topic, at: now)
    }

    /// Waits until everything handed over is on its way to the disk.
    func flush() {
        queue.sync {}
    }

    private func take<Message: ROSMessage>(_ message: Message, topic: String, at now: MonotonicInstant) {
        guard let recording = current.withLock({ $0 }) else { return }
        let body = Array(message.encoded().readableBytesView)
        guard waiting.load(ordering: .relaxed) + body.count <= Self.backlog else {
            lost.add(1, ordering: .relaxed)
            return
        }
        waiting.add(body.count, ordering: .relaxed)
        let time = UInt64(max(0, now.nanoseconds + toWall))
        queue.async { [self] in
            defer { waiting.subtract(body.count, ordering: .relaxed) }
            attempt {
                try recording.write(
                    topic: topic,
                    type: Message.rosType,
                    definition: Message.definition,
                    time: time,
                    body: body
                )
            }
        }
    }

    private func finish(_ recording: Recording) {
        current.withLock { if $0 === recording { $0 = nil } }
        queue.async { [self] in
            attempt { try recording.close() }
            logger.info(
                "recording",
                metadata: ["file": "\(recording.url.path)", "lost": "\(lostCount)"]
            )
        }
    }

    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            guard failures.withLock({ $0.admit(at: .now()) }) != nil else { return }
            logger.error("the recording cannot be written", metadata: ["error": "\(error)"])
        }
    }
}
