import Foundation
import GrootCore

/// Turns names into addresses: A and AAAA through the system's resolver, SRV by asking its name servers.
enum NameResolver {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Blocks a thread of the system's pool, not one of Swift's.
    static func resolve(_ source: WorkerSource) async throws -> [Endpoint] {
        switch source {
        case .address(let endpoint): return [endpoint]
        case .service(let name): return try await ServiceLookup.system().targets(of: name)
        case .name(let name, let port):
            let addresses = await withCheckedContinuation { continuation in
                DispatchQueue.global().async { continuation.resume(returning: Host(name: name).addresses) }
            }
            // A name with both families on one machine is still one worker per address; loopback twins are dropped.
            return Set(addresses).sorted().map { .tcp(host: $0, port: port) }
        }
    }
}
