import Logging
import OrderedCollections
import Synchronization

/// Delivers notices to nodes: in order per node, nodes side by side, newest list per topic only.
///
/// Any thread hands notices in; one task per node with notices waiting sends them.
final class MasterNotifier: Sendable {
    /// What a newer notice of the same kind replaces.
    private struct Subject: Hashable {
        var method: String
        var key: String
    }

    private struct State {
        var waiting: [String: OrderedDictionary<Subject, MasterNotice>] = [:]
        var senders: [String: Task<Void, Never>] = [:]
        var isStopped = false
    }

    private static let timeout = Duration.seconds(3)

    private let client: XMLRPCClient
    private let logger: Logger
    private let state = Mutex(State())

    init(client: XMLRPCClient, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    func send(_ notices: [MasterNotice]) {
        state.withLock { state in
            guard !state.isStopped else { return }
            for notice in notices {
                let uri = notice.destination
                state.waiting[uri, default: [:]][Subject(method: notice.method, key: notice.key)] = notice
                if state.senders[uri] == nil { state.senders[uri] = Task { [self] in await drain(uri) } }
            }
        }
    }

    func stop() async {
        let senders = state.withLock { state in
            state.isStopped = true
            state.waiting = [:]
            return Array(state.senders.values)
        }
        for sender in senders { sender.cancel() }
        for sender in senders { await sender.value }
    }

    private func drain(_ uri: String) async {
        while let notice = next(for: uri) {
            do {
                _ = try await client.call(notice.method, notice.parameters, at: uri, timeout: Self.timeout)
            } catch {
                logger.debug("a node took no notice", metadata: ["node": "\(uri)", "error": "\(error)"])
            }
        }
    }

    /// The next notice, or nil after ending this node's task in the same step.
    private func next(for uri: String) -> MasterNotice? {
        state.withLock { state in
            guard var queue = state.waiting[uri], !queue.isEmpty else {
                state.waiting[uri] = nil
                state.senders[uri] = nil
                return nil
            }
            state.waiting[uri] = nil
            let notice = queue.removeFirst().value
            state.waiting[uri] = queue
            return notice
        }
    }
}

extension MasterNotice {
    fileprivate var destination: String {
        switch self {
        case .publisherUpdate(_, _, let uri), .paramUpdate(_, _, let uri), .shutdown(_, let uri): uri
        }
    }

    fileprivate var method: String {
        switch self {
        case .publisherUpdate: "publisherUpdate"
        case .paramUpdate: "paramUpdate"
        case .shutdown: "shutdown"
        }
    }

    fileprivate var key: String {
        switch self {
        case .publisherUpdate(let topic, _, _): topic
        case .paramUpdate(let key, _, _): key
        case .shutdown: ""
        }
    }

    fileprivate var parameters: [XMLRPCValue] {
        switch self {
        case .publisherUpdate(let topic, let publishers, _):
            [.string("/master"), .string(topic), .strings(publishers)]
        case .paramUpdate(let key, let value, _): [.string("/master"), .string(key), value]
        case .shutdown(let reason, _): [.string("/master"), .string(reason)]
        }
    }
}
