package import Foundation

/// Read-only questions of the dashboard; every answer is JSON text.
extension Store {
    /// Which episodes a list holds; nil filters nothing.
    package struct EpisodeFilter: Sendable, Equatable {
        package var robot: String?
        package var outcome: String?
        package var task: String?
        package var checkpoint: String?
        /// Only episodes that started before this time in ISO 8601, checked by the caller; for the next page.
        package var before: String?
        package var limit = 100

        package init() {}
    }

    package func dashboardRobots() async throws(StoreError) -> String {
        try await json("dashboard_robots", Queries.dashboardRobots)
    }

    package func dashboardWorkers() async throws(StoreError) -> String {
        try await json("dashboard_workers", Queries.dashboardWorkers)
    }

    package func dashboardLatency() async throws(StoreError) -> String {
        try await json("dashboard_latency", Queries.dashboardLatency)
    }

    package func dashboardEpisodes(_ filter: EpisodeFilter) async throws(StoreError) -> String {
        try await json(
            "dashboard_episodes",
            Queries.dashboardEpisodes,
            [
                .text(filter.robot ?? ""), .text(filter.outcome ?? ""), .text(filter.task ?? ""),
                .text(filter.checkpoint ?? ""), .text(filter.before ?? ""),
                .integer(Int64(filter.limit)),
            ]
        )
    }

    /// Nil when there is no such episode.
    package func dashboardEpisode(_ episode: UUID) async throws(StoreError) -> String? {
        try await withConnection("dashboard_episode") { (connection) throws(StoreError) in
            try connection.fetch(Queries.dashboardEpisode, [.text(episode.uuidString)]).first
        }
    }

    package func dashboardComparison() async throws(StoreError) -> String {
        try await json("dashboard_comparison", Queries.dashboardComparison)
    }

    /// Pictures of an episode: camera, time, milliseconds since the start, URL.
    package func dashboardThumbnails(_ episode: UUID) async throws(StoreError) -> String {
        try await json("dashboard_thumbnails", Queries.dashboardThumbnails, [.text(episode.uuidString)])
    }

    /// One of them as a JPEG file, nil when it is not there.
    package func dashboardThumbnail(_ episode: UUID, _ sequence: Int64) async throws(StoreError) -> Data? {
        try await withConnection("dashboard_thumbnail") { (connection) throws(StoreError) in
            let key: [PostgresValue] = [.text(episode.uuidString), .integer(sequence)]
            return try connection.fetch(Queries.dashboardThumbnail, key).first.flatMap {
                Data(base64Encoded: $0, options: .ignoreUnknownCharacters)
            }
        }
    }

    private func json(
        _ operation: StaticString,
        _ query: Query<String>,
        _ parameters: [PostgresValue] = []
    ) async throws(StoreError) -> String {
        try await withConnection(operation) { (connection) throws(StoreError) in
            // Every query aggregates into exactly one row.
            try connection.fetch(query, parameters).first ?? "[]"
        }
    }
}
