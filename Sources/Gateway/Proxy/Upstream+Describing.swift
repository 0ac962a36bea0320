import GrootAPI
import GrootCore
import HTTP2
import Logging
import NIOCore

/// What a worker says of itself: its name and what it serves.
extension Upstream {
    /// The worker said, with a health check or an answer, which set of checkpoints it serves.
    func said(generation: String?) {
        if let generation, descriptions.said(generation, at: .now()) { describe() }
    }

    /// It does not have a checkpoint that it should have.
    func disowned() {
        if descriptions.disowned(at: .now()) { describe() }
    }

    /// A good health check: it names the set, or cannot.
    func checked(_ response: HTTP2Response) {
        if descriptions.said(WorkerCalls.generation(of: response), at: .now()) { describe() }
    }

    func describe() {
        guard let connection, member != nil, descriptions.asked(at: .now()) else { return }
        let current = generation
        WorkerCalls.describe(connection, authority: "\(endpoint)", timeout: .seconds(2))
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self else { return }
                guard generation == current, !stopped else { return }
                switch result.map(WorkerCalls.description(in:)) {
                case .success(.success(let description)): described(description)
                case .success(.failure(let failure)): notDescribed(failure.reason)
                case .failure(let error): notDescribed("\(error)")
                }
            }
    }

    private func described(_ description: Groot_V1_DescribeResponse) {
        guard let member, let pool else { return }
        let isFirst = descriptions.answered()
        named(description.worker)
        if speaks { report(WorkerReport(name: name, address: endpoint, policies: description.policies), isFirst) }
        let policies = description.policies.map(DescribedPolicy.init)
        pool.change { scheduler, now in scheduler.described(member.id, policies, at: now) }
    }

    /// A worker's name is its certificate's; only one without may choose.
    func named(_ said: String?) {
        let certified = connection?.peer?.identity.flatMap { $0.kind == .worker ? $0.name : nil }
        let chosen = said.map { PeopleText.clean($0, limit: PeerIdentity.maximumNameBytes) } ?? ""
        guard let found = certified ?? (chosen.isEmpty ? nil : chosen) else { return }
        name = found
        guard speaks else { return }
        member?.named(found)
        guard !chosen.isEmpty, chosen != found, let suppressed = misnamed.admit(at: .now()) else { return }
        shared.logger.warning(
            "calls itself otherwise than its certificate, whose name holds",
            metadata: metadata(["said": "\(chosen)", "suppressed": "\(suppressed)"])
        )
    }

    /// Tells what is new, and of every new connection.
    private func report(_ report: WorkerReport, _ isFirst: Bool) {
        guard let member, member.described(report, always: isFirst) else { return }
        shared.logger.info(
            "serves",
            metadata: metadata(["checkpoint": "\(report.checkpoints.joined(separator: ","))"])
        )
        shared.onWorkerDescribed(report)
    }

    private func notDescribed(_ reason: String) {
        descriptions.failed()
        guard speaks, let suppressed = unreachable.admit(at: .now()) else { return }
        shared.logger.warning(
            "does not say what it serves; asking again",
            metadata: metadata(["error": "\(reason)", "suppressed": "\(suppressed)"])
        )
    }
}

extension DescribedPolicy {
    init(_ policy: Groot_V1_Policy) {
        self.init(
            checkpoint: policy.checkpoint,
            maxBatch: Int(min(policy.maxBatch, 4096)),
            batchTimes: policy.batchTimes.prefix(64).map {
                BatchTime(batch: Int(min($0.batch, 4096)), time: .nanoseconds(Int64(clamping: $0.inferNs)))
            }
        )
    }
}
