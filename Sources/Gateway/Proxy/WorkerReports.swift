import GrootCore
import ServiceLifecycle

/// Tells the control plane what every worker serves, until it has stored that: however late the database comes, all
/// workers and checkpoints reach it. One task; what is new is looked for a few times a second.
struct WorkerReports: Service {
    /// Between two looks, and the longest pause after the control plane could not store something.
    static let interval = Duration.milliseconds(250)
    static let longestPause = Duration.seconds(5)

    let control: any ControlPlaneService
    /// The members and what they said last.
    let members: @Sendable () -> [WorkerMember]

    func run() async throws {
        var stored: [WorkerID: Int] = [:]
        var pause = Self.interval
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            let known = members().compactMap { member in member.report.map { (member.id, $0.number, $0.report) } }
            var isComplete = true
            for (id, number, report) in known where stored[id] != number {
                if await control.workerDescribed(report) { stored[id] = number } else { isComplete = false }
            }
            let present = Set(known.map(\.0))
            stored = stored.filter { present.contains($0.key) }
            pause = isComplete ? Self.interval : min(pause * 2, Self.longestPause)
            // Being told to stop only shortens the pause.
            let wait = pause
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: wait) }
        }
    }
}
