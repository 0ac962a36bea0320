import GrootCore
import HTTP2
import NIOCore

/// All upstreams of one event loop, and the requests that wait for one to come up. Confined to that loop.
final class UpstreamPool {
    let shared: GatewayShared
    let eventLoop: any EventLoop
    let workers: [Upstream]
    let control: Upstream
    /// In order of arrival.
    private var waiting: [ProxyRequest] = []
    private var wakeScheduled = false

    init(shared: GatewayShared, control: Endpoint, eventLoop: any EventLoop, speaks: Bool) {
        self.shared = shared
        self.eventLoop = eventLoop
        self.workers = shared.configuration.workers.enumerated().map { index, endpoint in
            Upstream(
                kind: .worker(index: index),
                endpoint: endpoint,
                shared: shared,
                eventLoop: eventLoop,
                speaks: speaks
            )
        }
        self.control = Upstream(kind: .control, endpoint: control, shared: shared, eventLoop: eventLoop, speaks: speaks)
    }

    func start() {
        for upstream in workers + [control] {
            upstream.changed = { [weak self] in self?.wakeWaiting() }
            upstream.start()
        }
    }

    func stop() {
        for upstream in workers + [control] { upstream.stop() }
    }

    /// The worker with the least expected delay that serves the selector and is not among those tried.
    func pick(_ selector: String?, tried: [(worker: Int, generation: Int)]) -> Upstream? {
        let candidates = workers.indices.filter { index in
            let worker = workers[index]
            return worker.canTake && worker.serves(selector)
                && !tried.contains { $0.worker == index && $0.generation == worker.generation }
        }
        let now = MonotonicInstant.now()
        return shared.withBalancer { $0.pick(from: candidates, at: now) }.map { workers[$0] }
    }

    /// Lets a request wait; false when too many wait already.
    func wait(_ request: ProxyRequest) -> Bool {
        guard waiting.count < shared.configuration.holdCount else { return false }
        waiting.append(request)
        return true
    }

    func stopWaiting(_ request: ProxyRequest) {
        waiting.removeAll { $0 === request }
    }

    /// Why nobody takes a request now. `notFound` when every worker is up and none of them serves the selector.
    func refusal(_ selector: String?) -> GRPCStatus {
        let everyoneSpoke = workers.allSatisfy { $0.isUp && $0.checkpoints != nil }
        if let selector, everyoneSpoke, !workers.contains(where: { $0.serves(selector) }) {
            let served = Set(workers.flatMap { $0.checkpoints ?? [] }).sorted().joined(separator: ", ")
            return GRPCStatus(.notFound, "no worker serves checkpoint \"\(selector)\"; served are: \(served)")
        }
        let reasons = workers.map { worker in
            let who = worker.name == "\(worker.endpoint)" ? worker.name : "\(worker.name) (\(worker.endpoint))"
            if !worker.isUp { return "\(who) is down: \(worker.downReason)" }
            if !worker.serves(selector) {
                let served = worker.checkpoints.map { "serves \($0.joined(separator: ", "))" }
                return "\(who) \(served ?? "has not said what it serves")"
            }
            return worker.canTake ? "\(who) failed this request" : "\(who) has no stream free"
        }
        let wanted = selector.map { " for checkpoint \"\($0)\"" } ?? ""
        return GRPCStatus(.unavailable, "no worker available\(wanted): " + reasons.joined(separator: "; "))
    }

    /// Once per loop turn, so that a request is not dispatched from inside another one's callback.
    private func wakeWaiting() {
        guard !waiting.isEmpty, !wakeScheduled else { return }
        wakeScheduled = true
        eventLoop.assumeIsolated().execute { [weak self] in
            guard let self else { return }
            wakeScheduled = false
            for request in waiting { request.workerMayBeThere() }
        }
    }
}
