import GRPCCore
import GrootCore

/// Finds the policy of a run among what the workers serve.
///
/// A name that nobody serves ends the search at once: waiting would not change it. A path says, as in the guide, which
/// directory the server shall load; here the workers have loaded theirs, so that the only one that they serve takes its
/// place, and the caller says so.
struct CheckpointChoice: Sendable {
    /// Selector; nil takes what the workers serve.
    let wanted: String?
    /// What the user wrote, when that was a path.
    let path: String?

    /// - Returns: the policy, and a sentence when it is not the one that was named.
    /// - Throws: `AgentError` `mismatch` with the list of what is served; `unavailable` while that may still change.
    func find(at gateway: GatewayClient) async throws -> (policy: PolicyDescription, substitution: String?) {
        do {
            let served = try await gateway.describe(wanted, timeout: .seconds(2))
            if served.isEmpty { throw AgentError(.unavailable, "its workers serve nothing yet") }
            return (try PolicyMatch.select(wanted, among: served), nil)
        } catch let error as RPCError where error.code == .notFound {
            // The gateway's sentence lists what all workers serve.
            guard let wanted, path != nil else { throw AgentError(.mismatch, error.message) }
            let served = try await gateway.describe(timeout: .seconds(2))
            guard let only = only(of: served, insteadOf: wanted) else { throw AgentError(.mismatch, error.message) }
            return only
        } catch let error as RPCError where error.code == .deadlineExceeded && wanted != nil {
            // No worker that is reached serves it, and one that is not may: the gateway lets the request wait.
            guard let wanted else { throw error }
            let served = try await gateway.describe(timeout: .seconds(2))
            if let only = only(of: served, insteadOf: wanted) { return only }
            let names = served.map(\.checkpoint).joined(separator: ", ")
            throw AgentError(
                .unavailable,
                "no worker that is up serves \"\(wanted)\"; served are: \(names). One that is not up may: see its log"
            )
        }
    }

    private func only(
        of served: [PolicyDescription],
        insteadOf wanted: String
    ) -> (policy: PolicyDescription, substitution: String?)? {
        // What cannot be decided is no substitute.
        guard let path, let only = try? PolicyMatch.select(nil, among: served) else { return nil }
        return (
            only,
            "--ckpt-path \(path): no worker serves \"\(wanted)\"; \(only.checkpoint), which they have loaded, is used"
        )
    }
}
