import GrootCore

// Who gets which worker, and which workers are fit to get anything.
extension Setting {
    static let scheduling: [Setting] = [
        Setting(key: "policy", text: RoutingPolicy.allCases.map(\.rawValue).joined(separator: ", ")) {
            (value, settings) throws(GatewaySettings.Problem) in
            guard let policy = RoutingPolicy(rawValue: value) else {
                let known = RoutingPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                throw .init("there is no policy \"\(value)\"; there are: \(known)")
            }
            settings.gateway.scheduling.policy = policy
        } show: {
            $0.gateway.scheduling.policy.rawValue
        },
        .flag("hedge", "ask a second worker for a robot that is about to run dry", \.gateway.hedges),
        .time("overdue-ms", "ask a second worker when an answer is so late; 0: never", 0...600_000, \.gateway.overdue),
        .count(
            "full-scan-limit",
            "up to so many workers all are compared",
            1...4096,
            \.gateway.scheduling.fullScanLimit
        ),
        .count("credit-batches", "batches on one worker's books", 1...16, \.gateway.scheduling.creditBatches),
        .time(
            "dispatch-lead-ms",
            "the next batch is sent before the running one ends",
            0...10_000,
            \.gateway.scheduling.dispatchLead
        ),
        .count(
            "largest-batch",
            "no worker's batches are believed to be larger",
            1...1024,
            \.gateway.scheduling.largestBatch
        ),
        .count(
            "unknown-credit",
            "requests on the books of a worker without batch size",
            1...100_000,
            \.gateway.scheduling.unknownCapacityCredit
        ),
        .count(
            "worker-requests",
            "circuit breaker: requests on one worker's books",
            1...100_000,
            \.gateway.scheduling.maxRequestsPerWorker
        ),
        .count("waiting-limit", "requests in the central queue", 1...100_000, \.gateway.scheduling.waitingLimit),
        .time(
            "failure-penalty-ms",
            "added to the expected delay after a failure",
            0...300_000,
            \.gateway.scheduling.failurePenalty
        ),
        .time(
            "longest-pushback-ms",
            "longest wait that a refusing worker may ask for",
            0...3_600_000,
            \.gateway.scheduling.longestPushback
        ),
        .time("slow-start-ms", "a new worker gets its full share after", 0...600_000, \.gateway.scheduling.slowStart),
        .share("affinity", "a robot keeps a worker that is so much slower", 0...10, \.gateway.scheduling.affinity),
        .share(
            "bounded-load",
            "share of the average load that one worker may get",
            1...100,
            \.gateway.scheduling.boundedLoad
        ),
        .share(
            "patience",
            "waits for a busy worker that answers so many times sooner",
            1...1000,
            \.gateway.scheduling.patience
        ),
        .time(
            "longest-hint-ms",
            "longest groot-next-observation-after-ms",
            1...60_000,
            \.gateway.scheduling.longestHint
        ),
        .count("retry-limit", "repetitions of one request", 0...10, \.gateway.retryLimit),
        .count("retry-minimum", "repetitions at a time, at least", 0...10_000, \.gateway.scheduling.retryMinimum),
        .share(
            "retry-share",
            "repetitions at a time, share of active requests",
            0...1,
            \.gateway.scheduling.retryShare
        ),
        .time(
            "retry-lateness-ms",
            "a repetition may come so long after the robot ran dry",
            0...60_000,
            \.gateway.scheduling.retryLateness
        ),
        .count(
            "robot-limit",
            "robots that are remembered",
            1...1_000_000,
            live: false,
            \.gateway.scheduling.robotLimit
        ),
    ]

    static let health: [Setting] = [
        .time(
            "health-interval-ms",
            "between two health checks",
            50...60_000,
            live: false,
            \.gateway.health.checkInterval
        ),
        .time("health-timeout-ms", "of a health check", 10...60_000, live: false, \.gateway.health.checkTimeout),
        .count(
            "health-failures",
            "failed checks until a worker is down",
            1...100,
            live: false,
            \.gateway.health.failuresUntilDown
        ),
        .time(
            "connect-timeout-ms",
            "of a connection to a worker",
            10...60_000,
            live: false,
            \.gateway.health.connectTimeout
        ),
        .count(
            "outlier-failures",
            "failures in a row that eject",
            1...1000,
            \.gateway.scheduling.outlier.consecutiveFailures
        ),
        .time(
            "outlier-timeout-ms",
            "a request given up after so long, and three times what was expected, is a failure of its worker",
            10...600_000,
            \.gateway.scheduling.outlier.timeout
        ),
        .share(
            "outlier-failure-share",
            "share of failures between two looks that ejects",
            0...1,
            \.gateway.scheduling.outlier.failureShare
        ),
        .count(
            "outlier-failure-volume",
            "requests from which on that share counts",
            1...100_000,
            \.gateway.scheduling.outlier.failureVolume
        ),
        .time(
            "outlier-sweep-ms",
            "between two looks at success rates",
            100...600_000,
            \.gateway.scheduling.outlier.sweepInterval
        ),
        .time(
            "outlier-ejection-ms",
            "first ejection; later ones are multiples",
            100...600_000,
            \.gateway.scheduling.outlier.baseEjection
        ),
        .time("outlier-longest-ms", "longest ejection", 100...3_600_000, \.gateway.scheduling.outlier.longestEjection),
        .share(
            "outlier-share",
            "share of the workers that may be ejected; one always may",
            0...1,
            \.gateway.scheduling.outlier.maxEjectedShare
        ),
        .share(
            "panic-share",
            "below this share of workers left, ejections are ignored",
            0...1,
            \.gateway.scheduling.outlier.panicShare
        ),
    ]
}
