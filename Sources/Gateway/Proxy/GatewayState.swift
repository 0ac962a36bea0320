import Foundation
import GrootCore
import Synchronization

/// What `/state` of the admin listener says: the dashboard and people read it. Names are stable; fields are only added.
struct GatewayState: Encodable, Sendable {
    struct Worker: Encodable, Sendable {
        var name: String
        var address: String
        var source: String
        var up: Bool
        var reason: String
        var checkpoints: [String]
        var draining: Bool
        var ejected: Bool
        var inFlight: Int
        var running: Int
        var batchCapacity: Int?
        /// By batch size, 1 first.
        var batchMs: [Double]
        var expectedDelayMs: Double
        /// Milliseconds of penalty that are left after a failure.
        var penaltyMs: Double
        /// Requests of other gateways, by the worker's last report.
        var otherGateways: Double
        var queue: Int?
        var consecutiveFailures: Int
    }

    struct Robot: Encodable, Sendable {
        var robot: String
        var lastSeenMs: Double
        /// Motion left now, by the last request; negative: dry for so long. Absent when it did not say.
        var runwayMs: Double?
        var observation: UInt64
        var requests: UInt64
        var answered: UInt64
        var superseded: UInt64
        var dry: UInt64
        var inFlight: Int
        var waiting: Bool
        var worker: String?
    }

    struct Waiting: Encodable, Sendable {
        var robot: String
        var checkpoint: String?
        var observation: UInt64
        var waitedMs: Double
        var runwayMs: Double?
    }

    var policy: String
    var overloaded: Bool
    var active: Int
    var repetitions: Int
    var heldBytes: Int
    var connections: Int
    var workers: [Worker]
    var waiting: [Waiting]
    var robots: [Robot]

    func json() -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Finite numbers and texts always encode.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

extension DataPlane {
    /// A copy of everything, taken under the scheduler's lock in one go.
    func state(at now: MonotonicInstant = .now()) -> GatewayState {
        let scheduler = shared.withScheduler { $0.books }
        let members = shared.members
        let names = Dictionary(uniqueKeysWithValues: members.map { ($0.id, $0.status.name) })
        let waiting = Set(scheduler.waiting.entries.map(\.robot))
        func milliseconds(_ duration: Duration) -> Double { (duration.milliseconds * 10).rounded() / 10 }
        func rounded(_ seconds: Double) -> Double { (seconds * 10_000).rounded() / 10 }
        return GatewayState(
            policy: scheduler.configuration.policy.rawValue,
            overloaded: scheduler.waiting.isOverloaded,
            active: scheduler.active,
            repetitions: scheduler.extra,
            heldBytes: shared.heldBytes.load(ordering: .relaxed),
            connections: connectionCount,
            workers: members.map { member in
                let status = member.status
                let worker = scheduler.worker(member.id)
                let times = worker?.groups.first?.times
                return GatewayState.Worker(
                    name: status.name,
                    address: "\(member.endpoint)",
                    source: member.source.rawValue,
                    up: status.isUp,
                    reason: status.reason,
                    checkpoints: status.checkpoints ?? [],
                    draining: status.isDraining,
                    ejected: worker?.outlier.isEjected(at: now) ?? false,
                    inFlight: worker?.inFlight ?? 0,
                    running: worker?.running ?? 0,
                    batchCapacity: worker?.capacity,
                    batchMs: (1...(worker?.capacity ?? 1)).map {
                        rounded(times?.seconds(batch: $0, idle: false, at: now) ?? 0)
                    },
                    expectedDelayMs: rounded(
                        worker.map {
                            $0.weighed($0.answerTime(group: 0, at: now), scheduler.configuration, at: now)
                        } ?? 0
                    ),
                    penaltyMs: milliseconds(max(.zero, (worker?.penaltyUntil ?? now) - now)),
                    otherGateways: ((worker?.presentForeign(at: now) ?? 0) * 10).rounded() / 10,
                    queue: worker?.lastLoad?.queue,
                    consecutiveFailures: worker?.outlier.consecutive ?? 0
                )
            },
            waiting: scheduler.waiting.entries.map { entry in
                GatewayState.Waiting(
                    robot: entry.robot,
                    checkpoint: entry.checkpoint,
                    observation: entry.observation,
                    waitedMs: milliseconds(now - entry.arrivedAt),
                    runwayMs: entry.dryAt.map { milliseconds($0 - now) }
                )
            },
            robots: scheduler.robots.robots.sorted { $0.key < $1.key }.map { name, robot in
                GatewayState.Robot(
                    robot: name,
                    lastSeenMs: milliseconds(now - robot.lastSeen),
                    runwayMs: robot.dryAt.map { milliseconds($0 - now) },
                    observation: robot.observation,
                    requests: robot.requests,
                    answered: robot.answered,
                    superseded: robot.superseded,
                    dry: robot.dry,
                    inFlight: robot.inFlight,
                    waiting: waiting.contains(name),
                    worker: robot.lastWorker.flatMap { names[$0] }
                )
            }
        )
    }
}
