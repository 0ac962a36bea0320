import Foundation
import GrootStore
import Testing

@Suite(.needsPostgres)
struct RunConfigTests {
    private func location() async throws -> StoreConfiguration.Location {
        .server(url: try await TestCluster.shared.database(), migrate: true)
    }

    private func save(_ store: Store, _ name: String, _ config: String) async throws -> RunConfigName {
        try await store.saveRunConfig(name: name, configJSON: config, checkpoint: "mini", notes: "", by: "test")
    }

    private func answer(_ store: Store, _ robot: String, _ task: String, _ episode: UUID? = nil) async throws -> String
    {
        let question = RunConfigQuestion(robot: robot, task: task, episode: episode)
        return try await store.assignedRunConfig(question).map { "\($0.id)" } ?? "none"
    }

    @Test func versionsCountAndEqualOnesAreNotSavedAgain() async throws {
        try await withStore(location()) { store in
            try await expect(save(store, "fast", #"{"blend_ms": 100}"#), is: RunConfigName(name: "fast", version: 1))
            try await expect(save(store, "fast", #"{"blend_ms":100}"#), is: RunConfigName(name: "fast", version: 1))
            try await expect(save(store, "fast", #"{"blend_ms": 200}"#), is: RunConfigName(name: "fast", version: 2))
            let malformed = await #expect(throws: StoreError.self) { _ = try await save(store, "a b", "{}") }
            #expect(malformed?.code == .invalidValue)
        }
    }

    @Test func aUsedVersionNeverChanges() async throws {
        try await withStore(location()) { store in
            _ = try await save(store, "fast", "{}")
            let change: @Sendable (String) async throws -> Void = { sql in
                try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.executeScript(sql)
                }
            }
            try await change("UPDATE run_config_versions SET config = '{\"a\": 1}'")
            _ = try await store.assignRunConfig(name: "fast", version: 1, to: .init(), share: nil, by: "test")
            for sql in ["UPDATE run_config_versions SET config = '{}'", "DELETE FROM run_config_versions"] {
                let error = await #expect(throws: StoreError.self) { try await change(sql) }
                #expect(error?.code == .invalidValue, "\(sql)")
            }
            try await change("UPDATE run_config_versions SET notes = 'still allowed'")
        }
    }

    @Test func theMostLiteralScopeWins() async throws {
        try await withStore(location()) { store in
            for name in ["any", "reds", "r1s", "r1-reds"] {
                _ = try await save(store, name, "{}")
            }
            try await expect(answer(store, "r1", "Depalletize the red box"), is: "none")
            let scopes = [
                "any": RunConfigScope(), "reds": RunConfigScope(tasks: "*red*"), "r1s": RunConfigScope(robots: "r1*"),
                "r1-reds": RunConfigScope(robots: "r1", tasks: "* red box"),
            ]
            for (name, scope) in scopes {
                _ = try await store.assignRunConfig(name: name, version: nil, to: scope, share: nil, by: "test")
            }
            try await expect(answer(store, "r2", "Depalletize the blue box"), is: "any@1")
            try await expect(answer(store, "r2", "Depalletize the RED box"), is: "reds@1")
            try await expect(answer(store, "r12", "Depalletize the red box"), is: "r1s@1")
            try await expect(answer(store, "r1", "Depalletize the red box"), is: "r1-reds@1")
            try await expect(answer(store, "r1", "100 %_\\ literal"), is: "r1s@1")
        }
    }

    @Test func aCanaryGetsItsShareAndTheSameEpisodeTheSameAnswer() async throws {
        try await withStore(location()) { store in
            _ = try await save(store, "stable", "{}")
            _ = try await save(store, "canary", "{}")
            let early = await #expect(throws: StoreError.self) {
                _ = try await store.assignRunConfig(name: "canary", version: nil, to: .init(), share: 0.1, by: "test")
            }
            #expect(early?.code == .notFound)
            _ = try await store.assignRunConfig(name: "stable", version: nil, to: .init(), share: nil, by: "test")
            let episodes = (0..<1000).map { _ in UUID() }
            func canaries(_ share: Double) async throws -> Set<UUID> {
                _ = try await store.assignRunConfig(name: "canary", version: 1, to: .init(), share: share, by: "test")
                var found: Set<UUID> = []
                for episode in episodes {
                    let first = try await answer(store, "r1", "t", episode)
                    if first == "canary@1" { found.insert(episode) }
                }
                for episode in episodes.prefix(20) {
                    try await expect(answer(store, "r1", "t", episode) == "canary@1", is: found.contains(episode))
                }
                return found
            }
            let tenth = try await canaries(0.1)
            // Six standard deviations of a fair draw.
            #expect((43...157).contains(tenth.count), "\(tenth.count) of 1000")
            let half = try await canaries(0.5)
            #expect((405...595).contains(half.count), "\(half.count) of 1000")
            #expect(half.isSuperset(of: tenth), "a growing share keeps what it had")
            try await expect(answer(store, "r1", "t"), is: "stable@1")
        }
    }

    @Test func anEpisodeThatStartedKeepsItsConfig() async throws {
        try await withStore(location()) { store in
            let first = try await save(store, "a", "{}")
            _ = try await save(store, "b", "{}")
            _ = try await store.assignRunConfig(name: "a", version: nil, to: .init(), share: nil, by: "test")
            let (running, idle, bare) = (UUID(), UUID(), UUID())
            var start = Sample.start(running)
            start.runConfig = first
            try await store.startEpisode(start)
            try await store.startEpisode(Sample.start(bare))
            _ = try await store.assignRunConfig(name: "b", version: nil, to: .init(), share: nil, by: "test")
            try await expect(answer(store, "r1", "t", running), is: "a@1")
            try await expect(answer(store, "r1", "t", bare), is: "none")
            try await expect(answer(store, "r1", "t", idle), is: "b@1")
        }
    }

    @Test func promoteAndRollBackWalkTheHistory() async throws {
        try await withStore(location()) { store in
            for name in ["a", "b", "c"] { _ = try await save(store, name, "{}") }
            let scope = RunConfigScope(robots: "r*")
            func assign(_ name: String, _ share: Double? = nil) async throws {
                _ = try await store.assignRunConfig(name: name, version: nil, to: scope, share: share, by: "test")
            }
            for operation in [store.promoteRunConfig, store.rollBackRunConfig] {
                let error = await #expect(throws: StoreError.self) { _ = try await operation(scope, "test") }
                #expect(error?.code == .notFound)
            }
            try await assign("a")
            try await assign("b", 0.2)
            try await expect(store.canariesInForce().map(\.canary?.name), is: ["b"])
            // A trial that fails.
            try await expect(store.rollBackRunConfig(scope, by: "test").stable.name, is: "a")
            try await expect(store.canariesInForce().count, is: 0)
            // One that succeeds, then the next, then back twice.
            try await assign("b", 0.2)
            try await expect(store.promoteRunConfig(scope, by: "test").stable.name, is: "b")
            try await assign("c")
            try await expect(store.rollBackRunConfig(scope, by: "test").stable.name, is: "b")
            try await expect(store.rollBackRunConfig(scope, by: "test").stable.name, is: "a")
            let nothing = await #expect(throws: StoreError.self) {
                _ = try await store.rollBackRunConfig(scope, by: "test")
            }
            #expect(nothing?.code == .notFound)
            try await expect(answer(store, "r1", "t"), is: "a@1")
            try await store.unassignRunConfig(scope)
            try await expect(answer(store, "r1", "t"), is: "none")
        }
    }

    @Test func twoPeopleAtOnceTakeTurns() async throws {
        try await withStore(location()) { store in
            _ = try await save(store, "a", "{}")
            _ = try await store.assignRunConfig(name: "a", version: nil, to: .init(), share: nil, by: "test")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        _ = try await store.assignRunConfig(
                            name: "a",
                            version: nil,
                            to: .init(),
                            share: nil,
                            by: "\(number)"
                        )
                    }
                }
                try await group.waitForAll()
            }
            let inForce = try await store.withConnection("test") { (connection) throws(StoreError) in
                try connection.execute("SELECT count(*) FROM run_config_assignments WHERE ended_at IS NULL").rows
                    .map(\.values)
            }
            #expect(inForce == [["1"]])
        }
    }
}
