import GRPCCore
import GrootAPI
import GrootStore

/// Reports of `groot.v1.Fleet`, checked field by field and written straight into the stream that the database reads.
///
/// Pure. Each failure is `INVALID_ARGUMENT` and names record and field; nothing of the report is kept then.
enum TelemetryReports {
    static func batch(_ request: Groot_V1_ReportTelemetryRequest) throws(RPCError) -> TelemetryBatch {
        let records =
            request.inferences.count + request.controlSamples.count + request.events.count + request.thumbnails.count
        guard records <= FieldLimit.batchRecords else {
            throw FieldReader.problem(
                "inferences, control_samples, events, thumbnails",
                "have \(records) records; at most \(FieldLimit.batchRecords) are accepted in one call"
            )
        }
        var batch = TelemetryBatch(
            robot: try FieldReader.name(request.robot, "robot"),
            boot: try FieldReader.name(request.boot, "boot"),
            inferences: request.inferences.count,
            controlSamples: request.controlSamples.count,
            events: request.events.count,
            thumbnails: request.thumbnails.count
        )
        for (index, record) in request.inferences.enumerated() {
            try naming("inferences", index) { () throws(RPCError) in try append(record, to: &batch.inferences) }
        }
        for (index, sample) in request.controlSamples.enumerated() {
            try naming("control_samples", index) { () throws(RPCError) in try append(sample, to: &batch.controlSamples)
            }
        }
        for (index, event) in request.events.enumerated() {
            try naming("events", index) { () throws(RPCError) in try append(event, to: &batch.events) }
        }
        for (index, thumbnail) in request.thumbnails.enumerated() {
            try naming("thumbnails", index) { () throws(RPCError) in try append(thumbnail, to: &batch.thumbnails) }
        }
        if request.hasDrops { batch.drops = try drops(request.drops) }
        return batch
    }

    private static func naming(
        _ list: StaticString,
        _ index: Int,
        _ body: () throws(RPCError) -> Void
    ) throws(RPCError) {
        do throws(RPCError) {
            try body()
        } catch {
            throw RPCError(code: error.code, message: "\(list)[\(index)].\(error.message)")
        }
    }

    private static func append(_ record: Groot_V1_InferenceRecord, to rows: inout CopyRows) throws(RPCError) {
        try begin(record.sequence, record.episodeID, in: &rows)
        rows.append(text: try FieldReader.text(record.requestID, "request_id", limit: FieldLimit.name))
        rows.append(bigint: try FieldReader.count(record.observationIndex, "observation_index"))
        rows.append(text: try FieldReader.text(record.worker, "worker", limit: FieldLimit.name))
        rows.append(text: try FieldReader.text(record.checkpoint, "checkpoint", limit: FieldLimit.checkpoint))
        rows.append(unixNanoseconds: try FieldReader.wallClock(record.capturedAtUnixNs, "captured_at_unix_ns"))
        rows.append(bigint: try FieldReader.count(record.latencyNs, "latency_ns"))
        rows.append(bigint: record.runwayAtSendNs)
        rows.append(bigint: record.runwayAtArrivalNs)
        rows.append(integer: try FieldReader.small(record.rows, "rows"))
        rows.append(integer: try FieldReader.small(record.staleRows, "stale_rows"))
        rows.append(integer: try FieldReader.small(record.attempts, "attempts"))
        rows.append(bigint: try FieldReader.count(record.skewNs, "skew_ns"))
        rows.append(bigint: try FieldReader.count(record.encodeNs, "encode_ns"))
        rows.append(bigint: try FieldReader.count(record.roundTripNs, "round_trip_ns"))
        let timings = record.timings
        rows.append(bigint: try FieldReader.count(timings.queueNs, "timings.queue_ns"))
        rows.append(bigint: try FieldReader.count(timings.decodeNs, "timings.decode_ns"))
        rows.append(bigint: try FieldReader.count(timings.preprocessNs, "timings.preprocess_ns"))
        rows.append(bigint: try FieldReader.count(timings.inferNs, "timings.infer_ns"))
        rows.append(bigint: try FieldReader.count(timings.postprocessNs, "timings.postprocess_ns"))
        rows.append(bigint: try FieldReader.count(timings.encodeNs, "timings.encode_ns"))
        rows.append(integer: try FieldReader.small(record.batchSize, "batch_size"))
        rows.append(text: try FieldReader.name(record.status, "status"))
        rows.append(text: try FieldReader.text(record.message, "message", limit: FieldLimit.reason))
        rows.append(bigint: try FieldReader.count(record.requestBytes, "request_bytes"))
        rows.append(integer: try FieldReader.small(record.prefixRows, "prefix_rows"))
        rows.append(integer: try FieldReader.small(record.frozenRows, "frozen_rows"))
        rows.append(bool: record.hedged)
    }

