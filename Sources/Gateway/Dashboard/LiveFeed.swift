import Foundation
import GrootCore
import GrootStore

/// The fleet at a glance as one JSON text, made at most once per interval however many browsers look.
///
/// An actor; its only state is the last text and the question that is under way.
actor LiveFeed {
    private let data: any DashboardData
    private let gateway: @Sendable () -> DashboardGateway
    private let interval: Duration
    private var last: (text: String, at: MonotonicInstant)?
    private var pending: Task<String, Never>?

    init(data: any DashboardData, interval: Duration, gateway: @escaping @Sendable () -> DashboardGateway) {
        self.data = data
        self.interval = interval
        self.gateway = gateway
    }

    /// - Parameter now: decides whether the last text is still good enough.
    func snapshot(at now: MonotonicInstant) async -> String {
        if let last, now - last.at < interval { return last.text }
        if let pending { return await pending.value }
        let question = Task { await make() }
        pending = question
        let text = await question.value
        pending = nil
        last = (text, now)
        return text
    }

    private func make() async -> String {
        var robots = "[]"
        var traffic = "[]"
        var latency = "[]"
        var problem: String?
        do throws(StoreError) {
            robots = try await data.dashboardRobots()
            traffic = try await data.dashboardWorkers()
            latency = try await data.dashboardLatency()
        } catch {
            problem = error.message
        }
        let state = gateway()
        return """
            {"time":\(json(Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))),\
            "not_ready":\(json(state.notReady)),"database":\(json(problem)),"workers":\(json(state.workers)),\
            "live":\(json(state.live)),\
            "robots":\(robots),"traffic":\(traffic),"latency":\(latency)}
            """
    }

    private func json(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts, numbers and their lists always encode.
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
    }
}
