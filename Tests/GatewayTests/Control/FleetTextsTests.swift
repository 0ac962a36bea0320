import Foundation
import GRPCCore
import GRPCProtobuf
import GrootAPI
import GrootCore
import GrootStore
import GrootTesting
import SwiftProtobuf
import Testing

@testable import Gateway

/// Texts that are no UTF-8: mended where they are for people, refused by name where they say whose something is.
struct FleetTextsTests {
    /// Bytes that are no UTF-8: a lone continuation, a cut character, an overlong form, a surrogate, what never occurs.
    static let broken: [[UInt8]] = [[0x80], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xFF], [0x61, 0xFE, 0x62]]

    private static let places: [(any FleetRequest.Type, TextFields)] = [
        (Groot_V1_RegisterRobotRequest.self, Groot_V1_RegisterRobotRequest.texts),
        (Groot_V1_StartEpisodeRequest.self, Groot_V1_StartEpisodeRequest.texts),
        (Groot_V1_FinishEpisodeRequest.self, Groot_V1_FinishEpisodeRequest.texts),
        (Groot_V1_ReportTelemetryRequest.self, Groot_V1_ReportTelemetryRequest.texts),
        (Groot_V1_AssignRunConfigRequest.self, Groot_V1_AssignRunConfigRequest.texts),
        (Groot_V1_RegisterWorkerRequest.self, Groot_V1_RegisterWorkerRequest.texts),
    ]

    /// Fields of every message of fleet.proto: number and type.
    private func declared() throws -> [String: [(number: UInt64, type: String)]] {
        let file = RepositoryRoot.url.appending(path: "Sources/GrootAPI/Protos/groot/v1/fleet.proto")
        var found: [String: [(UInt64, String)]] = [:]
        var message = ""
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            if let match = line.firstMatch(of: /^message (\w+)/) { message = String(match.1) }
            if let match = line.firstMatch(of: /^  (?:repeated |optional )?(\w+) \w+ = (\d+);/) {
                found[message, default: []].append((try #require(UInt64(match.2)), String(match.1)))
            }
        }
        return found
    }

    @Test
    func theNumbersAreThoseOfTheProto() throws {
        let declared = try declared()
        for (type, texts) in Self.places {
            let name = try #require(type.protoMessageName.split(separator: ".").last.map(String.init))
            let fields = try #require(declared[name])
            #expect(texts == expected(fields, declared), "\(name)")
        }
    }

    private func expected(
        _ fields: [(number: UInt64, type: String)],
        _ all: [String: [(number: UInt64, type: String)]]
    ) -> TextFields {
        let inner = fields.compactMap { field in all[field.type].map { (field.number, expected($0, all)) } }
        return TextFields(
            Set(fields.filter { $0.type == "string" }.map(\.number)),
            inside: Dictionary(uniqueKeysWithValues: inner.filter { $0.1 != TextFields([]) })
        )
    }

    private func field(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in [number << 3 | 2, UInt64(content.count)] {
            var rest = value
            while rest > 0x7F {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
        return bytes + content
    }

    @Test(arguments: broken)
    func aBrokenTextIsMendedAndNothingElseChanges(_ broken: [UInt8]) throws {
        let good = try FleetSample.telemetry("r1", 1..<3).serializedBytes() as [UInt8]
        let event: [UInt8] = [0x08, 0x05] + field(6, Array("note ".utf8) + broken)
        let bytes = good + field(5, event)
        #expect(throws: (any Error).self) { try Groot_V1_ReportTelemetryRequest(serializedBytes: bytes) }
        let (mended, count) = try #require(Groot_V1_ReportTelemetryRequest.texts.repaired(bytes[...]))
        #expect(count == 1)
        let request = try Groot_V1_ReportTelemetryRequest(serializedBytes: mended)
        #expect(request.events.map(\.message) == ["note " + String(decoding: broken, as: UTF8.self)])
        #expect(request.events.map(\.sequence) == [5])
        var rest = request
        rest.events = []
        #expect(try rest.serializedBytes() as [UInt8] == good)
    }

    @Test
    func whatIsDamagedOtherwiseIsNotMended() {
        let texts = Groot_V1_ReportTelemetryRequest.texts
        for damaged: [UInt8] in [[0x0A], [0x0A, 0x05, 0x61], [0x1A, 0x02, 0x0A, 0x09], [0x0B], [0xFF], [0x00]] {
            #expect(texts.repaired(damaged[...]) == nil, "\(damaged)")
        }
    }

    /// Eight megabytes of records of two bytes stand for gigabytes.
    @Test
    func fieldsAreCountedBeforeMemoryIsTaken() throws {
        let deserializer = FleetRequestDeserializer<Groot_V1_ReportTelemetryRequest>(
            instruments: ControlInstruments(MetricsRegistry())
        )
        let many = Array(repeating: [0x1A, 0x00] as [UInt8], count: 20_000).flatMap(\.self)
        let error = #expect(throws: RPCError.self) { try deserializer.deserialize(many) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("at most 10000 records") == true, "\(error?.message ?? "")")
        let most = Array(repeating: [0x1A, 0x00] as [UInt8], count: 10_000).flatMap(\.self)
        #expect(try deserializer.deserialize(most).inferences.count == 10_000)
    }

    /// As a peer sends it whose strings are bytes.
    private struct RawSerializer: MessageSerializer {
        func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
    }

    @Test(.enabled(if: ControlDatabase.mayRun, "PostgreSQL is not installed"))
    func aReportWithBrokenTextsIsStoredWhole() async throws {
        let metrics = MetricsRegistry()
        try await ControlDatabase.use("encoding") { database in
            try await database.serving(metrics: metrics) { store, client, _ in
                func report(_ bytes: [UInt8]) async throws -> Groot_V1_ReportTelemetryResponse {
                    try await client.unary(
                        request: ClientRequest(message: bytes),
                        descriptor: Groot_V1_Fleet.Method.ReportTelemetry.descriptor,
                        serializer: RawSerializer(),
                        deserializer: ProtobufDeserializer<Groot_V1_ReportTelemetryResponse>(),
                        options: .defaults
                    ) { try $0.message }
                }
                let episode = UUID()
                let good = try FleetSample.telemetry("r1", 1..<3, episode: episode).serializedBytes() as [UInt8]
                let note = [0x08, 0x03] + field(2, Array(episode.uuidString.utf8)) + field(6, [0x68, 0x69, 0xFF])
                // Whose it is cannot be read: this one is set aside, by its number.
                let lost = [0x08, 0x04] + field(2, [0xFF, 0xFE])
                let answer = try await report(good + field(5, note) + field(5, lost))
                #expect(answer.committedSequence == 4)
                let stored = try await store.withConnection("test") { (connection) throws(StoreError) in
                    try connection.execute(
                        """
                        SELECT 'inference', sequence::text, '' FROM inferences UNION ALL
                        SELECT 'event', sequence::text, message FROM events UNION ALL
                        SELECT 'quarantine', sequence::text, reason FROM quarantine ORDER BY 2
                        """
                    ).rows.map(\.values)
                }
                #expect(stored.map { $0[0] } == ["inference", "inference", "event", "quarantine"])
                #expect(stored.last?[2]?.contains("episode_id: \"\u{FFFD}\u{FFFD}\" is no UUID") == true, "\(stored)")
                #expect(stored[2][2] == "hi\u{FFFD}")
                // A name decides whose it is: refused, by its name.
                let error = await #expect(throws: RPCError.self) {
                    try await report(field(1, [0x72, 0xFF]) + field(2, [0x62]))
                }
                #expect(error?.code == .invalidArgument)
                #expect(error?.message == "robot: is no UTF-8")
            }
        }
        #expect(metrics.render().contains(#"groot_gateway_control_repaired_fields_total{field="encoding"}"#))
    }
}
