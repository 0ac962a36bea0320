/// A partitioned table that reports are copied into, with its columns in the order in which rows are written.
///
/// `recorded_at` is left to the database. A test compares every type with the server's.
package enum TelemetryTable: String, Sendable, CaseIterable {
    case inferences
    case controlSamples = "control_samples"
    case events
    case thumbnails

    package var columns: [PostgresColumn] {
        let key = [PostgresColumn("robot", .text), PostgresColumn("boot", .text), PostgresColumn("sequence", .bigint)]
        return key + own
    }

    private var own: [PostgresColumn] {
        switch self {
        case .inferences:
            [
                PostgresColumn("episode_id", .uuid), PostgresColumn("request_id", .text),
                PostgresColumn("observation_index", .bigint), PostgresColumn("worker", .text),
                PostgresColumn("checkpoint", .text), PostgresColumn("captured_at", .timestamptz),
                PostgresColumn("latency_ns", .bigint), PostgresColumn("runway_at_send_ns", .bigint),
                PostgresColumn("runway_at_arrival_ns", .bigint), PostgresColumn("chunk_rows", .integer),
                PostgresColumn("stale_rows", .integer), PostgresColumn("attempts", .integer),
                PostgresColumn("skew_ns", .bigint), PostgresColumn("encode_ns", .bigint),
                PostgresColumn("round_trip_ns", .bigint), PostgresColumn("worker_queue_ns", .bigint),
                PostgresColumn("worker_decode_ns", .bigint), PostgresColumn("worker_preprocess_ns", .bigint),
                PostgresColumn("worker_infer_ns", .bigint), PostgresColumn("worker_postprocess_ns", .bigint),
                PostgresColumn("worker_encode_ns", .bigint), PostgresColumn("batch_size", .integer),
                PostgresColumn("status", .text), PostgresColumn("message", .text),
                PostgresColumn("request_bytes", .bigint), PostgresColumn("prefix_rows", .integer),
                PostgresColumn("frozen_rows", .integer), PostgresColumn("hedged", .bool),
                PostgresColumn("checkpoint_sha256", .text), PostgresColumn("clock_corrected", .bool),
            ]
        case .controlSamples:
            [
                PostgresColumn("episode_id", .uuid), PostgresColumn("sampled_at", .timestamptz),
                PostgresColumn("ticks", .bigint), PostgresColumn("starved_ticks", .bigint),
                PostgresColumn("missed_cycles", .bigint), PostgresColumn("limited_ticks", .bigint),
                PostgresColumn("runway_ns", .bigint), PostgresColumn("min_runway_ns", .bigint),
                PostgresColumn("jitter_p50_ns", .bigint), PostgresColumn("jitter_p99_ns", .bigint),
                PostgresColumn("jitter_max_ns", .bigint), PostgresColumn("clock_corrected", .bool),
            ]
        case .events:
            [
                PostgresColumn("episode_id", .uuid), PostgresColumn("happened_at", .timestamptz),
                PostgresColumn("kind", .text), PostgresColumn("name", .text), PostgresColumn("message", .text),
                PostgresColumn("clock_corrected", .bool),
            ]
        case .thumbnails:
            [
                PostgresColumn("episode_id", .uuid), PostgresColumn("camera", .text),
                PostgresColumn("captured_at", .timestamptz), PostgresColumn("jpeg", .bytea),
                PostgresColumn("clock_corrected", .bool),
            ]
        }
    }

    /// Selects nothing but the types of the columns; also what a test prepares.
    package var shape: String {
        "SELECT \(columns.map(\.name).joined(separator: ", ")) FROM \(rawValue)"
    }

    var copy: String {
        "COPY \(rawValue) (\(columns.map(\.name).joined(separator: ", "))) FROM STDIN (FORMAT binary)"
    }
}
