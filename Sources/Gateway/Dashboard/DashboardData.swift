import Foundation
import GrootStore

/// Where the dashboard's figures come from; the store in the gateway, a script in tests.
protocol DashboardData: Sendable {
    func dashboardRobots() async throws(StoreError) -> String
    func dashboardWorkers() async throws(StoreError) -> String
    func dashboardLatency() async throws(StoreError) -> String
    func dashboardEpisodes(_ filter: Store.EpisodeFilter) async throws(StoreError) -> String
    func dashboardEpisode(_ episode: UUID) async throws(StoreError) -> String?
    func dashboardThumbnails(_ episode: UUID) async throws(StoreError) -> String
    func dashboardThumbnail(_ episode: UUID, _ sequence: Int64) async throws(StoreError) -> Data?
    func dashboardComparison() async throws(StoreError) -> String
}

extension Store: DashboardData {}

/// What this gateway knows without the database, at one moment.
struct DashboardGateway: Sendable {
    struct Worker: Sendable, Encodable {
        var name: String
        var address: String
        var isUp: Bool
        var isDraining = false
        /// Why it is not up, or empty.
        var reason: String
        var checkpoints: [String]?
        /// Requests that the worker has not finished.
        var inFlight: Int
        /// Requests that wait at the worker by its own account; nil when it does not say.
        var waiting: Int?
    }

    var workers: [Worker]
    /// Nil when ready.
    var notReady: String?
    /// Robots by their last request at this gateway.
    var live: [GatewayState.Robot] = []
}
