import Foundation
import GrootStore

/// One inference record in the terms of the table, for tests that have no protobuf.
///
/// Durations and runways are nanoseconds.
struct InferenceRow: Sendable, Equatable {
    var robot: String
    var boot: String
    var sequence: Int64
    var episode: UUID?
    var requestID = ""
    var observationIndex: Int64 = 0
    var worker = ""
    var checkpoint = ""
    var capturedAtUnixNanoseconds: Int64 = 0
    var latency: Int64 = 0
    var runwayAtSend: Int64 = 0
    var runwayAtArrival: Int64 = 0
    var rows: Int64 = 0
    var staleRows: Int64 = 0
    var attempts: Int64 = 0
    var skew: Int64 = 0
    var encode: Int64 = 0
    var roundTrip: Int64 = 0
    var workerQueue: Int64 = 0
    var workerDecode: Int64 = 0
    var workerPreprocess: Int64 = 0
    var workerInfer: Int64 = 0
    var workerPostprocess: Int64 = 0
    var workerEncode: Int64 = 0
    var batchSize: Int64 = 0
    /// gRPC status name.
    var status = "OK"
    var message = ""
    var requestBytes: Int64 = 0

    var prefixRows: Int64 = 0
    var frozenRows: Int64 = 0
    var hedged = false
    var checkpointSHA256 = ""
    var clockCorrected = false

    init(robot: String, boot: String, sequence: Int64, episode: UUID? = nil) {
        self.robot = robot
        self.boot = boot
        self.sequence = sequence
        self.episode = episode
    }

    func append(to rows: inout CopyRows) {
        rows.beginRow(sequence: sequence)
        _ = rows.append(uuid: episode?.uuidString ?? "")
        rows.append(text: requestID)
        rows.append(bigint: observationIndex)
        rows.append(text: worker)
        rows.append(text: checkpoint)
        rows.append(unixNanoseconds: capturedAtUnixNanoseconds)
        for value in [latency, runwayAtSend, runwayAtArrival] { rows.append(bigint: value) }
        for value in [self.rows, staleRows, attempts] { rows.append(integer: Int32(value)) }
        for value in [
            skew, encode, roundTrip, workerQueue, workerDecode, workerPreprocess, workerInfer, workerPostprocess,
            workerEncode,
        ] {
            rows.append(bigint: value)
        }
        rows.append(integer: Int32(batchSize))
        rows.append(text: status)
        rows.append(text: message)
        rows.append(bigint: requestBytes)
        rows.append(integer: Int32(prefixRows))
        rows.append(integer: Int32(frozenRows))
        rows.append(bool: hedged)
        rows.append(text: checkpointSHA256)
        rows.append(bool: clockCorrected)
    }
}

extension Store {
    /// One report; all rows must be of one boot.
    @discardableResult
    func insertInferences(_ rows: [InferenceRow]) async throws(StoreError) -> Int {
        guard let first = rows.first else { return 0 }
        var batch = TelemetryBatch(robot: first.robot, boot: first.boot, inferences: rows.count)
        for row in rows {
            row.append(to: &batch.inferences)
            guard let episode = row.episode, row.status == "OK", !row.checkpointSHA256.isEmpty else { continue }
            batch.answered(
                EpisodeAnswer(episode: episode, checkpointSHA256: row.checkpointSHA256, checkpoint: row.checkpoint),
                sequence: row.sequence
            )
        }
        return try await insertTelemetry(batch)
    }
}
