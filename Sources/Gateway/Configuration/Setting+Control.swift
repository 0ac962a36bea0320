import GrootCore

// The control plane: what one identity may use of it, and what is kept of what cannot be stored.
extension Setting {
    static let control: [Setting] = [
        .count(
            "control-calls",
            "control-plane calls of one identity at a time",
            1...256,
            live: false,
            \.budgets.calls
        ),
        .count(
            "telemetry-rows",
            "telemetry records of one identity per second, in the long run",
            100...10_000_000,
            live: false,
            \.budgets.rowsPerSecond
        ),
        .count(
            "telemetry-bytes",
            "telemetry bytes of one identity per second, in the long run",
            65_536...(1 << 40),
            live: false,
            \.budgets.bytesPerSecond
        ),
        .count(
            "quarantine-limit",
            "records of one robot that cannot be stored and are kept in the table quarantine",
            0...1_000_000,
            live: false,
            \.quarantineLimit
        ),
        .time(
            "episode-silence-ms",
            "an episode of which nothing was heard for so long is closed as aborted",
            60_000...2_592_000_000,
            live: false,
            \.episodeSilence
        ),
    ]
}
