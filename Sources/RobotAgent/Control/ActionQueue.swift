package import GrootCore

/// The plan: one target per control tick, on absolute tick numbers.
///
/// A chunk captured at tick `t0` defines a way point every period from there on (`RowGrid`). Merging it replaces
/// everything from the next unexecuted tick on; ticks that were already executed are never touched, and
/// old ticks beyond the new chunk's end are dropped. Storage is allocated once.
///
/// Pure and owned by the control thread. Loops over ticks are written with `while`: in an unoptimised build the
/// iterator of an `Int64` range allocates.
package struct ActionQueue: Sendable {
    package struct Configuration: Sendable {
        /// Values per target.
        package var dimensions: Int
        /// Dimensions that are held instead of interpolated, aggregated or blended.
        package var claws: Range<Int>
        /// Longest chunk that can be merged.
        package var maximumRows: Int
        /// Time between two rows of a chunk that fits this queue.
        package var period: Duration
        /// Where rows lie among the control loop's ticks.
        package var grid: RowGrid
        package var aggregate: AggregateFunction
        /// Ticks over which a new chunk takes over from the plan in force; at least 1.
        package var blendTicks: Int
        /// Ticks over which a plan that nothing follows comes to rest.
        package var restTicks = 0

        package init(
            dimensions: Int,
            claws: Range<Int>,
            maximumRows: Int,
            rate: ControlRate,
            period: Duration,
            stride: Int = 1,
            aggregate: AggregateFunction = .weightedAverage,
            blendTicks: Int
        ) {
            self.dimensions = dimensions
            self.claws = claws
            self.maximumRows = maximumRows
            self.period = period
            self.grid = RowGrid(period: period, rate: rate, stride: stride)
            self.aggregate = aggregate
            self.blendTicks = max(1, blendTicks)
        }
    }

    package enum MergeResult: Equatable, Sendable {
        /// `staleRows` way points were already in the past.
        case applied(staleRows: Int)
        /// Every way point was in the past; the plan is unchanged.
        case stale
        /// Captured before the chunk that is already in the plan; the plan is unchanged.
        case outOfOrder
        /// The chunk has another width, spacing or length than this queue was made for.
        case malformed
    }

    package private(set) var configuration: Configuration
    /// First tick that was not handed out yet.
    package private(set) var nextTick: Int64
    /// First tick behind the plan.
    package private(set) var endTick: Int64
    /// What was commanded last, and what the plan is bridged from.
    package private(set) var command: [Float]
    /// A ring of targets by tick: the plan ahead and, behind it, what was commanded.
    private var storage: [Float]
    /// First tick whose command is known.
    private var historyStart: Int64
    /// Capture of the newest chunk that was ever merged. Outlives a reset: nothing observed earlier comes back.
    private var newestCapture: Int64?
    /// Capture of the chunk that the plan in force rests on.
    private var lastCapture: Int64?
    private var bridge: [Float]
    private var tail: [Float]

    /// Starts empty at `tick`, standing at `pose`.
    package init(configuration: Configuration, startingAt tick: Int64, pose: [Float]) {
        precondition(pose.count == configuration.dimensions, "the pose has another number of dimensions")
        self.configuration = configuration
        self.nextTick = tick
        self.endTick = tick
        self.historyStart = tick
        self.command = pose
        self.bridge = pose
        self.tail = pose
        self.storage = Array(repeating: 0, count: Self.storageSize(configuration))
    }

    /// Values in the ring: twice the longest chunk, for the plan ahead and what was commanded.
    package static func storageSize(_ configuration: Configuration) -> Int {
        2 * (configuration.grid.ticks(of: configuration.maximumRows + 2) + configuration.restTicks)
            * configuration.dimensions
    }

    /// Copies the ring into a buffer of `storageSize`; a tick's values lie at `tick % capacity`.
    ///
    /// - Returns: the first tick whose values are known, and the first behind the plan.
    package func copyPlan(into buffer: inout [Float]) -> (first: Int64, end: Int64) {
        precondition(buffer.count == storage.count, "the buffer belongs to another queue")
        for index in storage.indices { buffer[index] = storage[index] }
        return (max(historyStart, nextTick - capacity / 2), endTick)
    }

    /// Ticks since the observation was captured that the plan rests on; nil without one.
    package func planAge(at tick: Int64) -> Int64? { lastCapture.map { tick - $0 } }

    /// How the next chunks are combined with the plan.
    package mutating func tune(aggregate: AggregateFunction, blendTicks: Int) {
        configuration.aggregate = aggregate
        configuration.blendTicks = max(1, blendTicks)
    }

    /// Ticks of motion left; negative while nothing was there to execute.
    package var runwayTicks: Int64 { endTick - nextTick }

    /// Takes the target of `tick`, dropping the ones before it. False means that the plan has none; `command`
    /// then still holds the last target.
    ///
    /// A tick that was handed out is never handed out again.
    package mutating func take(_ tick: Int64) -> Bool {
        guard tick >= nextTick else { return false }
        let unplanned = max(nextTick, endTick, tick - capacity + 1)
        nextTick = tick + 1
        guard tick < endTick else {
            var missed = unplanned
            while missed <= tick {
                write(missed, from: command)
                missed += 1
            }
            return false
        }
        let base = slot(tick)
        for dimension in 0..<configuration.dimensions { command[dimension] = storage[base + dimension] }
        return true
    }

    /// Replaces the plan from the next unexecuted tick on.
    ///
    /// The arms follow `new + u * (old - new)`, `u` being the old share of `TakeOver`. So no step exceeds the two plans' own
    /// steps plus 1.5 times their difference divided by `blendTicks`. Behind its end the old plan stands still.
    ///
    /// - Parameters:
    ///   - t0: tick one row before row 0: the observation's capture, or later for a robot that stood still since.
    ///   - captured: the observation's capture when it is not `t0`; decides order and age.
    package mutating func merge(
        _ chunk: ActionChunk,
        capturedAt t0: Int64,
        observedAt captured: Int64? = nil
    ) -> MergeResult {
        let captured = captured ?? t0
        let rows = chunk.rows
        guard chunk.dimensions == configuration.dimensions, (1...configuration.maximumRows).contains(rows),
            chunk.period == configuration.period
        else { return .malformed }
        if let newestCapture, captured <= newestCapture { return .outOfOrder }
        let resampler = Resampler(rows: rows, grid: configuration.grid, restTicks: configuration.restTicks)
        let newEnd = t0 + Int64(resampler.count) + 1
        guard t0 + Int64(resampler.rowTicks) + 1 > nextTick else { return .stale }
        guard newEnd - nextTick <= capacity / 2 else { return .malformed }

        let start = max(nextTick, t0 + 1)
        let oldEnd = endTick
        var gap = max(nextTick, oldEnd)
        while gap < start {
            write(gap, from: command)
            gap += 1
        }
        for dimension in 0..<configuration.dimensions {
            bridge[dimension] = known(t0, dimension, oldEnd: oldEnd)
            // A plan whose last ticks were missed ended at what was commanded, not at what it had wanted.
            tail[dimension] = oldEnd > nextTick ? known(oldEnd - 1, dimension, oldEnd: oldEnd) : command[dimension]
        }
        let takeOver = TakeOver(
            aggregate: configuration.aggregate.oldShare,
            blendTicks: Float(configuration.blendTicks),
            start: start,
            oldEnd: oldEnd
        )
        var tick = start
        while tick < newEnd {
            defer { tick += 1 }
            let sample = Int(tick - t0 - 1)
            let shares = resampler.shares(of: sample)
            let held = resampler.heldSource(of: sample)
            let share = takeOver.oldShare(at: tick)
            let base = slot(tick)
            for dimension in 0..<configuration.dimensions {
                let old = tick < oldEnd ? storage[base + dimension] : tail[dimension]
                if configuration.claws.contains(dimension) {
                    // Before its first row the chunk says nothing about the claws.
                    storage[base + dimension] = held == 0 ? old : chunk[held - 1, dimension]
                    continue
                }
                let new = armTarget(of: chunk, shares, dimension)
                storage[base + dimension] = new + share * (old - new)
            }
        }
        lastCapture = captured
        newestCapture = captured
        endTick = newEnd
        return .applied(staleRows: min(rows, configuration.grid.rows(dueWithin: nextTick - t0 - 1)))
    }

    /// The planned target of a tick that lies ahead, or nil; for tests and status.
    package func planned(_ tick: Int64) -> [Float]? {
        guard (nextTick..<max(nextTick, endTick)).contains(tick) else { return nil }
        let base = slot(tick)
        return Array(storage[base..<base + configuration.dimensions])
    }

    /// Where the plan has a joint `ticks` behind the last tick that was taken, between two ticks too; its end holds.
    package func ahead(_ ticks: Float, dimension: Int) -> Float {
        let whole = Int64(ticks)
        let last = endTick - 1
        let from = nextTick - 1 + whole
        guard from >= historyStart, last >= historyStart else { return command[dimension] }
        let lower = storage[slot(min(from, last)) + dimension]
        let upper = storage[slot(min(from + 1, last)) + dimension]
        return lower + (upper - lower) * (ticks - Float(whole))
    }

    /// Largest change of an arm joint's velocity within the three ticks from `tick` on, in units per second.
    package func velocityChange(at tick: Int64, arms: Range<Int>) -> Float {
        guard tick - 2 >= historyStart, tick + 2 < endTick else { return 0 }
        var largest: Float = 0
        for dimension in arms {
            var at = tick
            while at < tick + 3 {
                let (a, b, c) = (
                    storage[slot(at - 2) + dimension], storage[slot(at - 1) + dimension],
                    storage[slot(at) + dimension]
                )
                largest = max(largest, abs((c - b) - (b - a)) * Float(configuration.grid.rate.hertz))
                at += 1
            }
        }
        return largest
    }

    /// Forgets the plan and stands at `pose`: between episodes.
    package mutating func reset(at tick: Int64, pose: [Float]) {
        nextTick = max(nextTick, tick)
        endTick = nextTick
        historyStart = nextTick
        lastCapture = nil
        for dimension in command.indices { command[dimension] = pose[dimension] }
    }

    /// One joint of a sample; source 0 is the bridge, source `i + 1` is row `i`.
    private func armTarget(of chunk: ActionChunk, _ shares: Resampler.Shares, _ dimension: Int) -> Float {
        let at = shares.lower == 0 ? bridge[dimension] : chunk[shares.lower - 1, dimension]
        var value = shares.at * at + shares.next * chunk[shares.lower, dimension]
        if shares.before != 0 {
            value += shares.before * (shares.lower == 1 ? bridge[dimension] : chunk[shares.lower - 2, dimension])
        }
        if shares.after != 0 { value += shares.after * chunk[shares.lower + 1, dimension] }
        return value
    }

    /// What was or will be commanded at `tick`, as far as it is known; else the last command.
    private func known(_ tick: Int64, _ dimension: Int, oldEnd: Int64) -> Float {
        let isKnown = tick < max(nextTick, oldEnd) && tick >= max(historyStart, nextTick - capacity / 2)
        return isKnown ? storage[slot(tick) + dimension] : command[dimension]
    }

    private mutating func write(_ tick: Int64, from values: [Float]) {
        let base = slot(tick)
        for dimension in 0..<configuration.dimensions { storage[base + dimension] = values[dimension] }
    }

    private var capacity: Int64 { Int64(storage.count / configuration.dimensions) }

    private func slot(_ tick: Int64) -> Int {
        let index = tick % capacity
        return Int(index < 0 ? index + capacity : index) * configuration.dimensions
    }
}
