/// Ornstein–Uhlenbeck noise on joint commands, one step per 0.1 s; stationary deviation `sigma` rad.
struct CommandNoise: Sendable {
    static let retain = 0.85
    let sigma: Double
    private var value = [Double](repeating: 0, count: 14)

    init(sigma: Double) {
        self.sigma = sigma
    }

    mutating func disturb(_ target: [Double], using random: inout SeededGenerator) -> [Double] {
        var target = target
        let fresh = (1 - Self.retain * Self.retain).squareRoot() * sigma
        for joint in 0..<14 {
            value[joint] = Self.retain * value[joint] + fresh * random.normal()
            target[joint] += value[joint]
        }
        return target
    }
}
