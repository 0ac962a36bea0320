import GrootCore
import Testing

struct MetricsRegistryTests {
    @Test
    func rendersThePrometheusTextFormat() {
        let registry = MetricsRegistry()
        registry.counter("groot_b_total", help: "Bs.", labels: ["worker": "w\"1\\"]).increment(by: 3)
        registry.gauge("groot_a_ratio", help: "As.").set(0.5)
        let histogram = registry.histogram("groot_c_seconds", help: "Cs.", bounds: [0.1, 1])
        histogram.record(.milliseconds(50))
        histogram.record(.milliseconds(500))
        histogram.record(.seconds(2))
        #expect(
            registry.render() == """
                # HELP groot_a_ratio As.
                # TYPE groot_a_ratio gauge
                groot_a_ratio 0.5
                # HELP groot_b_total Bs.
                # TYPE groot_b_total counter
                groot_b_total{worker="w\\"1\\\\"} 3
                # HELP groot_c_seconds Cs.
                # TYPE groot_c_seconds histogram
                groot_c_seconds_bucket{le="0.1"} 1
                groot_c_seconds_bucket{le="1.0"} 2
                groot_c_seconds_bucket{le="+Inf"} 3
                groot_c_seconds_sum 2.55
                groot_c_seconds_count 3

                """
        )
    }

    @Test
    func theSameNameAndLabelsAreTheSameInstrument() {
        let registry = MetricsRegistry()
        registry.counter("groot_x_total", help: "x", labels: ["a": "1", "b": "2"]).increment()
        let again = registry.counter("groot_x_total", help: "x", labels: ["b": "2", "a": "1"])
        again.increment()
        #expect(again.count == 2)
    }
}
