import GrootCore

/// Decides when findings are no passing moment of a robot that is still starting. Pure; owned by whoever waits for the robot.
///
/// A topic that is silent may begin at any time: it is waited for as long as the caller wants to. Everything else, seen without
/// a break for a while, is how the robot is.
struct SettlingFindings: Sendable {
    private struct Key: Hashable {
        var kind: InputFinding.Kind
        var topic: String
    }

    let time: Duration
    private var since: [Key: MonotonicInstant] = [:]

    init(time: Duration) {
        self.time = time
    }

    /// Those that have settled.
    mutating func found(_ findings: [InputFinding], at now: MonotonicInstant) -> [InputFinding] {
        let before = since
        since = [:]
        return findings.filter { finding in
            let key = Key(kind: finding.kind, topic: finding.topic)
            let first = before[key] ?? now
            since[key] = first
            return finding.kind != .silent && now - first >= time
        }
    }
}
