extension Queries {
    /// Where a batch lands before it is merged: one per connection, emptied by every commit, no constraint.
    package static let createInferenceStaging = """
        CREATE TEMPORARY TABLE IF NOT EXISTS inference_staging (
            robot text, boot text, sequence bigint, episode_id uuid, request_id text, observation_index bigint,
            worker text, checkpoint text, captured_at_unix_ns bigint, latency_ns bigint, runway_at_send_ns bigint,
            runway_at_arrival_ns bigint, chunk_rows integer, stale_rows integer, attempts integer, skew_ns bigint,
            encode_ns bigint, round_trip_ns bigint, worker_queue_ns bigint, worker_decode_ns bigint,
            worker_preprocess_ns bigint, worker_infer_ns bigint, worker_postprocess_ns bigint,
            worker_encode_ns bigint, batch_size integer, status text, message text, request_bytes bigint
        ) ON COMMIT DELETE ROWS
        """

    /// Columns in the order of `InferenceRow.appendCopyLine`.
    static let copyInferences = """
        COPY pg_temp.inference_staging (
            robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint,
            captured_at_unix_ns, latency_ns, runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts,
            skew_ns, encode_ns, round_trip_ns, worker_queue_ns, worker_decode_ns, worker_preprocess_ns,
            worker_infer_ns, worker_postprocess_ns, worker_encode_ns, batch_size, status, message, request_bytes
        ) FROM STDIN
        """

    /// Merges the staged batch.
    ///
    /// Sorted, so that two overlapping batches lock rows in the same order.
    static let insertStagedInferences = Query(
        "insert_staged_inferences",
        sql: """
            INSERT INTO inferences (
                robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint, captured_at,
                latency_ns, runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns,
                encode_ns, round_trip_ns, worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns,
                worker_postprocess_ns, worker_encode_ns, batch_size, status, message, request_bytes
            )
            SELECT
                robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint,
                timestamptz 'epoch' + (captured_at_unix_ns / 1000) * interval '1 microsecond',
                latency_ns, runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns,
                encode_ns, round_trip_ns, worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns,
                worker_postprocess_ns, worker_encode_ns, batch_size, status, message, request_bytes
            FROM pg_temp.inference_staging
            ORDER BY robot, boot, sequence
            ON CONFLICT (robot, boot, sequence) DO NOTHING
            """
    )
}
