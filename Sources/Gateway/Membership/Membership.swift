import GrootCore

/// Who is a worker: the union of what the flag lists, names resolve to, a file says and workers that registered. Pure.
///
/// A source that cannot be read keeps what it said last: a DNS outage must not empty the fleet.
struct Membership: Sendable {
    /// Who says so.
    enum Voice: Hashable, Sendable {
        case flag
        case name(WorkerSource)
        case file
        case registered(worker: String)

        var source: WorkerMember.Source {
            switch self {
            case .flag: .flag
            case .name: .dns
            case .file: .file
            case .registered: .registered
            }
        }

        /// Which of several voices for one address counts: what an operator wrote before what a worker says.
        var rank: Int {
            switch self {
            case .flag: 0
            case .name: 1
            case .file: 2
            case .registered: 3
            }
        }

        /// Addresses of a name are checked against the name that was asked for: certificates carry names, and whoever
        /// answers for the name server must not choose which.
        var verifiedAs: String? {
            if case .name(.name(let host, _)) = self { host } else { nil }
        }
    }

    enum Action: Sendable, Equatable {
        /// `verifiedAs`: the name that its certificate must carry; nil for the endpoint's own host.
        case add(Endpoint, WorkerMember.Source, verifiedAs: String? = nil)
        case remove(Endpoint)
    }

    /// What became of a registration.
    enum Registration: Sendable, Equatable {
        case accepted([Action])
        /// Another worker has this address and its lease runs.
        case taken(by: String)
        case full
    }

    let lease: Duration
    /// Registered workers at most.
    let limit: Int
    private var said: [Voice: [Endpoint]] = [:]
    private var leases: [String: MonotonicInstant] = [:]
    private var members: Set<Endpoint> = []

    init(lease: Duration = .seconds(10), limit: Int = 256) {
        self.lease = lease
        self.limit = limit
    }

    /// A source says that these, and only these, are its workers.
    mutating func said(_ voice: Voice, _ endpoints: [Endpoint]) -> [Action] {
        said[voice] = endpoints
        return changes()
    }

    /// A source is no longer asked.
    mutating func silenced(_ voice: Voice) -> [Action] {
        said[voice] = nil
        return changes()
    }

    var voices: [Voice] { Array(said.keys) }

    /// A worker joins, or stays. It is forgotten when it does not call again within the lease.
    mutating func registered(_ worker: String, at endpoint: Endpoint, now: MonotonicInstant) -> Registration {
        for case (.registered(let other), let endpoints) in said where other != worker && endpoints == [endpoint] {
            return .taken(by: other)
        }
        guard leases[worker] != nil || leases.count < limit else { return .full }
        leases[worker] = now + lease
        return .accepted(said(.registered(worker: worker), [endpoint]))
    }

    /// It says goodbye: no new requests, those in flight finish.
    mutating func left(_ worker: String) -> [Action] {
        leases[worker] = nil
        return silenced(.registered(worker: worker))
    }

    /// Forgets workers whose lease ended.
    mutating func timePassed(_ now: MonotonicInstant) -> (actions: [Action], expired: [String]) {
        let expired = leases.filter { $0.value <= now }.map(\.key).sorted()
        for worker in expired {
            leases[worker] = nil
            said[.registered(worker: worker)] = nil
        }
        return (expired.isEmpty ? [] : changes(), expired)
    }

    private mutating func changes() -> [Action] {
        var wanted: [Endpoint: Voice] = [:]
        for (voice, endpoints) in said {
            for endpoint in endpoints where wanted[endpoint].map({ voice.rank < $0.rank }) ?? true {
                wanted[endpoint] = voice
            }
        }
        let order = { (left: Endpoint, right: Endpoint) in "\(left)" < "\(right)" }
        var actions: [Action] = []
        for endpoint in members.subtracting(wanted.keys).sorted(by: order) { actions.append(.remove(endpoint)) }
        // Listed ones in the order in which they were written.
        let listed = (said[.flag] ?? []).filter { !members.contains($0) }
        let others = Set(wanted.keys).subtracting(members).subtracting(listed).sorted(by: order)
        for endpoint in listed + others {
            let voice = wanted[endpoint] ?? .flag
            actions.append(.add(endpoint, voice.source, verifiedAs: voice.verifiedAs))
        }
        members = Set(wanted.keys)
        return actions
    }
}
