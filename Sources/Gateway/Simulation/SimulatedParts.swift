import GrootCore

/// A small seeded generator, so that a run can be repeated on any machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return StableHash.mixed(state)
    }

    /// From 0 up to but not including 1.
    mutating func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }
}

/// One robot of the simulation: executes an action per tick, asks below its threshold.
struct SimulatedRobot: Sendable {
    let name: String
    let chunk: Int
    /// Tick after the last one that has an action.
    var planEnd = 0
    var lastCapture = -1
    var observation: UInt64 = 0
    /// Requests that it waits for, oldest first.
    var open: [UInt64] = []
    var notBefore = MonotonicInstant(nanoseconds: 0)
    var ticks = 0
    var starved = 0
    var chunks = 0

    init(name: String, chunk: Int) {
        self.name = name
        self.chunk = chunk
    }

    /// Takes a chunk that was captured at a tick; false when it adds nothing.
    mutating func take(capturedAt tick: Int, now: Int) -> Bool {
        chunks += 1
        guard tick > lastCapture else { return false }
        lastCapture = tick
        let end = tick + chunk
        guard end > max(now, planEnd) else { return false }
        planEnd = end
        return true
    }
}

/// One worker of the simulation: a first-come-first-served queue and one batch at a time.
struct SimulatedWorker: Sendable {
    struct Call: Sendable {
        var request: UInt64
        var ticket: Ticket
    }

    let id: WorkerID
    let maxBatch: Int
    var queue: [Call] = []
    var running: [Call] = []
    var endsAt = MonotonicInstant(nanoseconds: 0)
    var lastBatch = 0
    var lastSeconds = 0.0
    var runningSeconds = 0.0
    /// Counts restarts; what finishes for an earlier life finishes for nobody.
    var life = 0
    var isUp = true

    func load(at now: MonotonicInstant) -> WorkerLoad {
        var load = WorkerLoad()
        load.queue = queue.count
        load.running = running.count
        load.capacity = maxBatch
        load.batch = lastBatch
        load.batchSeconds = lastSeconds
        load.leftSeconds = running.isEmpty ? 0 : max(0, (endsAt - now).seconds)
        return load
    }
}
