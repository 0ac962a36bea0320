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
    func aSeriesGoesOnUnderAnotherLabel() {
        let registry = MetricsRegistry(labels: ["site": "a"])
        let labels = ["address": "h:1", "worker": ""]
        let counter = registry.counter("groot_x_total", help: "x", labels: labels)
        let other = registry.counter("groot_x_total", help: "x", labels: ["address": "h:2", "worker": ""])
        counter.increment()
        registry.relabel(labels, "worker", to: "a\"b")
        counter.increment()
        other.increment()
        let lines = registry.render().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                #"groot_x_total{address="h:1",site="a",worker="a\"b"} 2"#,
                #"groot_x_total{address="h:2",site="a",worker=""} 1"#,
            ]
        )
        // Twice, or of nobody: nothing happens.
        registry.relabel(labels, "worker", to: "c")
        registry.relabel(["address": "h:3", "worker": ""], "worker", to: "c")
        #expect(!registry.render().contains("worker=\"c\""))
        registry.relabel(["address": "h:1", "worker": "a\"b"], "worker", to: "d")
        #expect(registry.counter("groot_x_total", help: "x", labels: ["address": "h:1", "worker": "d"]) === counter)
        registry.remove(labels: ["address": "h:1"])
        #expect(!registry.render().contains("h:1"))
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
