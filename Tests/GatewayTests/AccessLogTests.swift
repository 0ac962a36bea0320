import GrootCore
import Logging
import Testing

@testable import Gateway

struct AccessLogTests {
    private func log(sample: Double, rate: Int) -> (AccessLog, GatewayMetrics) {
        let metrics = GatewayMetrics(MetricsRegistry())
        var configuration = AccessLog.Configuration()
        configuration.sample = sample
        configuration.rate = rate
        return (AccessLog(configuration, logger: Logger(label: "test"), metrics: metrics), metrics)
    }

    @Test
    func failuresAreWrittenUpToTheRateAndTheRestCounted() {
        let (log, metrics) = log(sample: 0, rate: 5)
        let start = MonotonicInstant.now() + .seconds(1)
        #expect((0..<20).count { _ in log.admits(status: 14, at: start) } == 5)
        #expect(metrics.accessLogDropped.count == 15)
        #expect((0..<20).count { _ in log.admits(status: 14, at: start + .seconds(1)) } == 5)
        #expect((0..<20).count { _ in log.admits(status: 0, at: start + .seconds(9)) } == 0)
    }

    @Test
    func goodAnswersAreSampled() {
        let (log, _) = log(sample: 0.25, rate: 1000)
        let now = MonotonicInstant.now() + .seconds(1)
        #expect((0..<100).count { _ in log.admits(status: 0, at: now) } == 25)
        log.configure(AccessLog.Configuration(sample: 1, rate: 0))
        #expect(!log.admits(status: 14, at: now))
    }
}
