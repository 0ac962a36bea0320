import Foundation
import GrootStore
import Testing

/// docs/sql.md stays true: every query in it is run on a database with two episodes.
@Suite(.needsPostgres)
struct SQLGuideTests {
    private func queries(_ name: String = "sql.md") throws -> [String] {
        let guide = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("docs/\(name)")
        let text = try String(contentsOf: guide, encoding: .utf8)
        return text.components(separatedBy: "```sql\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    }

    @Test func everyQueryOfTheGuideFindsSomething() async throws {
        let queries = try queries()
        #expect(queries.count >= 5)
        let location = StoreConfiguration.Location.server(url: try await TestCluster.shared.database(), migrate: true)
        try await withStore(location) { store in
            let now = Int64(Date().timeIntervalSince1970 * 1e9)
            for robot in ["r1", "r2"] {
                let episode = UUID()
                var start = Sample.start(episode, robot: robot)
                start.startedAtUnixNanoseconds = now
                try await store.startEpisode(start)
                let recent = Sample.inferences(episode, robot: robot).map { row in
                    var row = row
                    row.capturedAtUnixNanoseconds = now
                    return row
                }
                try await store.insertInferences(recent)
                try await store.finishEpisode(Sample.finish(episode, robot: robot))
                var more = TelemetryBatch(robot: robot, boot: "b1")
                more.controlSamples.beginRow(sequence: 1000)
                _ = more.controlSamples.append(uuid: episode.uuidString)
                more.controlSamples.append(unixNanoseconds: now)
                for _ in 0..<9 { more.controlSamples.append(bigint: 1) }
                more.controlSamples.append(bool: false)
                more.events.beginRow(sequence: 1001)
                _ = more.events.append(uuid: episode.uuidString)
                more.events.append(unixNanoseconds: now)
                for text in ["safety", "velocity_limited", ""] { more.events.append(text: text) }
                more.events.append(bool: false)
                try await store.insertTelemetry(more)
            }
            for query in queries {
                let found = try await store.withConnection("guide") { (connection) throws(StoreError) in
                    try connection.execute(query).rows.count
                }
                #expect(found > 0, "\(query)")
            }
        }
    }

    @Test func bothLanguagesHaveTheSameQueries() throws {
        #expect(try queries("sql.zh-CN.md") == queries())
    }

    @Test func everyColumnOfTheViewIsInTheGuide() async throws {
        let guide = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("docs/sql.md"),
            encoding: .utf8
        )
        let connection = try PostgresConnection(
            conninfo: await TestCluster.shared.migratedDatabase(),
            timeout: .seconds(20)
        )
        for column in try connection.execute("SELECT * FROM episode_metrics LIMIT 0").columns {
            #expect(guide.contains("`\(column)`"), "\(column) is missing in docs/sql.md")
        }
    }
}
