import GrootAPI
import GrootCore
import HTTP2
import Logging
import NIOCore

/// What a worker says of itself: its name and what it serves.
extension Upstream {
    func describe() {
        guard let connection, !describing, member != nil else { return }
        describing = true
        let current = generation
        WorkerCalls.describe(connection, authority: "\(endpoint)", timeout: .seconds(2))
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self else { return }
                describing = false
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
        isDescribed = true
        if !description.worker.isEmpty { name = description.worker }
        let served = description.policies.map(\.checkpoint)
        if speaks {
            member.update {
                $0.name = name
                $0.checkpoints = served
            }
            shared.logger.info("serves", metadata: metadata(["checkpoint": "\(served.joined(separator: ","))"]))
            shared.onWorkerDescribed(WorkerReport(name: name, address: endpoint, policies: description.policies))
        }
        let policies = description.policies.map(DescribedPolicy.init)
        pool.change { scheduler, now in scheduler.described(member.id, policies, at: now) }
    }

    private func notDescribed(_ reason: String) {
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