    private static func append(_ sample: Groot_V1_ControlSample, to rows: inout CopyRows) throws(RPCError) {
        try begin(sample.sequence, sample.episodeID, in: &rows)
        rows.append(unixNanoseconds: try FieldReader.wallClock(sample.sampledAtUnixNs, "sampled_at_unix_ns"))
        rows.append(bigint: try FieldReader.count(sample.ticks, "ticks"))
        rows.append(bigint: try FieldReader.count(sample.starvedTicks, "starved_ticks"))
        rows.append(bigint: try FieldReader.count(sample.missedCycles, "missed_cycles"))
        rows.append(bigint: try FieldReader.count(sample.limitedTicks, "limited_ticks"))
        rows.append(bigint: sample.runwayNs)
        rows.append(bigint: sample.minRunwayNs)
        rows.append(bigint: try FieldReader.count(sample.jitterP50Ns, "jitter_p50_ns"))
        rows.append(bigint: try FieldReader.count(sample.jitterP99Ns, "jitter_p99_ns"))
        rows.append(bigint: try FieldReader.count(sample.jitterMaxNs, "jitter_max_ns"))
    }

    private static func append(_ event: Groot_V1_Event, to rows: inout CopyRows) throws(RPCError) {
        try begin(event.sequence, event.episodeID, in: &rows)
        rows.append(unixNanoseconds: try FieldReader.wallClock(event.happenedAtUnixNs, "happened_at_unix_ns"))
        rows.append(text: try FieldReader.name(event.kind, "kind"))
        rows.append(text: try FieldReader.name(event.name, "name"))
        rows.append(text: try FieldReader.text(event.message, "message", limit: FieldLimit.reason))
    }

    private static func append(_ thumbnail: Groot_V1_Thumbnail, to rows: inout CopyRows) throws(RPCError) {
        try begin(thumbnail.sequence, thumbnail.episodeID, in: &rows)
        rows.append(text: try FieldReader.name(thumbnail.camera, "camera"))
        rows.append(unixNanoseconds: try FieldReader.wallClock(thumbnail.capturedAtUnixNs, "captured_at_unix_ns"))
        guard thumbnail.jpeg.count <= FieldLimit.thumbnail else {
            throw FieldReader.problem(
                "jpeg",
                "has \(thumbnail.jpeg.count) bytes; at most \(FieldLimit.thumbnail) are accepted"
            )
        }
        // Browsers are told that it is a picture: it must at least begin as one.
        guard thumbnail.jpeg.starts(with: [0xFF, 0xD8, 0xFF]) else {
            throw FieldReader.problem("jpeg", "is no JPEG file")
        }
        rows.append(bytes: thumbnail.jpeg)
    }

    private static func begin(_ sequence: UInt64, _ episode: String, in rows: inout CopyRows) throws(RPCError) {
        rows.beginRow(sequence: try FieldReader.count(sequence, "sequence"))
        guard rows.append(uuid: episode) else {
            throw FieldReader.problem("episode_id", "\"\(episode.prefix(64))\" is no UUID")
        }
    }

    private static func drops(_ drops: Groot_V1_TelemetryDrops) throws(RPCError) -> TelemetryDrops {
        TelemetryDrops(
            inferences: try FieldReader.count(drops.inferences, "drops.inferences"),
            controlSamples: try FieldReader.count(drops.controlSamples, "drops.control_samples"),
            events: try FieldReader.count(drops.events, "drops.events"),
            damaged: try FieldReader.count(drops.damaged, "drops.damaged"),
            refused: try FieldReader.count(drops.refused, "drops.refused"),
            episodes: try FieldReader.count(drops.episodes, "drops.episodes"),
            thumbnails: try FieldReader.count(drops.thumbnails, "drops.thumbnails")
        )
    }
}
