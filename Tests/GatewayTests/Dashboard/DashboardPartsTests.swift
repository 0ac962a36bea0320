import Foundation
import GrootCore
import GrootStore
import Synchronization
import Testing

@testable import Gateway

struct DashboardPartsTests {
    @Test func aURLSaysWhichEpisodes() throws {
        let filter = try Store.EpisodeFilter(query: [
            ("robot", "r1"), ("outcome", "success"), ("task", "green"), ("checkpoint", ""), ("limit", "20"),
            ("before", "2026-11-24T15:00:00.123456+00:00"),
        ])
        var expected = Store.EpisodeFilter()
        expected.robot = "r1"
        expected.outcome = "success"
        expected.task = "green"
        expected.limit = 20
        expected.before = "2026-11-24T15:00:00.123456+00:00"
        #expect(filter == expected)
    }

    @Test(arguments: [
        ("limit", "0"), ("limit", "501"), ("limit", "many"), ("before", "yesterday"), ("before", "2026-11-24'--"),
        ("colour", "green"), ("task", String(repeating: "x", count: 401)),
    ])
    func aURLThatMakesNoSenseIsRefusedAndNamed(name: String, value: String) {
        #expect { try Store.EpisodeFilter(query: [(name, value)]) } throws: { "\($0)".contains(name) }
    }

    @Test func everyTextOfThePageExistsInBothLanguages() throws {
        let text = String(decoding: try #require(DashboardAssets.files["text.js"]).bytes, as: UTF8.self)
        let halves = text.split(separator: "\n}\n")[0].split(separator: "  zh: {")
        try #require(halves.count == 2)
        func keys(_ half: Substring) -> Set<String> {
            Set(half.matches(of: /(?:^|[\s,{])([A-Za-z_]\w*): "/).map { String($0.1) })
        }
        let english = keys(halves[0])
        #expect(english.count > 90)
        #expect(english == keys(halves[1]))
        // What the pages ask for exists.
        for name in ["fleet.js", "episodes.js", "checkpoints.js", "app.js"] {
            let page = String(decoding: try #require(DashboardAssets.files[name]).bytes, as: UTF8.self)
            for match in page.matches(of: /\bt\("(\w+)"/) { #expect(english.contains(String(match.1)), "\(name)") }
        }
    }

    @Test func thePageNeedsNothingFromElsewhere() {
        for (name, asset) in DashboardAssets.files.merging(
            ["index.html": DashboardAssets.page],
            uniquingKeysWith: { $1 }
        ) {
            let text = String(decoding: asset.bytes, as: UTF8.self).replacing("http://www.w3.org/2000/svg", with: "")
            #expect(!text.contains("http://") && !text.contains("https://") && !text.contains("//cdn"), "\(name)")
        }
    }

    @Test func manyViewersAskTheDatabaseOncePerInterval() async throws {
        let data = ScriptedData()
        let feed = LiveFeed(data: data, interval: .seconds(1)) { DashboardGateway(workers: [], notReady: "why \"so\"") }
        let start = MonotonicInstant.now()
        let texts = await withTaskGroup(of: String.self, returning: [String].self) { group in
            for _ in 0..<50 { group.addTask { await feed.snapshot(at: start) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(texts).count == 1)
        #expect(data.questions == 1)
        struct Shape: Decodable {
            var notReady: String?
            var database: String?
            var robots: [String]
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let shape = try decoder.decode(Shape.self, from: Data(texts[0].utf8))
        #expect(shape.notReady == "why \"so\"")
        #expect(shape.database == nil && shape.robots == ["r1"])
        _ = await feed.snapshot(at: start + .milliseconds(999))
        #expect(data.questions == 1)
        data.fail()
        let later = await feed.snapshot(at: start + .seconds(1))
        #expect(data.questions == 2)
        #expect(try decoder.decode(Shape.self, from: Data(later.utf8)).database == "gone")
    }
}

private final class ScriptedData: DashboardData {
    private let state = Mutex((questions: 0, fails: false))

    var questions: Int { state.withLock { $0.questions } }
    func fail() { state.withLock { $0.fails = true } }

    func dashboardRobots() async throws(StoreError) -> String {
        let fails = state.withLock { state in
            state.questions += 1
            return state.fails
        }
        if fails { throw StoreError(.unavailable, "gone") }
        return #"["r1"]"#
    }

    func dashboardWorkers() async throws(StoreError) -> String { "[]" }
    func dashboardLatency() async throws(StoreError) -> String { "[]" }
    func dashboardEpisodes(_ filter: Store.EpisodeFilter) async throws(StoreError) -> String { "{}" }
    func dashboardEpisode(_ episode: UUID) async throws(StoreError) -> String? { nil }
    func dashboardThumbnails(_ episode: UUID) async throws(StoreError) -> String { "[]" }
    func dashboardThumbnail(_ episode: UUID, _ sequence: Int64) async throws(StoreError) -> Data? { nil }
    func dashboardComparison() async throws(StoreError) -> String { "[]" }
}
