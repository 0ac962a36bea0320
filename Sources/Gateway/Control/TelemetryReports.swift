import Foundation
import GRPCCore
import GrootAPI
import GrootStore
import SwiftProtobuf

/// Reports of `groot.v1.Fleet`, read field by field and written straight into the stream that the database reads.
///
/// Pure. A record that cannot be stored is left out with the reason; the others are stored. Only what a report is about,
/// robot and boot, and how many records it has, can make it refused as a whole.
struct TelemetryReports {
    /// What can be stored.
    private(set) var batch: TelemetryBatch
    /// What cannot.
    private(set) var unstorable: [QuarantinedRecord] = []
    /// Numbers that the report has already, so that a second record of the same number is told from the first.
    private var numbers: Set<Int64> = []
    private var pictures: Set<Int64> = []
    private(set) var repair: FieldRepair

    init(_ request: Groot_V1_ReportTelemetryRequest, _ repair: FieldRepair) throws(FieldProblem) {
        let records =
            request.inferences.count + request.controlSamples.count + request.events.count + request.thumbnails.count
        guard records <= FieldLimit.batchRecords else {
            throw FieldProblem(
                "inferences, control_samples, events, thumbnails",
                "have \(records) records; at most \(FieldLimit.batchRecords) are accepted in one call"
            )
        }
        self.repair = repair
        batch = TelemetryBatch(
            robot: try FieldReader.name(request.robot, "robot"),
            boot: try FieldReader.name(request.boot, "boot"),
            inferences: request.inferences.count,
            controlSamples: request.controlSamples.count,
            events: request.events.count,
            thumbnails: request.thumbnails.count
        )
        numbers.reserveCapacity(records)
        for (index, record) in request.inferences.enumerated() {
            keep(record, record.sequence, "inferences", index, \.inferences) { (all, rows) throws(FieldProblem) in
                try all.append(record, to: &rows)
            }
        }
        for (index, sample) in request.controlSamples.enumerated() {
            keep(sample, sample.sequence, "control_samples", index, \.controlSamples) {
                (all, rows) throws(FieldProblem) in try all.append(sample, to: &rows)
            }
        }
        for (index, event) in request.events.enumerated() {
            keep(event, event.sequence, "events", index, \.events) { (all, rows) throws(FieldProblem) in
                try all.append(event, to: &rows)
            }
        }
        for (index, thumbnail) in request.thumbnails.enumerated() {
            keep(thumbnail, thumbnail.sequence, "thumbnails", index, \.thumbnails) { (all, rows) throws(FieldProblem) in
                try all.append(thumbnail, to: &rows)
            }
        }
        if request.hasDrops { batch.drops = Self.drops(request.drops) }
    }

    /// Appends a record to its table, or sets it aside.
    private mutating func keep<Record: Message>(
        _ record: Record,
        _ sequence: UInt64,
        _ list: StaticString,
        _ index: Int,
        _ table: WritableKeyPath<TelemetryBatch, CopyRows>,
        _ append: (inout TelemetryReports, inout CopyRows) throws(FieldProblem) -> Void
    ) {
        // Taken out and put back, so that the rows are not copied.
        var rows = CopyRows(table: .events, robot: "", boot: "", expectedRows: 0)
        swap(&rows, &batch[keyPath: table])
        let count = rows.count
        do throws(FieldProblem) {
            let number = try FieldReader.sequence(sequence)
            let isNew = table == \.thumbnails ? pictures.insert(number).inserted : numbers.insert(number).inserted
            guard isNew else { throw FieldProblem("sequence", "\(number) appears twice in one report") }
            try append(&self, &rows)
        } catch {
            if rows.count > count { rows.dropRow() }
            unstorable.append(.init(record, sequence: sequence, reason: error.inside(list, index).message))
        }
        swap(&rows, &batch[keyPath: table])
    }

