import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootStore
import SwiftProtobuf
import Testing

@testable import Gateway

/// One field made wrong, and how the problem must begin.
struct FieldChange<Request>: Sendable {
    var expected: String
    var apply: @Sendable (inout Request) -> Void

    init(_ expected: String, _ apply: @escaping @Sendable (inout Request) -> Void) {
        self.expected = expected
        self.apply = apply
    }
}

private let receivedAt: Int64 = 1_800_000_000_000_000_000

/// What decides whose and what a record is must be believable.
struct FleetRequestsTests {
    private func problem<Value>(_ body: (inout FieldRepair) throws(FieldProblem) -> Value) throws -> String {
        var repair = FieldRepair(receivedAt: receivedAt)
        return try #require(throws: FieldProblem.self) { _ = try body(&repair) }.message
    }

    @Test(
        arguments: [
            FieldChange("robot: must not be empty") { $0.robot = "" },
            FieldChange("robot: must not contain white space") { $0.robot = "r 1" },
            FieldChange("boot: contains a control character") { $0.boot = "b\u{0}" },
            FieldChange("robot: has 129 bytes; at most 128") { $0.robot = String(repeating: "h", count: 129) },
        ] as [FieldChange<Groot_V1_RegisterRobotRequest>]
    )
    func registrationNamesTheField(_ change: FieldChange<Groot_V1_RegisterRobotRequest>) throws {
        var request = FleetSample.register("r1")
        var repair = FieldRepair(receivedAt: receivedAt)
        _ = try FleetRequests.robot(request, &repair)
        #expect(repair.repairs.isEmpty)
        change.apply(&request)
        let changed = request
        let message = try problem { (repair) throws(FieldProblem) in try FleetRequests.robot(changed, &repair) }
        #expect(message.hasPrefix(change.expected))
    }

    @Test(
        arguments: [
            FieldChange("episode_id: \"x\" is no UUID") { $0.episodeID = "x" },
            FieldChange("task: must not be empty") { $0.task = "" },
            FieldChange("run_config_version: 4294967295 is too large") {
                $0.runConfigName = "a"
                $0.runConfigVersion = .max
            },
        ] as [FieldChange<Groot_V1_StartEpisodeRequest>]
    )
    func startNamesTheField(_ change: FieldChange<Groot_V1_StartEpisodeRequest>) throws {
        var request = FleetSample.start("r1", UUID())
        var repair = FieldRepair(receivedAt: receivedAt)
        #expect(try FleetRequests.start(request, &repair).sceneSeed == nil)
        #expect(repair.repairs.isEmpty)
        change.apply(&request)
        let changed = request
        let message = try problem { (repair) throws(FieldProblem) in try FleetRequests.start(changed, &repair) }
        #expect(message.hasPrefix(change.expected))
    }

    @Test(
        arguments: [
            FieldChange("outcome: must say") { $0.outcome = .unspecified },
            FieldChange("outcome: must say") { $0.outcome = .UNRECOGNIZED(99) },
            FieldChange("ticks: 18446744073709551615 is too large") { $0.ticks = .max },
            FieldChange("duration_ns: 9000000000000000000 ns are more than") {
                $0.durationNs = 9_000_000_000_000_000_000
            },
        ] as [FieldChange<Groot_V1_FinishEpisodeRequest>]
    )
    func finishNamesTheField(_ change: FieldChange<Groot_V1_FinishEpisodeRequest>) throws {
        var request = FleetSample.finish("r1", UUID())
        var repair = FieldRepair(receivedAt: receivedAt)
        #expect(try FleetRequests.finish(request, &repair).outcome == .success)
        #expect(repair.repairs.isEmpty)
        change.apply(&request)
        let changed = request
        let message = try problem { (repair) throws(FieldProblem) in try FleetRequests.finish(changed, &repair) }
        #expect(message.hasPrefix(change.expected))
    }
}

/// What is for people is repaired: every text field, with everything that ever made a record unacceptable.
struct FieldRepairTests {
    private static let evil: [(name: String, text: String)] = [
        ("arrow keys", "box slipped\u{1B}[D\u{1B}[D from claw"), ("colour", "\u{1B}[31mno\u{1B}[0m"),
        ("NUL", "a\u{0}b"),
        ("2,049 bytes", String(repeating: "x", count: 2049)), ("200 kB", String(repeating: "é", count: 100_000)),
        ("bell", "\u{07}\u{07}"), ("bidi", "\u{202E}abc"), ("CR", "one\r\ntwo"), ("C1", "x\u{85}\u{9B}1my"),
    ]

