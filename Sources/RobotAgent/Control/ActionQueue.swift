package import GrootCore

/// The plan: one target per 100 Hz control tick, on absolute tick numbers.
///
/// A chunk captured at tick `t0` defines way points at `t0 + ticksPerRow * (i + 1)`. Merging it replaces
/// everything from the next unexecuted tick on; ticks that were already executed are never touched, and
/// old ticks beyond the new chunk's end are dropped. Storage is allocated once.
///
/// Pure and owned by the control thread.
package struct ActionQueue: Sendable {
    package struct Configuration: Sendable {
        /// Values per target.
        package var dimensions: Int
        /// Dimensions that are held instead of interpolated, aggregated or blended.
        package var claws: Range<Int>
        /// Longest chunk that can be merged.
        package var maximumRows: Int
        /// Control ticks between two chunk rows.
        package var ticksPerRow: Int
        package var aggregate: AggregateFunction
        /// Ticks over which a new chunk takes over from the plan in force; at least 1.
        package var blendTicks: Int

        package init(
            dimensions: Int,
            claws: Range<Int>,
            maximumRows: Int,
            ticksPerRow: Int = 10,
            aggregate: AggregateFunction = .weightedAverage,
            blendTicks: Int = 20
        ) {
            self.dimensions = dimensions
            self.claws = claws
            self.maximumRows = maximumRows
            self.ticksPerRow = ticksPerRow
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

    package let configuration: Configuration
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
        let ticks = 2 * (configuration.maximumRows + 2) * configuration.ticksPerRow
        self.storage = Array(repeating: 0, count: ticks * configuration.dimensions)
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
            for missed in unplanned...tick { write(missed, from: command) }
            return false
        }
        let base = slot(tick)
        for dimension in 0..<configuration.dimensions { command[dimension] = storage[base + dimension] }
        return true
    }

    /// Replaces the plan from the next unexecuted tick on.
    ///
    /// The arms follow `new + u * (old - new)`. `u` falls from 1 to 0 over `blendTicks`, but stays at the
    /// aggregate function's old share while the old plan has ticks, and leaves that share over
    /// `blendTicks` too. So no step exceeds the two plans' own steps plus their difference divided by
    /// `blendTicks`. Behind its end the old plan stands still.
    package mutating func merge(_ chunk: ActionChunk, capturedAt t0: Int64) -> MergeResult {
        let rows = chunk.rows
        let ticksPerRow = Int64(configuration.ticksPerRow)
        guard chunk.dimensions == configuration.dimensions, (1...configuration.maximumRows).contains(rows),
            chunk.period == .milliseconds(10) * configuration.ticksPerRow
        else { return .malformed }
        if let lastCapture, t0 <= lastCapture { return .outOfOrder }
        let newEnd = t0 + ticksPerRow * Int64(rows) + 1
        guard newEnd > nextTick else { return .stale }
        guard newEnd - nextTick <= capacity / 2 else { return .malformed }

        let start = max(nextTick, t0 + 1)
        let oldEnd = endTick
        for tick in nextTick..<start where tick >= oldEnd { write(tick, from: command) }
        let resampler = Resampler(rows: rows, ticksPerRow: configuration.ticksPerRow, hasBridge: true)
        for dimension in 0..<configuration.dimensions {
            bridge[dimension] = known(t0, dimension, oldEnd: oldEnd)
            // A plan whose last ticks were missed ended at what was commanded, not at what it had wanted.
            tail[dimension] = oldEnd > nextTick ? known(oldEnd - 1, dimension, oldEnd: oldEnd) : command[dimension]
        }
        for tick in start..<newEnd {
            let sample = Int(tick - t0 - 1)
            let position = resampler.position(of: sample)
            let held = resampler.heldSource(of: sample)
            let share = oldShare(at: tick, start: start, oldEnd: oldEnd)
            let base = slot(tick)
            for dimension in 0..<configuration.dimensions {
                let old = tick < oldEnd ? storage[base + dimension] : tail[dimension]
                if configuration.claws.contains(dimension) {
                    // Before its first row the chunk says nothing about the claws.
                    storage[base + dimension] = held == 0 ? old : chunk[held - 1, dimension]
                    continue
                }
                let lower = position.lower == 0 ? bridge[dimension] : chunk[position.lower - 1, dimension]
                let upper = chunk[position.lower, dimension]
                let new = lower + (upper - lower) * position.fraction
                storage[base + dimension] = new + share * (old - new)
            }
        }
        lastCapture = t0
        endTick = newEnd
        let stale = (0..<rows).count { t0 + ticksPerRow * Int64($0 + 1) < nextTick }
        return .applied(staleRows: stale)
    }

    /// The planned target of a tick that lies ahead, or nil; for tests and status.
    package func planned(_ tick: Int64) -> [Float]? {
        guard (nextTick..<max(nextTick, endTick)).contains(tick) else { return nil }
        let base = slot(tick)
        return Array(storage[base..<base + configuration.dimensions])
    }

    /// Forgets the plan and stands at `pose`: between episodes.
    package mutating func reset(at tick: Int64, pose: [Float]) {
        nextTick = max(nextTick, tick)
        endTick = nextTick
        historyStart = nextTick
        lastCapture = nil
        command = pose
    }

    private func oldShare(at tick: Int64, start: Int64, oldEnd: Int64) -> Float {
        let blend = Float(configuration.blendTicks)
        let takeOver = max(0, 1 - Float(tick - start + 1) / blend)
        guard tick < oldEnd else { return takeOver }
        let aggregate = configuration.aggregate.oldShare * min(1, Float(oldEnd - tick) / blend)
        return max(takeOver, aggregate)
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
