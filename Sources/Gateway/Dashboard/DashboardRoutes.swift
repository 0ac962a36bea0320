import Foundation
import GrootCore
import GrootStore
import HTTPTypes
import Hummingbird
import ServiceLifecycle
import Synchronization

/// The dashboard on the gateway's admin listener. Everything is a GET: there is nothing here that changes the fleet, so
/// looking needs no rights, and rights to act are granted elsewhere (`GatewayOrders`).
struct DashboardRoutes: Sendable {
    /// Browsers that may watch at a time; each costs a connection and a text every interval.
    static let viewerLimit = 64
    static let interval = Duration.seconds(1)

    private let data: any DashboardData
    private let feed: LiveFeed
    private let viewers: Viewers

    init(data: any DashboardData, metrics: MetricsRegistry, gateway: @escaping @Sendable () -> DashboardGateway) {
        self.data = data
        feed = LiveFeed(data: data, interval: Self.interval, gateway: gateway)
        viewers = Viewers(
            limit: Self.viewerLimit,
            gauge: metrics.gauge("groot_gateway_dashboard_viewers", help: "Browsers that watch the dashboard.")
        )
    }

    func add(to router: Router<BasicRequestContext>) {
        router.get("/") { _, _ in Response(status: .seeOther, headers: [.location: "/dashboard"]) }
        router.get("/dashboard") { _, _ in Self.response(DashboardAssets.page) }
        router.get("/dashboard/live") { [self] _, _ in live() }
        router.get("/dashboard/episodes") { [self] request, _ in
            await Self.answer {
                let parameters = request.uri.queryParameters.map { (name: String($0.key), value: String($0.value)) }
                return try await data.dashboardEpisodes(try Store.EpisodeFilter(query: parameters))
            }
        }
        router.get("/dashboard/episodes/:id") { [self] _, context in
            await Self.answer {
                guard let id = Self.episode(context) else { return nil }
                return try await data.dashboardEpisode(id)
            }
        }
        router.get("/api/episodes/:id/thumbnails") { [self] _, context in
            await Self.answer {
                guard let id = Self.episode(context) else { return nil }
                return try await data.dashboardThumbnails(id)
            }
        }
        router.get("/api/episodes/:id/thumbnails/:sequence") { [self] _, context in
            await thumbnail(Self.episode(context), context.parameters.get("sequence").flatMap { Int64($0) })
        }
        router.get("/dashboard/comparison") { [self] _, _ in
            await Self.answer { try await data.dashboardComparison() }
        }
        router.get("/dashboard/:file") { _, context in
            guard let file = context.parameters.get("file"), let asset = DashboardAssets.files[file] else {
                return Self.text(.notFound, "no such file")
            }
            return Self.response(asset)
        }
    }

    /// Server-sent events: the fleet once per interval, until the browser or the process goes.
    private func live() -> Response {
        guard viewers.enter() else { return Self.text(.serviceUnavailable, "too many watch already") }
        let feed = feed
        let viewers = viewers
        let body = ResponseBody { writer in
            defer { viewers.leave() }
            for await text in Self.texts(feed).cancelOnGracefulShutdown() {
                try await writer.write(ByteBuffer(string: "event: fleet\ndata: \(text)\n\n"))
            }
            try await writer.finish(nil)
        }
        var headers = Self.headers
        headers[.contentType] = "text/event-stream"
        headers[.cacheControl] = "no-store"
        return Response(status: .ok, headers: headers, body: body)
    }

    /// A text at once and then one per interval.
    private static func texts(_ feed: LiveFeed) -> AsyncStream<String> {
        let isFirst = Mutex(true)
        return AsyncStream {
            let waits = isFirst.withLock { first in
                defer { first = false }
                return !first
            }
            // Cancelled: nobody listens any more.
            if waits, (try? await Task.sleep(for: interval)) == nil { return nil }
            return await feed.snapshot(at: .now())
        }
    }

    private static func episode(_ context: BasicRequestContext) -> UUID? {
        context.parameters.get("id").flatMap { UUID(uuidString: $0) }
    }

    /// One picture; it never changes.
    private func thumbnail(_ episode: UUID?, _ sequence: Int64?) async -> Response {
        guard let episode, let sequence else { return Self.text(.notFound, "no such thumbnail") }
        do throws(StoreError) {
            guard let jpeg = try await data.dashboardThumbnail(episode, sequence) else {
                return Self.text(.notFound, "no such thumbnail")
            }
            var headers = Self.headers
            headers[.contentType] = "image/jpeg"
            headers[.cacheControl] = "private, max-age=86400, immutable"
            return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: jpeg)))
        } catch {
            return Self.text(.serviceUnavailable, "the database cannot be asked: \(error.message)")
        }
    }

    /// Runs a question; what goes wrong becomes a status and a sentence.
    private static func answer(_ question: () async throws -> String?) async -> Response {
        do {
            guard let json = try await question() else { return text(.notFound, "no such episode") }
            var headers = headers
            headers[.contentType] = "application/json"
            headers[.cacheControl] = "no-store"
            return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(string: json)))
        } catch let error as BadQuery {
            return text(.badRequest, error.description)
        } catch let error as StoreError {
            return text(.serviceUnavailable, "the database cannot be asked: \(error.message)")
        } catch {
            return text(.internalServerError, "\(error)")
        }
    }

    private static func response(_ asset: DashboardAssets.Asset) -> Response {
        var headers = headers
        headers[.contentType] = asset.type
        // The next version of the gateway may bring another one.
        headers[.cacheControl] = "no-cache"
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: asset.bytes)))
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        var headers = headers
        headers[.contentType] = "text/plain; charset=utf-8"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: text + "\n")))
    }

    /// Nothing from elsewhere runs in the page, and nobody frames it.
    private static let headers: HTTPFields = {
        var headers = HTTPFields()
        headers[.contentSecurityPolicy] = """
            default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
            base-uri 'none'; form-action 'self'; frame-ancestors 'none'
            """
        headers[.xContentTypeOptions] = "nosniff"
        if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
        return headers
    }()
}

/// Counts who watches. Any thread.
private final class Viewers: Sendable {
    private let count = Mutex(0)
    private let limit: Int
    private let gauge: Gauge

    init(limit: Int, gauge: Gauge) {
        self.limit = limit
        self.gauge = gauge
    }

    func enter() -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            gauge.set(Double(count))
            return true
        }
    }

    func leave() {
        count.withLock { count in
            count -= 1
            gauge.set(Double(count))
        }
    }
}