    /// A text field: how it is set, what metrics call it, and its limit.
    private struct TextField<Request: Sendable>: Sendable {
        var field: RepairedField
        var limit: Int
        var path: @Sendable (inout Request, String) -> Void
    }

    private func isHarmless(_ text: String, _ limit: Int) -> Bool {
        text.utf8.count <= limit && text.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\t" || $0 == "\n" }
    }

    @Test func everyTextOfAnEpisodeIsRepairedAndNothingElseIsLost() throws {
        let starts: [TextField<Groot_V1_StartEpisodeRequest>] = [
            .init(field: .task, limit: 1024) { $0.task = $1 },
            .init(field: .checkpoint, limit: 256) { $0.checkpoint = $1 },
            .init(field: .checkpointSHA256, limit: 128) { $0.checkpointSha256 = $1 },
            .init(field: .mode, limit: 0) { $0.mode = $1 },
        ]
        let finishes: [TextField<Groot_V1_FinishEpisodeRequest>] = [
            .init(field: .reason, limit: 2048) { $0.reason = $1 }, .init(field: .notes, limit: 2048) { $0.notes = $1 },
            .init(field: .decidedBy, limit: 0) { $0.decidedBy = $1 },
        ]
        let registrations: [TextField<Groot_V1_RegisterRobotRequest>] = [
            .init(field: .profile, limit: 128) { $0.profile = $1 },
            .init(field: .agentVersion, limit: 128) { $0.agentVersion = $1 },
            .init(field: .host, limit: 128) { $0.host = $1 },
        ]
        for (name, text) in Self.evil {
            for field in starts {
                var request = FleetSample.start("r1", UUID())
                field.path(&request, text)
                var repair = FieldRepair(receivedAt: receivedAt)
                let start = try FleetRequests.start(request, &repair)
                #expect(repair.repairs == [field.field: 1], "\(name) in \(field.field)")
                let texts = [start.task, start.checkpoint, start.checkpointSHA256, start.mode?.rawValue ?? ""]
                #expect(texts.allSatisfy { isHarmless($0, 1024) })
                #expect(start.episode.uuidString == request.episodeID && start.startedAtUnixNanoseconds > 0)
            }
            for field in finishes {
                var request = FleetSample.finish("r1", UUID())
                field.path(&request, text)
                var repair = FieldRepair(receivedAt: receivedAt)
                let finish = try FleetRequests.finish(request, &repair)
                #expect(repair.repairs == [field.field: 1], "\(name) in \(field.field)")
                #expect(isHarmless(finish.reason, 2048) && isHarmless(finish.notes, 2048))
                #expect(finish.outcome == .success && finish.ticks == 1000)
            }
            for field in registrations {
                var request = FleetSample.register("r1")
                field.path(&request, text)
                var repair = FieldRepair(receivedAt: receivedAt)
                let robot = try FleetRequests.robot(request, &repair)
                #expect(repair.repairs == [field.field: 1], "\(name) in \(field.field)")
                #expect([robot.profile, robot.agentVersion, robot.host].allSatisfy { isHarmless($0, 128) })
            }
        }
    }

