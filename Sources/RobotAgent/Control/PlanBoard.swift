import Synchronization

/// The plan in force as the control thread had it at its last change, for whoever continues it.
///
/// The plan changes only by a merge or a reset, and the copy is made in the same tick, before the merge is
/// reported: a leftover read from here is exactly what the robot executes until the next merge. Storage is
/// allocated once; the lock covers a copy of memory.
package final class PlanBoard: Sendable {
    private struct Copy {
        var storage: [Float]
        var first: Int64 = 0
        var end: Int64 = 0
    }

    /// Future rows of the plan on the grid of a new observation.
    package struct Leftover: Sendable, Equatable {
        /// One target per row of the plan's grid from `t0` on.
        package var rows: [[Float]]
        /// How many of them will have been executed before an answer can arrive.
        package var frozen: Int
    }

    private let copy: Mutex<Copy>
    private let dimensions: Int
    package let grid: RowGrid

    package init(for configuration: ActionQueue.Configuration) {
        dimensions = configuration.dimensions
        grid = configuration.grid
        copy = Mutex(Copy(storage: Array(repeating: 0, count: ActionQueue.storageSize(configuration))))
    }

    /// Control thread, after every change of the plan.
    package func store(_ queue: borrowing ActionQueue) {
        copy.withLock { copy in
            (copy.first, copy.end) = queue.copyPlan(into: &copy.storage)
        }
    }

    /// What is left of the plan for an observation captured at `t0`.
    ///
    /// - Parameters:
    ///   - delay: ticks from capture until the answer is expected to be merged.
    ///   - limit: most rows that the policy continues.
    package func leftover(capturedAt t0: Int64, delay: Int64, limit: Int) -> Leftover {
        copy.withLock { copy in
            var rows: [[Float]] = []
            let capacity = Int64(copy.storage.count / dimensions)
            for row in 0..<limit {
                let tick = t0 + grid.tick(ofRow: row)
                guard tick < copy.end, copy.end > copy.first else { break }
                // Before the plan began the robot stood at its first target.
                let known = max(tick, copy.first)
                let index = Int(((known % capacity) + capacity) % capacity) * dimensions
                rows.append(Array(copy.storage[index..<index + dimensions]))
            }
            // The row that the robot is on its way to at the merge must not change either.
            return Leftover(rows: rows, frozen: min(grid.rows(begunWithin: delay), rows.count))
        }
    }
}
