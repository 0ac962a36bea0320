import Foundation
import GrootCore
import Logging
import ServiceLifecycle
import Synchronization

/// Keeps the membership up to date and tells the data plane: resolves names, reads the watched file, ends leases.
///
/// Owns `Membership` behind a mutex; any thread may register a worker. `run` does the polling in one task; resolving
/// blocks a thread of its own.
final class WorkerDirectory: Service {
    struct Configuration: Sendable, Equatable {
        var sources: [WorkerSource] = []
        var file: String?
        /// How often names are resolved again.
        var resolveInterval = Duration.seconds(5)
        /// How often the file is looked at.
        var fileInterval = Duration.seconds(1)
        var lease = Duration.seconds(10)
        var workerLimit = 256
    }

    /// Turns a name into addresses.
    typealias Resolve = @Sendable (WorkerSource) async throws -> [Endpoint]

    private struct State {
        var membership: Membership
        var configuration: Configuration
        var dataPlane: DataPlane?
        /// What happened before there was a data plane.
        var pending: [Membership.Action] = []
        var fileText: String?
        var resolved: [WorkerSource: MonotonicInstant] = [:]
        var complained: [String: String] = [:]
    }

    private let state: Mutex<State>
    private let resolve: Resolve
    private let logger: Logger

    init(_ configuration: Configuration, logger: Logger, resolve: @escaping Resolve = NameResolver.resolve) {
        let membership = Membership(lease: configuration.lease, limit: configuration.workerLimit)
        state = Mutex(State(membership: membership, configuration: configuration))
        self.resolve = resolve
        self.logger = logger
    }

    /// From now on changes reach this data plane. The listed addresses are members at once.
    func attach(to dataPlane: DataPlane) {
        state.withLock { $0.dataPlane = dataPlane }
        apply { $0.membership.said(.flag, $0.configuration.addresses) }
    }

    func reconfigure(_ new: Configuration) {
        apply { state in
            state.configuration = new
            var actions: [Membership.Action] = []
            for case .name(let source) in state.membership.voices where !new.sources.contains(source) {
                actions += state.membership.silenced(.name(source))
            }
            if new.file == nil { actions += state.membership.silenced(.file) }
            state.fileText = nil
            return actions + state.membership.said(.flag, new.addresses)
        }
    }

    /// A worker joins or stays; returns the lease.
    func register(_ worker: String, at endpoint: Endpoint) -> Result<Duration, RegistrationProblem> {
        let (result, lease) = state.withLock { state in
            let result = state.membership.registered(worker, at: endpoint, now: .now())
            if case .accepted(let actions) = result { state.pending += actions }
            return (result, state.membership.lease)
        }
        flush()
        switch result {
        case .accepted: return .success(lease)
        case .taken(let other): return .failure(.taken("worker \"\(other)\" is registered at \(endpoint)"))
        case .full: return .failure(.full)
        }
    }

    enum RegistrationProblem: Error, Equatable {
        case taken(String)
        case full
    }

    func leave(_ worker: String) {
        apply { $0.membership.left(worker) }
    }

    func run() async throws {
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            await poll(at: .now())
            let pause = Task { try await Task.sleep(for: .milliseconds(250)) }
            // Being told to stop only shortens the pause.
            await withGracefulShutdownHandler {
                await withTaskCancellationHandler {
                    try? await pause.value
                } onCancel: {
                    pause.cancel()
                }
            } onGracefulShutdown: {
                pause.cancel()
            }
        }
    }

    /// One look at everything that is due.
    func poll(at now: MonotonicInstant) async {
        let expired = state.withLock { state in
            let (actions, expired) = state.membership.timePassed(now)
            state.pending += actions
            return expired
        }
        for worker in expired { logger.warning("its lease ended", metadata: ["worker": "\(worker)"]) }
        flush()
        readFile()
        let due = state.withLock { state -> [WorkerSource] in
            let due = state.configuration.sources.filter { source in
                if case .address = source { return false }
                return state.resolved[source].map { now - $0 >= state.configuration.resolveInterval } ?? true
            }
            for source in due { state.resolved[source] = now }
            return due
        }
        for source in due { await resolveNow(source) }
    }

    private func resolveNow(_ source: WorkerSource) async {
        do {
            let found = try await resolve(source)
            guard !found.isEmpty else { throw NameResolver.Failure(description: "it has no address") }
            complain(about: "\(source)", nil)
            apply { state in
                // Reconfigured in between: nobody asks any more.
                state.configuration.sources.contains(source) ? state.membership.said(.name(source), found) : []
            }
        } catch {
            complain(about: "\(source)", "\(error)")
        }
    }

    private func readFile() {
        guard let path = state.withLock({ $0.configuration.file }) else { return }
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            complain(about: path, "cannot be read: \(error.localizedDescription)")
            return
        }
        guard state.withLock({ $0.fileText != text }) else { return }
        do throws(EndpointError) {
            let endpoints = try Self.endpoints(in: text)
            complain(about: path, nil)
            apply { state in
                state.fileText = text
                return state.membership.said(.file, endpoints)
            }
        } catch {
            complain(about: path, "\(error)")
        }
    }

    /// One address a line; `#` begins a comment. Duplicates count once.
    static func endpoints(in text: String) throws(EndpointError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for line in text.split(separator: "\n") {
            let content = line.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces)
            guard !content.isEmpty else { continue }
            guard case .address(let endpoint) = try WorkerSource(parsing: content) else {
                throw EndpointError(text: content, problem: "the file takes addresses only")
            }
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return endpoints
    }

    /// Says it once and not again until it changes.
    private func complain(about subject: String, _ problem: String?) {
        let isNew = state.withLock { state in
            defer { state.complained[subject] = problem }
            return state.complained[subject] != problem
        }
        guard isNew, let problem else { return }
        logger.warning(
            "source of workers unusable; keeping what it said last",
            metadata: ["peer": "\(subject)", "error": "\(problem)"]
        )
    }

    private func apply(_ change: (inout State) -> [Membership.Action]) {
        state.withLock { $0.pending += change(&$0) }
        flush()
    }

    /// Hands actions on in their order: under the lock, since two threads may flush.
    private func flush() {
        state.withLock { state in
            guard let dataPlane = state.dataPlane, !state.pending.isEmpty else { return }
            for action in state.pending {
                switch action {
                case .add(let endpoint, let source, let name):
                    _ = dataPlane.add(endpoint, source: source, verifiedAs: name)
                case .remove(let endpoint): _ = dataPlane.remove(endpoint)
                }
            }
            state.pending = []
        }
    }
}

extension WorkerDirectory.Configuration {
    /// The entries that need no look-up.
    var addresses: [Endpoint] {
        sources.compactMap { if case .address(let endpoint) = $0 { endpoint } else { nil } }
    }
}
