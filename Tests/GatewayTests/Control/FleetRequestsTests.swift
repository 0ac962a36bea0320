import Foundation
import GRPCCore
import GrootAPI
import GrootCore
import GrootStore
import SwiftProtobuf
import Testing

@testable import Gateway

/// One field made wrong, and how the refusal must begin.
struct FieldChange<Request>: Sendable {
    var expected: String
    var apply: @Sendable (inout Request) -> Void

    init(_ expected: String, _ apply: @escaping @Sendable (inout Request) -> Void) {
        self.expected = expected
        self.apply = apply
    }
}

struct FleetRequestsTests {
    private func refusal<Value>(_ body: () throws -> Value) throws -> String {
        let error = try #require(throws: RPCError.self) { _ = try body() }
        #expect(error.code == .invalidArgument)
        return error.message
    }

    @Test(
        arguments: [
            FieldChange("robot: must not be empty") { $0.robot = "" },
            FieldChange("robot: must not contain white space") { $0.robot = "r 1" },
            FieldChange("boot: contains a control character") { $0.boot = "b\u{0}" },
            FieldChange("host: has 129 bytes; at most 128") { $0.host = String(repeating: "h", count: 129) },
        ] as [FieldChange<Groot_V1_RegisterRobotRequest>]
    )
    func registrationNamesTheField(
        _ change: FieldChange<Groot_V1_RegisterRobotRequest>
    ) throws {
        var request = FleetSample.register("r1")
        _ = try FleetRequests.robot(request)
        change.apply(&request)
        #expect(try refusal { try FleetRequests.robot(request) }.hasPrefix(change.expected))
    }

    @Test(
        arguments: [
            FieldChange("episode_id: \"x\" is no UUID") { $0.episodeID = "x" },
            FieldChange("mode: must be") { $0.mode = "fast" },
            FieldChange("task: must not be empty") { $0.task = "" },
            FieldChange("run_config_json: is no JSON object") { $0.runConfigJson = "[1]" },
            FieldChange("run_config_json: is no JSON object") { $0.runConfigJson = "{" },
            FieldChange("started_at_unix_ns: 5 is no time") { $0.startedAtUnixNs = 5 },
        ] as [FieldChange<Groot_V1_StartEpisodeRequest>]
    )
    func startNamesTheField(
        _ change: FieldChange<Groot_V1_StartEpisodeRequest>
    ) throws {
        var request = FleetSample.start("r1", UUID())
        #expect(try FleetRequests.start(request).sceneSeed == nil)
        change.apply(&request)
        #expect(try refusal { try FleetRequests.start(request) }.hasPrefix(change.expected))
    }

    @Test(
        arguments: [
            FieldChange("outcome: must say") { $0.outcome = .unspecified },
            FieldChange("outcome: must say") { $0.outcome = .UNRECOGNIZED(99) },
            FieldChange("decided_by: must be") { $0.decidedBy = "coin" },
            FieldChange("ticks: 18446744073709551615 is too large") { $0.ticks = .max },
        ] as [FieldChange<Groot_V1_FinishEpisodeRequest>]
    )
    func finishNamesTheField(
        _ change: FieldChange<Groot_V1_FinishEpisodeRequest>
    ) throws {
        var request = FleetSample.finish("r1", UUID())
        #expect(try FleetRequests.finish(request).outcome == .success)
        change.apply(&request)
        #expect(try refusal { try FleetRequests.finish(request) }.hasPrefix(change.expected))
    }

    @Test func telemetryNamesTheRecordAndTheField() throws {
        var request = FleetSample.telemetry("r1", 0..<3)
        request.inferences[2].status = ""
        #expect(try refusal { try TelemetryReports.batch(request) } == "inferences[2].status: must not be empty")
        request.inferences[2].status = "OK"
        request.inferences[1].timings.inferNs = .max
        #expect(try refusal { try TelemetryReports.batch(request) }.hasPrefix("inferences[1].timings.infer_ns: "))
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
        #expect(try TelemetryReports.batch(request).thumbnails.count == 2)
        #expect(try TelemetryReports.batch(request).highestSequence == nil, "they are not among the records")
        request.thumbnails[1].jpeg = Data("<script>".utf8)
        #expect(try refusal { try TelemetryReports.batch(request) } == "thumbnails[1].jpeg: is no JPEG file")
        request.thumbnails[1].jpeg = Data(repeating: 0xFF, count: 32 * 1024 + 1)
        #expect(try refusal { try TelemetryReports.batch(request) }.hasPrefix("thumbnails[1].jpeg: has 32769 bytes"))
    }

    @Test func batchOfTenThousandIsTheLimit() throws {
        var request = FleetSample.telemetry("r1", 0..<10_000)
        #expect(try TelemetryReports.batch(request).count == 10_000)
        #expect(try request.serializedData().count < FleetControlPlane.maxRequestBytes)
        request.inferences.append(request.inferences[0])
        #expect(try refusal { try TelemetryReports.batch(request) }.contains("10001 records"))
    }
}
