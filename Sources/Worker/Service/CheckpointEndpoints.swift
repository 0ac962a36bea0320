import Foundation
package import GrootAdmin
import GrootCore

/// The admin listener's view of the checkpoints: what is served, load, unload.
///
///     curl localhost:8091/checkpoints
///     curl -X POST localhost:8091/checkpoints -d '{"directory": "/srv/policies/act-20k"}'
///     curl -X DELETE localhost:8091/checkpoints/act-10k
package struct CheckpointEndpoints: Sendable {
    private struct LoadRequest: Decodable {
        var directory: String
        var name: String?
        var runtime: String?
    }

    private struct Listing: Encodable {
        struct Served: Encodable {
            var name: String
            var state: String
            var reason: String?
            var policyType: String
            var runtime: String
            var sha256: String
            var memoryBytes: Int
            var waiting: Int
            var running: Int
            var maxBatch: Int
            var batchMs: [String: Double]
            var supportsPrefix: Bool
        }

        struct Load: Encodable {
            var name: String
            var directory: String
            var state: String
            var step: String
            var seconds: Double
        }

        var phase: String
        var memoryBytes: Int
        var memoryBudget: Int?
        var checkpoints: [Served]
        var loads: [Load]
    }

    private struct Answer: Encodable {
        var name: String
        var state: String
    }

    private struct Refusal: Encodable {
        var error: String
    }

    private let keeper: CheckpointKeeper

    package init(keeper: CheckpointKeeper) { self.keeper = keeper }

    package var routes: [AdminRoute] {
        [
            AdminRoute(.get, "/checkpoints") { _ in await list() },
            AdminRoute(.post, "/checkpoints") { request in await load(request.body) },
            AdminRoute(.delete, "/checkpoints/:name") { request in await unload(request.parameters["name"] ?? "") },
        ]
    }

    private func list() async -> AdminResponse {
        let state = keeper.state
        let now = MonotonicInstant.now()
        let served = state.resident.map { batcher in
            let policy = batcher.runner.description
            let load = batcher.load
            let reason = batcher.runner.unavailableReason
            return Listing.Served(
                name: policy.checkpoint,
                state: reason == nil ? "serving" : "recovering",
                reason: reason,
                policyType: policy.policyType,
                runtime: batcher.runner.version,
                sha256: policy.sha256,
                memoryBytes: batcher.runner.memoryBytes,
                waiting: load.queue,
                running: load.running,
                maxBatch: load.batchCapacity,
                batchMs: Dictionary(
                    policy.batchTimes.map { ("\($0.batch)", $0.infer.milliseconds) },
                    uniquingKeysWith: { $1 }
                ),
                supportsPrefix: policy.supportsPrefix
            )
        }
        let loads = state.loads.sorted { $0.key < $1.key }.map { name, status in
            Listing.Load(
                name: name,
                directory: status.directory,
                state: status.failed ? "failed" : "loading",
                step: status.step,
                seconds: (now - status.since).seconds
            )
        }
        return Self.json(
            200,
            Listing(
                phase: state.phase.rawValue,
                memoryBytes: await keeper.memoryUsed,
                memoryBudget: keeper.memoryLimit,
                checkpoints: served,
                loads: loads
            )
        )
    }

    private func load(_ body: [UInt8]) async -> AdminResponse {
        guard let request = try? JSONDecoder().decode(LoadRequest.self, from: Data(body)) else {
            return Self.json(
                400,
                Refusal(error: #"The body is not of the form {"directory": "...", "name": "...", "runtime": "..."}."#)
            )
        }
        var runtime: CheckpointOptions.Runtime?
        if let text = request.runtime {
            runtime = CheckpointOptions.Runtime(rawValue: text)
            if runtime == nil {
                let known = CheckpointOptions.Runtime.allCases.map(\.rawValue)
                return Self.json(400, Refusal(error: "Runtime \"\(text)\" is not known; known: \(known)."))
            }
        }
        do throws(WorkerError) {
            let name = try await keeper.begin(directory: request.directory, name: request.name, runtime: runtime)
            return Self.json(202, Answer(name: name, state: "loading"))
        } catch {
            return Self.refusal(error)
        }
    }

    private func unload(_ name: String) async -> AdminResponse {
        do throws(WorkerError) {
            try await keeper.unload(name)
            return Self.json(200, Answer(name: name, state: "unloaded"))
        } catch {
            return Self.refusal(error)
        }
    }

    private static func refusal(_ error: WorkerError) -> AdminResponse {
        let status =
            switch error.code {
            case .unknownCheckpoint: 404
            case .notServing: 409
            case .overBudget: 507
            default: 400
            }
        return json(status, Refusal(error: error.message))
    }

    private static func json(_ status: Int, _ value: some Encodable) -> AdminResponse {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        // Plain values of our own always encode.
        let body = (try? encoder.encode(value)) ?? Data()
        return AdminResponse(status: status, json: String(decoding: body, as: UTF8.self) + "\n")
    }
}
