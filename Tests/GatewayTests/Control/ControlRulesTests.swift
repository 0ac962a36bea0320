import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootStore
import SwiftProtobuf
import Testing

@testable import Gateway

/// Every identity, every call: who may write what.
struct ControlRulesTests {
    static let identities: [String?] = [
        nil, "robot/r1", "robot/r2", "worker/w1", "worker/r1", "operator/ann", "gateway/g2",
    ]

    /// Whether an identity may make a call about robot r1, or about worker w1.
    static func mayCall(_ identity: String?, _ call: ControlCall) -> Bool {
        switch (identity, call.subject) {
        case (nil, _), (_, .nobody): true
        case ("robot/r1", .robot), ("operator/ann", .robot), ("gateway/g2", .robot): true
        case ("worker/w1", .worker), ("operator/ann", .worker): true
        default: false
        }
    }

    @Test(arguments: identities, ControlCall.allCases)
    func anIdentityWritesOnlyWhatItsCertificateNames(_ identity: String?, _ call: ControlCall) {
        let name = call.subject == .worker ? "w1" : "r1"
        let refusal = ControlRules.refusal(call, of: identity.map { [$0] } ?? [], speaking: [], about: name)
        #expect((refusal == nil) == Self.mayCall(identity, call), "\(refusal ?? "allowed")")
        if let refusal, let identity { #expect(refusal.contains(identity) && refusal.contains(name)) }
    }

    @Test func metadataAndBodyMustAgreeWhoeverCalls() {
        for identity in Self.identities {
            let refusal = ControlRules.refusal(
                .startEpisode,
                of: identity.map { [$0] } ?? [],
                speaking: ["r1"],
                about: "r2"
            )
            #expect(refusal?.contains("speaks for \"r2\"") == true)
        }
    }

    @Test(arguments: [["robot/r1", "robot/r1"], ["robot"], ["robot/"], ["admin/r1"], ["robot/r1/x"], [""]])
    func whatIsNoIdentityIsNobody(_ peers: [String]) {
        #expect(ControlRules.refusal(.startEpisode, of: peers, speaking: [], about: "r1") != nil)
    }
}

/// The same over the wire and into the database: what is refused leaves nothing behind.
@Suite(.enabled(if: ControlDatabase.mayRun, "PostgreSQL is not installed"), .timeLimit(.minutes(2)))
struct ControlIdentityTests {
    @Test func onlyTheOwnersAndThoseWhoMaySpeakForThemWrite() async throws {
        try await ControlDatabase.use("identity") { database in
            try await database.serving { store, client in
                for identity in ControlRulesTests.identities {
                    for call in ControlCall.allCases where call != .watch {
                        let code = await outcome(of: call, as: identity, client)
                        let expected: RPCError.Code? =
                            ControlRulesTests.mayCall(identity, call) ? nil : .permissionDenied
                        #expect(code == expected, "\(identity ?? "nobody") \(call)")
                    }
                }
                let found = try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.execute(
                        """
                        SELECT (SELECT count(*) FROM episodes), (SELECT count(DISTINCT robot) FROM episodes),
                            (SELECT count(*) FROM inferences), (SELECT count(*) FROM quarantine)
                        """
                    ).rows[0].values
                }
                // Four of the seven may write for r1: two calls with an episode of their own each, and one report.
                #expect(found == ["8", "1", "4", "0"])
            }
        }
    }

    private func outcome(
        of call: ControlCall,
        as identity: String?,
        _ client: ControlDatabase.Client
    ) async -> RPCError.Code? {
        var metadata: Metadata = [:]
        if let identity { metadata.addString(identity, forKey: MetadataKey.peer) }
        let fleet = Groot_V1_Fleet.Client(wrapping: client)
        do {
            switch call {
            case .registerRobot: _ = try await fleet.registerRobot(FleetSample.register("r1"), metadata: metadata)
            case .startEpisode: _ = try await fleet.startEpisode(FleetSample.start("r1", UUID()), metadata: metadata)
            case .finishEpisode: _ = try await fleet.finishEpisode(FleetSample.finish("r1", UUID()), metadata: metadata)
            case .reportTelemetry:
                var request = FleetSample.telemetry("r1", 1..<2)
                request.boot = identity ?? "nobody"
                _ = try await fleet.reportTelemetry(request, metadata: metadata)
            case .assignRunConfig: _ = try await fleet.assignRunConfig(.with { $0.robot = "r1" }, metadata: metadata)
            case .registerWorker:
                let request = Groot_V1_RegisterWorkerRequest.with {
                    $0.worker = "w1"
                    $0.address = "127.0.0.1:9"
                }
                _ = try await fleet.registerWorker(request, metadata: metadata)
            case .check, .watch:
                _ = try await Grpc_Health_V1_Health.Client(wrapping: client).check(.init(), metadata: metadata)
            }
            return nil
        } catch {
            return (error as? RPCError)?.code ?? .unknown
        }
    }

