import GrootCore

/// The requests of one event loop, each with the instant at which it wants to be woken. Confined to the loop, part of `UpstreamPool`.
///
/// One timer serves all of them: most requests are answered long before, so a request must cost no timer of its own.
struct OpenRequests {
    private var entries: [(request: ProxyRequest, deadline: MonotonicInstant)] = []

    mutating func insert(_ request: ProxyRequest, until deadline: MonotonicInstant) {
        request.openIndex = entries.count
        entries.append((request, deadline))
    }

    /// Does nothing when it is not here (any more).
    mutating func remove(_ request: ProxyRequest) {
        guard let index = request.openIndex else { return }
        request.openIndex = nil
        let last = entries.removeLast()
        guard index < entries.count else { return }
        entries[index] = last
        last.request.openIndex = index
    }

    /// It wants to be woken at another instant.
    mutating func change(_ request: ProxyRequest, until deadline: MonotonicInstant) {
        guard let index = request.openIndex else { return }
        entries[index].deadline = deadline
    }

    /// Takes out those whose deadline has passed.
    mutating func takeDue(at now: MonotonicInstant) -> [ProxyRequest] {
        let due = entries.filter { $0.deadline <= now }.map(\.request)
        for request in due { remove(request) }
        return due
    }

    var earliest: MonotonicInstant? { entries.map(\.deadline).min() }
}
