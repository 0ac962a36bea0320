import GrootCore
import HTTPTypes
import Hummingbird

/// `/readyz/store`: whether the database keeps what robots report, apart from whether robots are served.
///
/// `/readyz` says it too, in a line that changes nothing about its answer: an outage of the database takes no gateway out of
/// a service.
struct StoreReadiness: Sendable {
    /// Nil when it does, else why not.
    let reason: @Sendable () -> String?

    var remark: String { "store: " + (reason() ?? "ready") }

    func add(to router: Router<BasicRequestContext>) {
        router.get("/readyz/store") { [reason] _, _ -> Response in
            let reason = reason()
            return Response(
                status: reason == nil ? .ok : .serviceUnavailable,
                headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
                body: .init(byteBuffer: ByteBuffer(string: (reason ?? "ready") + "\n"))
            )
        }
    }
}
