import GrootCore

@testable import RobotAgent

extension ActionQueue.Configuration {
    /// Ten rows a second on a hundred ticks, as every robot has had them; what depends on the rates is tested with others, too.
    init(
        dimensions: Int,
        claws: Range<Int>,
        maximumRows: Int,
        aggregate: AggregateFunction = .weightedAverage,
        blendTicks: Int = 30
    ) {
        self.init(
            dimensions: dimensions,
            claws: claws,
            maximumRows: maximumRows,
            rate: ControlRate(hertz: 100),
            period: .milliseconds(100),
            aggregate: aggregate,
            blendTicks: blendTicks
        )
    }
}
