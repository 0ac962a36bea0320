/// What a worker says of one checkpoint that it serves.
struct DescribedPolicy: Sendable, Equatable {
    var checkpoint: String
    /// 0 when it does not say.
    var maxBatch = 0
    var batchTimes: [BatchTime] = []

    struct BatchTime: Sendable, Equatable {
        var batch: Int
        var time: Duration
    }
}