    private mutating func append(
        _ record: Groot_V1_InferenceRecord,
        to rows: inout CopyRows
    ) throws(FieldProblem) {
        let sequence = try begin(record.sequence, record.episodeID, in: &rows)
        let checkpoint = repair.text(record.checkpoint, .checkpoint, limit: FieldLimit.checkpoint)
        let digest = repair.text(record.checkpointSha256, .checkpointSHA256, limit: FieldLimit.name)
        let status = repair.word(record.status, .status, otherwise: "UNKNOWN")
        let captured = repair.clock(record.capturedAtUnixNs)
        rows.append(text: repair.text(record.requestID, .requestID, limit: FieldLimit.name))
        rows.append(bigint: try FieldReader.count(record.observationIndex, "observation_index"))
        rows.append(text: repair.text(record.worker, .worker, limit: FieldLimit.name))
        rows.append(text: checkpoint)
        rows.append(unixNanoseconds: captured.time)
        rows.append(bigint: try FieldReader.duration(record.latencyNs, "latency_ns"))
        rows.append(bigint: try FieldReader.runway(record.runwayAtSendNs, "runway_at_send_ns"))
        rows.append(bigint: try FieldReader.runway(record.runwayAtArrivalNs, "runway_at_arrival_ns"))
        rows.append(integer: try FieldReader.small(record.rows, "rows"))
        rows.append(integer: try FieldReader.small(record.staleRows, "stale_rows"))
        rows.append(integer: try FieldReader.small(record.attempts, "attempts"))
        rows.append(bigint: try FieldReader.duration(record.skewNs, "skew_ns"))
        rows.append(bigint: try FieldReader.duration(record.encodeNs, "encode_ns"))
        rows.append(bigint: try FieldReader.duration(record.roundTripNs, "round_trip_ns"))
        let timings = record.timings
        rows.append(bigint: try FieldReader.duration(timings.queueNs, "timings.queue_ns"))
        rows.append(bigint: try FieldReader.duration(timings.decodeNs, "timings.decode_ns"))
        rows.append(bigint: try FieldReader.duration(timings.preprocessNs, "timings.preprocess_ns"))
        rows.append(bigint: try FieldReader.duration(timings.inferNs, "timings.infer_ns"))
        rows.append(bigint: try FieldReader.duration(timings.postprocessNs, "timings.postprocess_ns"))
        rows.append(bigint: try FieldReader.duration(timings.encodeNs, "timings.encode_ns"))
        rows.append(integer: try FieldReader.small(record.batchSize, "batch_size"))
        rows.append(text: status)
        rows.append(text: repair.text(record.message, .message, limit: FieldLimit.reason))
        rows.append(bigint: try FieldReader.count(record.requestBytes, "request_bytes"))
        rows.append(integer: try FieldReader.small(record.prefixRows, "prefix_rows"))
        rows.append(integer: try FieldReader.small(record.frozenRows, "frozen_rows"))
        rows.append(bool: record.hedged)
        rows.append(text: digest)
        rows.append(bool: captured.isCorrected)
        if status == "OK", !digest.isEmpty, let episode = UUID(uuidString: record.episodeID) {
            batch.answered(
                EpisodeAnswer(episode: episode, checkpointSHA256: digest, checkpoint: checkpoint),
                sequence: sequence
            )
        }
    }

    private mutating func append(
        _ sample: Groot_V1_ControlSample,
        to rows: inout CopyRows
    ) throws(FieldProblem) {
        _ = try begin(sample.sequence, sample.episodeID, in: &rows)
        let sampled = repair.clock(sample.sampledAtUnixNs)
        rows.append(unixNanoseconds: sampled.time)
        rows.append(bigint: try FieldReader.count(sample.ticks, "ticks"))
        rows.append(bigint: try FieldReader.count(sample.starvedTicks, "starved_ticks"))
        rows.append(bigint: try FieldReader.count(sample.missedCycles, "missed_cycles"))
        rows.append(bigint: try FieldReader.count(sample.limitedTicks, "limited_ticks"))
        rows.append(bigint: try FieldReader.runway(sample.runwayNs, "runway_ns"))
        rows.append(bigint: try FieldReader.runway(sample.minRunwayNs, "min_runway_ns"))
        rows.append(bigint: try FieldReader.duration(sample.jitterP50Ns, "jitter_p50_ns"))
        rows.append(bigint: try FieldReader.duration(sample.jitterP99Ns, "jitter_p99_ns"))
        rows.append(bigint: try FieldReader.duration(sample.jitterMaxNs, "jitter_max_ns"))
        rows.append(bool: sampled.isCorrected)
    }

    private mutating func append(_ event: Groot_V1_Event, to rows: inout CopyRows) throws(FieldProblem) {
        _ = try begin(event.sequence, event.episodeID, in: &rows)
        let happened = repair.clock(event.happenedAtUnixNs)
        rows.append(unixNanoseconds: happened.time)
        rows.append(text: repair.word(event.kind, .kind))
        rows.append(text: repair.word(event.name, .name))
        rows.append(text: repair.text(event.message, .message, limit: FieldLimit.reason))
        rows.append(bool: happened.isCorrected)
    }

