import Foundation
import Glibc
import GrootCore
import Logging

/// A command that says what came of an episode when neither a person nor a simulator did (`--judge CMD`): its exit code
/// decides.
///
/// Runs in a shell while the arms stand where the episode ended. 0 is a success, 1 a failure; anything else, and no answer in
/// time, is no verdict. The first line of its standard output becomes the reason.
package struct JudgeCommand: Sendable {
    /// What it is told, as environment variables.
    struct Question: Sendable {
        var robot: String
        var episode: String
        var task: String
        var checkpoint: String

        fileprivate var variables: [String: String] {
            [
                "GROOT_ROBOT": robot, "GROOT_EPISODE": episode, "GROOT_TASK": task, "GROOT_CHECKPOINT": checkpoint,
            ]
        }
    }

    enum Answer: Sendable, Equatable {
        case verdict(EpisodeOutcome, reason: String)
        case none(String)
    }

    /// Between asking it to end and ending it.
    static let grace: Duration = .seconds(2)
    /// Longest reason, bytes.
    static let maximumReason = 512

    let command: String
    let limit: Duration

    func ask(_ question: Question) async -> Answer {
        let output = FileManager.default.temporaryDirectory.appending(path: "groot-judge-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: output) }
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        process.environment = ProcessInfo.processInfo.environment.merging(question.variables) { $1 }
        process.standardInput = FileHandle.nullDevice
        let ended = LatestValue<Int32>()
        // A signal is no exit code.
        process.terminationHandler = { ended.store($0.terminationReason == .exit ? $0.terminationStatus : -1) }
        do {
            try Data().write(to: output)
            process.standardOutput = try FileHandle(forWritingTo: output)
            try process.run()
        } catch {
            return .none("the judge cannot be started: \(error)")
        }
        guard let code = await exit(of: process.processIdentifier, ended) else {
            if Task.isCancelled { return .none("the run ended before the judge answered") }
            return .none("the judge did not answer within \(limit.seconds) s")
        }
        let said = Self.reason(in: output)
        switch code {
        case 0: return .verdict(.success, reason: said.isEmpty ? "judge: exit 0" : "judge: \(said)")
        case 1: return .verdict(.failure, reason: said.isEmpty ? "judge: exit 1" : "judge: \(said)")
        default: return .none("the judge ended with \(code), which is no verdict\(said.isEmpty ? "" : ": \(said)")")
        }
    }

    /// Nil when it did not end by itself in time; it has been ended then.
    private func exit(of identifier: Int32, _ ended: LatestValue<Int32>) async -> Int32? {
        let deadline = MonotonicInstant.now() + limit
        var end = deadline
        var isAsked = false
        while true {
            if let code = ended.peek() { return isAsked ? nil : code }
            let now = MonotonicInstant.now()
            if now >= end || (Task.isCancelled && !isAsked) {
                // It has a process group of its own, so that what it started ends with it.
                kill(-identifier, isAsked ? SIGKILL : SIGTERM)
                kill(identifier, isAsked ? SIGKILL : SIGTERM)
                if isAsked { return nil }
                isAsked = true
                end = now + Self.grace
            }
            // In a task of its own: an answer is waited for when the run is cancelled, too, for as long as the grace lasts.
            await Task { try? await Task.sleep(for: .milliseconds(20)) }.value
        }
    }

    private static func reason(in file: URL) -> String {
        guard let handle = try? FileHandle(forReadingFrom: file) else { return "" }
        // Unreadable output is none.
        let data = (try? handle.read(upToCount: 4 * maximumReason)) ?? Data()
        let line = String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: true).first
        return PeopleText.line(line.map(String.init) ?? "", limit: maximumReason)
    }
}
