import Foundation
import Glibc

/// When a process started, in clock ticks since the machine did: with its id the one name that is never used again.
struct ProcessStart: Sendable, Equatable {
    var ticks: Int64

    init(ticks: Int64) { self.ticks = ticks }

    /// A wall clock, as far as the machine's start is known on it.
    init?(unixSeconds: Int64) {
        guard let machine = Self.machineStart else { return nil }
        ticks = (unixSeconds - machine) * Self.ticksPerSecond
    }

    /// Nil when there is no such process.
    static func of(_ id: Int32) -> ProcessStart? {
        // The name in parentheses may hold anything, so fields are counted from its end.
        guard let text = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z" else { return nil }
        return Int64(fields[19]).map { ProcessStart(ticks: $0) }
    }

    static let ticksPerSecond = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    /// Differs between two starts of the machine.
    static let bootID: String = {
        // Without /proc every start looks alike, and nothing of an earlier one can be found anyway.
        let text = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? "unknown"
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }()

    private static var machineStart: Int64? {
        // As above.
        guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Int64($0.dropFirst(6)) }
    }
}