    @Test func whatIsForPeopleIsRepairedAndWhatCannotBeStoredIsKept() async throws {
        let metrics = MetricsRegistry()
        try await ControlDatabase.use("bends") { database in
            try await database.serving(metrics: metrics) { store, client, _ in
                let fleet = Groot_V1_Fleet.Client(wrapping: client)
                let episode = UUID()
                var start = FleetSample.start("r1", episode)
                start.startedAtUnixNs = 90_000_000_000_000
                start.runConfigJson = #"{"task":"x\u0000y"}"#
                _ = try await fleet.startEpisode(start)
                var finish = FleetSample.finish("r1", episode)
                finish.notes = "box slipped\u{1B}[D\u{1B}[D from claw " + String(repeating: "é", count: 3000)
                _ = try await fleet.finishEpisode(finish)
                var report = FleetSample.telemetry("r1", 1..<4, episode: episode)
                report.inferences[0].message = "\u{1B}[31m" + String(repeating: "e", count: 2049)
                report.inferences[1].sequence = 9_000_000_000_000_000_000
                report.inferences[2].checkpointSha256 = "abc"
                for _ in 0..<2 {
                    let answer = try await fleet.reportTelemetry(report)
                    #expect(answer.committedSequence == 9_000_000_000_000_000_000)
                }
                // What a newer agent says and this gateway does not know.
                finish.outcome = .UNRECOGNIZED(42)
                finish.episodeID = UUID().uuidString
                _ = try await fleet.finishEpisode(finish)
                start.runConfigJson = "no JSON"
                start.episodeID = UUID().uuidString
                _ = try await fleet.startEpisode(start)
                let found = try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.execute(
                        """
                        SELECT e.outcome, e.clock_corrected, e.started_at > now() - interval '1 minute', octet_length(e.notes),
                            e.notes LIKE 'box slipped from claw é%…', c.config::text, m.answered_sha256
                        FROM episodes AS e JOIN run_configs AS c ON c.sha256 = e.run_config_sha256
                        JOIN episode_metrics AS m USING (episode_id)
                        WHERE e.outcome IS NOT NULL
                        """
                    ).rows.map(\.values)
                        + connection.execute(
                            "SELECT kind, sequence, reason FROM quarantine ORDER BY quarantine_id"
                        ).rows.map(\.values)
                        + connection.execute("SELECT octet_length(message) FROM inferences ORDER BY sequence").rows
                        .map(\.values)
                }
                #expect(
                    found == [
                        ["success", "t", "t", "2047", "t", #"{"task": "xy"}"#, "abc"],
                        [
                            "InferenceRecord", "9000000000000000000",
                            "inferences[1].sequence: 9000000000000000000 is absurd",
                        ],
                        ["FinishEpisodeRequest", nil, "outcome: must say how the episode ended"],
                        [
                            "StartEpisodeRequest", nil,
                            "run_config_json: is no JSON object; the episode is stored without it",
                        ],
                        ["2048"], ["0"],
                    ]
                )
            }
        }
        let lines = metrics.render()
        for (field, count) in [("notes", 1), ("clock", 2), ("message", 2), ("run_config", 2)] {
            #expect(
                lines.contains("groot_gateway_control_repaired_fields_total{field=\"\(field)\"} \(count)"),
                "\(field)"
            )
        }
        #expect(lines.contains("groot_gateway_store_quarantined_total 3"))
    }

    /// Workers described while the database was away are all there when it comes, with every checkpoint they had.
    @Test func workersReachADatabaseThatStartsLate() async throws {
        try await ControlDatabase.use("late") { database in
            await database.stop()
            try await database.serving(waiting: false) { store, _, control in
                for (worker, digest) in [("w1", "old"), ("w2", "old"), ("w1", "new"), ("w3", "\u{0}bad\u{1B}[1m")] {
                    var policy = Groot_V1_Policy()
                    policy.sha256 = digest
                    policy.checkpoint = digest
                    policy.inputs = [.with { $0.key = "a\u{0}" }]
                    let report = WorkerReport(name: worker, address: .tcp(host: "h", port: 1), policies: [policy])
                    control.workerDescribed(report)
                }
                await database.start()
                try await reachedEventually("all are saved") {
                    guard store.notReadyReason == nil else { return false }
                    return try await store.withConnection("test") { (connection) throws(StoreError) in
                        try connection.execute(
                            "SELECT worker, checkpoint_sha256 FROM worker_checkpoints ORDER BY worker, checkpoint_sha256 DESC"
                        ).rows.map(\.values)
                    } == [["w1", "old"], ["w1", "new"], ["w2", "old"], ["w3", "bad"]]
                }
            }
        }
    }
}
