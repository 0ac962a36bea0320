package import GRPCCore
package import GrootAPI
package import GrootCore

/// Turns an answer into a chunk in the robot's own order, or refuses it before it can reach the plan.
package enum InferenceAnswer {
    /// - Parameters:
    ///   - policy: what was asked; an answer of another checkpoint, or of another content under its name, is refused.
    ///   - fallback: values of actions that the policy may leave out.
    package static func chunk(
        _ response: Groot_V1_InferResponse,
        of policy: PolicyDescription,
        requestID: String,
        order: [String],
        fallback: [String: Float] = [:]
    ) throws -> ActionChunk {
        guard response.requestID == requestID else {
            throw RPCError(
                code: .dataLoss,
                message: "the answer belongs to request \(ReadableText.clipped(response.requestID, to: 80))"
            )
        }
        guard response.checkpoint == policy.checkpoint, response.checkpointSha256 == policy.sha256 else {
            throw RPCError(
                code: .dataLoss,
                message:
                    "the answer is of checkpoint \(named(response.checkpoint, response.checkpointSha256)), asked was"
                    + " \(named(policy.checkpoint, policy.sha256)); the next episode takes what is served then"
            )
        }
        let rows = Int(response.rows)
        // No more than a description may announce, so that the product below fits.
        guard rows > 0, rows <= policy.chunkSize, response.values.count == rows * response.actionNames.count,
            response.actionPeriodNs > 0, response.actionPeriodNs < UInt64(Int64.max)
        else {
            throw RPCError(
                code: .dataLoss,
                message: "\(rows) rows of \(response.actionNames.count) actions in \(response.values.count) values"
            )
        }
        guard response.values.allSatisfy(\.isFinite) else {
            throw RPCError(code: .dataLoss, message: "an action is not finite")
        }
        let columns: [Int?] = try order.map { name in
            if let column = response.actionNames.firstIndex(of: name) { return column }
            // What the policy does not command stays where it is.
            guard fallback[name] != nil else {
                throw RPCError(
                    code: .dataLoss,
                    message: "no action \(name) in \(ReadableText.list(response.actionNames))"
                )
            }
            return nil
        }
        let width = response.actionNames.count
        let values = (0..<rows).flatMap { row in
            zip(order, columns).map { name, column in
                column.map { response.values[row * width + $0] } ?? fallback[name] ?? 0
            }
        }
        guard
            let chunk = ActionChunk(
                names: order,
                rows: rows,
                values: values,
                period: .nanoseconds(Int64(response.actionPeriodNs))
            )
        else { throw RPCError(code: .dataLoss, message: "the chunk's size is inconsistent") }
        return chunk
    }

    /// `act (sha256 0123456789ab)`: enough to look it up.
    private static func named(_ checkpoint: String, _ sha256: String) -> String {
        let digest = sha256.isEmpty ? "unknown" : String(sha256.prefix(12))
        return ReadableText.clipped("\(checkpoint) (sha256 \(digest))", to: 200)
    }
}

/// gRPC's canonical spelling of status codes, as records and metrics carry them.
package enum StatusName {
    package static func of(_ code: RPCError.Code) -> String {
        var name = ""
        for character in code.description {
            if character.isUppercase { name.append("_") }
            name.append(character.uppercased())
        }
        return name
    }
}

/// Seeds of the flow head's noise: different for every request, repeatable for an episode seed.
package enum NoiseSeed {
    package static func of(episode: UInt64, observation: UInt64) -> UInt64 {
        var value = episode &+ observation &* 0x9E37_79B9_7F4A_7C15
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        value ^= value >> 31
        // Zero asks for no noise at all.
        return value == 0 ? 1 : value
    }
}
