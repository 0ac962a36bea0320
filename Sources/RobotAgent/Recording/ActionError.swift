import GrootCore

/// How far predicted chunks are from what was commanded in a recording, by row. Pure.
struct ActionError: Sendable {
    /// Recorded commands further away than this from a row's instant are no answer to it.
    static let tolerance = Duration.milliseconds(20)

    /// What was commanded, by time on the recording's clock, oldest first: arms rad, claws 0 to 100.
    private let commands: [(time: MonotonicInstant, values: [Float])]
    private let arms: Range<Int>
    private(set) var chunks = 0
    private var sums: [Double]
    private var largest: [Float]
    private var counts: [Int]
    private var byJoint: [Double]
    private var clawRows = 0
    private var clawAgreements = 0

    init(commands: [(time: MonotonicInstant, values: [Float])], arms: Range<Int>, rows: Int) {
        self.commands = commands
        self.arms = arms
        sums = Array(repeating: 0, count: rows)
        largest = Array(repeating: 0, count: rows)
        counts = Array(repeating: 0, count: rows)
        byJoint = Array(repeating: 0, count: arms.count)
    }

    /// - Parameter instant: capture of the observation, one period before row 0.
    mutating func predicted(_ chunk: ActionChunk, capturedAt instant: MonotonicInstant) {
        var compared = false
        for row in 0..<min(chunk.rows, sums.count) {
            guard let recorded = command(at: instant + chunk.period * (row + 1)) else { continue }
            compared = true
            counts[row] += 1
            var sum = 0.0
            for joint in arms {
                let error = abs(chunk[row, joint] - recorded[joint])
                sum += Double(error)
                byJoint[joint - arms.lowerBound] += Double(error)
                largest[row] = max(largest[row], error)
            }
            sums[row] += sum / Double(arms.count)
            for claw in arms.upperBound..<min(recorded.count, chunk.dimensions) {
                clawRows += 1
                if (chunk[row, claw] > 50) == (recorded[claw] > 50) { clawAgreements += 1 }
            }
        }
        if compared { chunks += 1 }
    }

    /// Mean absolute joint error of a row, rad; nil when no recorded command belongs to it.
    func mean(row: Int) -> Double? { counts[row] > 0 ? sums[row] / Double(counts[row]) : nil }
    func worst(row: Int) -> Float { largest[row] }
    var rows: Int { sums.count }

    var mean: Double? {
        let count = counts.reduce(0, +)
        return count > 0 ? sums.reduce(0, +) / Double(count) : nil
    }

    /// Mean absolute error of each arm joint, rad.
    var joints: [Double] {
        let count = counts.reduce(0, +)
        return byJoint.map { count > 0 ? $0 / Double(count) : 0 }
    }

    /// Share of rows whose claws are on the recorded side of half closed.
    var clawAgreement: Double? { clawRows > 0 ? Double(clawAgreements) / Double(clawRows) : nil }

    private func command(at instant: MonotonicInstant) -> [Float]? {
        var low = 0
        var high = commands.count
        while low < high {
            let middle = (low + high) / 2
            if commands[middle].time < instant { low = middle + 1 } else { high = middle }
        }
        let near = [low - 1, low].filter(commands.indices.contains)
            .min { distance(commands[$0].time, instant) < distance(commands[$1].time, instant) }
        guard let near, distance(commands[near].time, instant) <= Self.tolerance else { return nil }
        return commands[near].values
    }

    private func distance(_ a: MonotonicInstant, _ b: MonotonicInstant) -> Duration {
        a < b ? b - a : a - b
    }
}
