import Foundation
import GrootCore
import Testing

@testable import Gateway

/// What workers report of their load, other gateways' included.
struct SchedulerReportTests {
    @Test
    func whatOtherGatewaysSendCounts() {
        var bench = Bench(workers: 2, batch: 4, times: [[50, 60, 70, 80], [50, 60, 70, 80]])
        let ticket = bench.sendUntil(bench.ids[0])
        bench.now = bench.now + .milliseconds(50)
        var load = WorkerLoad()
        load.queue = 4
        load.running = 4
        load.leftSeconds = 0.08
        load.batchSeconds = 0.05
        _ = bench.scheduler.finished(ticket, .answered, load: load, at: bench.now)
        #expect(bench.scheduler.worker(bench.ids[0])?.presentForeign(at: bench.now) == 8)
        #expect(bench.send()?.worker == bench.ids[1])
        bench.now = bench.now + .seconds(3)
        #expect((bench.scheduler.worker(bench.ids[0])?.presentForeign(at: bench.now) ?? 1) < 0.1)
    }

    @Test
    func orcaTextIsReadAndNonsenseIsNot() {
        let load = WorkerLoad(
            "TEXT named_metrics.queue=2, named_metrics.running=4,named_metrics.batch_capacity=8,x=y,named_metrics.batch_ms=23.5"
        )
        #expect(load?.queue == 2 && load?.running == 4 && load?.capacity == 8 && load?.batchSeconds == 0.0235)
        #expect(load?.leftSeconds == nil)
        for text in [
            "", "TEXT", "JSON {}", "TEXT named_metrics.queue=-1", "TEXT named_metrics.queue=nan", "TEXT ,,=,=",
        ] {
            #expect(WorkerLoad(text) == nil)
        }
    }
}
