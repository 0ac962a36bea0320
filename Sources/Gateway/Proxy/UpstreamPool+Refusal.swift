extension UpstreamPool {
    /// Why nobody takes a request now. `notFound` when every worker is up and none of them serves the selector.
    func refusal(_ selector: String?) -> GRPCStatus {
        let members = shared.members
        let known = members.map { ($0.status, workers[$0.id]) }
        let everyoneSpoke = known.allSatisfy { $0.0.isUp && $0.0.checkpoints != nil } && !known.isEmpty
        func serves(_ status: WorkerMember.Status) -> Bool {
            selector.map { status.checkpoints?.contains($0) ?? false } ?? true
        }
        if let selector, everyoneSpoke, !known.contains(where: { serves($0.0) }) {
            let served = Set(known.flatMap { $0.0.checkpoints ?? [] }).sorted().joined(separator: ", ")
            return GRPCStatus(.notFound, "no worker serves checkpoint \"\(selector)\"; served are: \(served)")
        }
        let reasons = known.map { status, upstream in
            let who = status.name == "\(status.address)" ? status.name : "\(status.name) (\(status.address))"
            if upstream?.isUp != true {
                let reason = upstream?.downReason ?? ""
                return "\(who) is down: \(reason.isEmpty ? status.reason : reason)"
            }
            if !serves(status) {
                let served = status.checkpoints.map { "serves \($0.joined(separator: ", "))" }
                return "\(who) \(served ?? "has not said what it serves")"
            }
            return upstream?.canTake == true ? "\(who) failed this request or drains" : "\(who) has no stream free"
        }
        let wanted = selector.map { " for checkpoint \"\($0)\"" } ?? ""
        let text = reasons.isEmpty ? "there is none" : reasons.joined(separator: "; ")
        return GRPCStatus(.unavailable, "no worker available\(wanted): \(text)")
    }
}