    @Test func everyTextOfARecordIsRepaired() throws {
        let inferences: [TextField<Groot_V1_InferenceRecord>] = [
            .init(field: .requestID, limit: 128) { $0.requestID = $1 },
            .init(field: .worker, limit: 128) { $0.worker = $1 },
            .init(field: .checkpoint, limit: 256) { $0.checkpoint = $1 },
            .init(field: .checkpointSHA256, limit: 128) { $0.checkpointSha256 = $1 },
            .init(field: .status, limit: 128) { $0.status = $1 },
            .init(field: .message, limit: 2048) { $0.message = $1 },
        ]
        let events: [TextField<Groot_V1_Event>] = [
            .init(field: .kind, limit: 128) { $0.kind = $1 }, .init(field: .name, limit: 128) { $0.name = $1 },
            .init(field: .message, limit: 2048) { $0.message = $1 },
        ]
        for (name, text) in Self.evil + [("empty", ""), ("two words", "not a word")] {
            for field in inferences {
                var request = FleetSample.telemetry("r1", 0..<3)
                field.path(&request.inferences[1], text)
                let reports = try TelemetryReports(request, FieldRepair(receivedAt: receivedAt))
                #expect(reports.unstorable.isEmpty && reports.batch.count == 3, "\(name) in \(field.field)")
                let isWord = field.field == .status
                let isPlain = text == "not a word" || text.isEmpty
                #expect(
                    reports.repair.repairs == (isPlain && !isWord ? [:] : [field.field: 1]),
                    "\(name) in \(field.field)"
                )
            }
            for field in events {
                var request = Groot_V1_ReportTelemetryRequest()
                request.robot = "r1"
                request.boot = "b1"
                request.events = [FleetSample.event(1)]
                field.path(&request.events[0], text)
                let reports = try TelemetryReports(request, FieldRepair(receivedAt: receivedAt))
                #expect(reports.unstorable.isEmpty && reports.batch.count == 1, "\(name) in \(field.field)")
            }
        }
    }

    @Test(
        arguments: [
            (90_000_000_000_000, true), (0, true), (-5, true), (Int64.min, true), (.max, true),
            // The year 2205, and two days ahead.
            (7_415_000_000_000_000_000, true), (receivedAt + 2 * FieldRepair.mostAhead, true),
            (FieldRepair.earliest, false), (receivedAt, false), (receivedAt + FieldRepair.mostAhead, false),
        ] as [(Int64, Bool)]
    )
    func anAbsurdClockIsReplacedByTheTimeOfReceipt(_ clock: Int64, _ isAbsurd: Bool) throws {
        var start = FleetSample.start("r1", UUID())
        start.startedAtUnixNs = clock
        var finish = FleetSample.finish("r1", UUID())
        finish.finishedAtUnixNs = clock
        var repair = FieldRepair(receivedAt: receivedAt)
        let started = try FleetRequests.start(start, &repair)
        let finished = try FleetRequests.finish(finish, &repair)
        let expected = isAbsurd ? receivedAt : clock
        #expect(started.startedAtUnixNanoseconds == expected && started.clockCorrected == isAbsurd)
        #expect(finished.finishedAtUnixNanoseconds == expected && finished.clockCorrected == isAbsurd)
        #expect(repair.repairs == (isAbsurd ? [.clock: 2] : [:]))
        var request = FleetSample.telemetry("r1", 0..<2)
        request.inferences[0].capturedAtUnixNs = clock
        request.events = [FleetSample.event(7)]
        request.events[0].happenedAtUnixNs = clock
        let reports = try TelemetryReports(request, FieldRepair(receivedAt: receivedAt))
        #expect(reports.batch.count == 3 && reports.repair.repairs == (isAbsurd ? [.clock: 2] : [:]))
    }

    /// A gateway without a clock of its own corrects what cannot be right, and nothing by its own time.
    @Test func aGatewayWithoutAClockBelievesTheRobots() {
        var repair = FieldRepair(receivedAt: 5)
        #expect(repair.clock(receivedAt) == (receivedAt, false))
        #expect(repair.clock(0) == (5, true))
    }

    @Test(
        arguments: [
            (#"{"mode":"rtc","a":1.5}"#, #"{"mode":"rtc","a":1.5}"#), (#"{"a":"x\u0000y"}"#, #"{"a":"xy"}"#),
            (#"{"a":["\u001b[31mred"],"b\u0000":{"c":"\u0007"}}"#, #"{"a":["red"],"b":{"c":""}}"#),
            (#"{"a":"\ud83d\ude00"}"#, #"{"a":"😀"}"#), ("[1]", "{}"), ("{", "{}"), ("", "{}"),
            (#"{"a":"\ud800"}"#, "{}"),
            (#"{"a":""# + String(repeating: "x", count: 300_000) + #""}"#, "{}"),
        ]
    )
    func aRunConfigIsOneThatTheDatabaseKeeps(_ text: String, _ expected: String) {
        var repair = FieldRepair(receivedAt: receivedAt)
        let kept = repair.runConfig(text)
        #expect(kept == expected || expected == "{}" && kept.contains("\u{FFFD}"))
        #expect((repair.repairs[.runConfig] ?? 0) == (text == kept ? 0 : 1))
        #expect(repair.leftOut.isEmpty == (kept != "{}"))
    }

    /// One record that cannot be what it says costs only itself.
    @Test func whatCannotBeStoredIsSetAsideWithTheReason() throws {
        var request = FleetSample.telemetry("r1", 0..<9)
        request.inferences[1].episodeID = "x"
        request.inferences[2].timings.inferNs = .max
        request.inferences[3].sequence = 9_000_000_000_000_000_000
        request.inferences[4].sequence = 0
        request.inferences[5].latencyNs = 9_000_000_000_000_000_000
        request.inferences[6].runwayAtSendNs = .min
        request.inferences[7].batchSize = .max
        let reports = try TelemetryReports(request, FieldRepair(receivedAt: receivedAt))
        #expect(reports.batch.count == 2 && reports.batch.inferences.sequences == [0, 8])
        #expect(
            reports.unstorable.map(\.reason) == [
                "inferences[1].episode_id: \"x\" is no UUID",
                "inferences[2].timings.infer_ns: 18446744073709551615 ns are more than the 2592000000000000 of thirty days",
                "inferences[3].sequence: 9000000000000000000 is absurd",
                "inferences[4].sequence: 0 appears twice in one report",
                "inferences[5].latency_ns: 9000000000000000000 ns are more than the 2592000000000000 of thirty days",
                "inferences[6].runway_at_send_ns: -9223372036854775808 ns are more than the 2592000000000000 of thirty days",
                "inferences[7].batch_size: 4294967295 is too large",
            ]
        )
        #expect(reports.unstorable.allSatisfy { $0.kind == "InferenceRecord" })
        let kept = try Groot_V1_InferenceRecord(serializedBytes: reports.unstorable[2].record)
        #expect(kept == request.inferences[3] && reports.unstorable[2].sequence == 9_000_000_000_000_000_000)
        #expect(request.highestSequence == 9_000_000_000_000_000_000)
    }

    @Test func onlySmallJPEGFilesAreThumbnails() throws {
        var request = Groot_V1_ReportTelemetryRequest()
        request.robot = "r1"
        request.boot = "b1"
        var thumbnail = Groot_V1_Thumbnail()
        thumbnail.sequence = 1
        thumbnail.camera = "observation.images.cam_head"
        thumbnail.capturedAtUnixNs = 1_700_000_000_000_000_000
        thumbnail.jpeg = Data([0xFF, 0xD8, 0xFF, 0xE0])
        request.thumbnails = [thumbnail, thumbnail]
        request.thumbnails[1].sequence = 2
        #expect(try TelemetryReports(request, FieldRepair(receivedAt: receivedAt)).batch.thumbnails.count == 2)
        #expect(request.highestSequence == 0, "they are not among the records")
        for (jpeg, reason) in [
            (Data("<script>".utf8), "thumbnails[1].jpeg: is no JPEG file"),
            (
                Data(repeating: 0xFF, count: 32 * 1024 + 1),
                "thumbnails[1].jpeg: has 32769 bytes; at most 32768 are accepted"
            ),
        ] {
            request.thumbnails[1].jpeg = jpeg
            let reports = try TelemetryReports(request, FieldRepair(receivedAt: receivedAt))
            #expect(reports.batch.thumbnails.count == 1 && reports.unstorable.map(\.reason) == [reason])
        }
    }

    @Test func batchOfTenThousandIsTheLimit() throws {
        var request = FleetSample.telemetry("r1", 0..<10_000)
        #expect(try TelemetryReports(request, FieldRepair(receivedAt: receivedAt)).batch.count == 10_000)
        #expect(try request.serializedData().count < FleetControlPlane.maxRequestBytes)
        request.inferences.append(request.inferences[0])
        let problem = try #require(throws: FieldProblem.self) {
            try TelemetryReports(request, FieldRepair(receivedAt: receivedAt))
        }
        #expect(problem.message.contains("10001 records"))
    }

    @Test func halvesHoldEveryRecordOnce() throws {
        var request = FleetSample.telemetry("r1", 0..<5)
        request.events = [FleetSample.event(5), FleetSample.event(6)]
        request.drops.inferences = 3
        let (first, second) = try #require(request.halves)
        #expect(first.inferences + second.inferences == request.inferences)
        #expect(first.events + second.events == request.events)
        #expect(first.recordCount == 3 && first.hasDrops && !second.hasDrops)
        var one = FleetSample.telemetry("r1", 4..<5)
        #expect(one.halves == nil && one.onlyRecord(reason: "no")?.sequence == 4)
        one.inferences = []
        #expect(one.halves == nil && one.onlyRecord(reason: "no") == nil)
    }
}