    private mutating func append(_ thumbnail: Groot_V1_Thumbnail, to rows: inout CopyRows) throws(FieldProblem) {
        _ = try begin(thumbnail.sequence, thumbnail.episodeID, in: &rows)
        let captured = repair.clock(thumbnail.capturedAtUnixNs)
        rows.append(text: repair.word(thumbnail.camera, .camera))
        rows.append(unixNanoseconds: captured.time)
        guard thumbnail.jpeg.count <= FieldLimit.thumbnail else {
            throw FieldProblem(
                "jpeg",
                "has \(thumbnail.jpeg.count) bytes; at most \(FieldLimit.thumbnail) are accepted"
            )
        }
        // Browsers are told that it is a picture: it must at least begin as one.
        guard thumbnail.jpeg.starts(with: [0xFF, 0xD8, 0xFF]) else { throw FieldProblem("jpeg", "is no JPEG file") }
        rows.append(bytes: thumbnail.jpeg)
        rows.append(bool: captured.isCorrected)
    }

    private func begin(_ sequence: UInt64, _ episode: String, in rows: inout CopyRows) throws(FieldProblem) -> Int64 {
        let number = try FieldReader.sequence(sequence)
        rows.beginRow(sequence: number)
        guard rows.append(uuid: episode) else {
            throw FieldProblem("episode_id", "\"\(episode.prefix(64))\" is no UUID")
        }
        return number
    }

    /// Counts of an agent about itself: what is absurd is cut to what fits.
    private static func drops(_ drops: Groot_V1_TelemetryDrops) -> TelemetryDrops {
        func count(_ value: UInt64) -> Int64 { Int64(min(value, FieldLimit.count)) }
        return TelemetryDrops(
            inferences: count(drops.inferences),
            controlSamples: count(drops.controlSamples),
            events: count(drops.events),
            damaged: count(drops.damaged),
            refused: count(drops.refused),
            episodes: count(drops.episodes),
            thumbnails: count(drops.thumbnails)
        )
    }
}

extension QuarantinedRecord {
    init(_ message: some Message, sequence: UInt64? = nil, reason: String) {
        self.init(
            kind: String(type(of: message).protoMessageName.split(separator: ".").last ?? ""),
            sequence: sequence,
            reason: reason,
            // What was read can be written.
            record: (try? message.serializedBytes()) ?? []
        )
    }
}

extension Groot_V1_ReportTelemetryRequest {
    /// The numbers of its records; thumbnails apart.
    var highestSequence: UInt64 {
        max(
            inferences.reduce(0) { max($0, $1.sequence) },
            max(controlSamples.reduce(0) { max($0, $1.sequence) }, events.reduce(0) { max($0, $1.sequence) })
        )
    }

    var recordCount: Int { inferences.count + controlSamples.count + events.count + thumbnails.count }

    /// Two reports of half as many records; nil when there is one record, or none.
    var halves: (Groot_V1_ReportTelemetryRequest, Groot_V1_ReportTelemetryRequest)? {
        guard recordCount > 1 else { return nil }
        var (first, second) = (self, self)
        second.clearDrops()
        func split<Record>(_ path: WritableKeyPath<Groot_V1_ReportTelemetryRequest, [Record]>, _ left: inout Int) {
            let all = self[keyPath: path]
            let count = min(left, all.count)
            first[keyPath: path] = Array(all.prefix(count))
            second[keyPath: path] = Array(all.dropFirst(count))
            left -= count
        }
        var left = recordCount / 2
        split(\.inferences, &left)
        split(\.controlSamples, &left)
        split(\.events, &left)
        split(\.thumbnails, &left)
        return (first, second)
    }

    /// Its only record, for quarantine.
    func onlyRecord(reason: String) -> QuarantinedRecord? {
        if let record = inferences.first { return .init(record, sequence: record.sequence, reason: reason) }
        if let sample = controlSamples.first { return .init(sample, sequence: sample.sequence, reason: reason) }
        if let event = events.first { return .init(event, sequence: event.sequence, reason: reason) }
        if let picture = thumbnails.first { return .init(picture, sequence: picture.sequence, reason: reason) }
        return nil
    }
}
