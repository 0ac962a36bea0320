import ArgumentParser
import GrootCore

/// Measures how often the scripted expert succeeds.
struct ExpertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "expert",
        abstract: "Play the scripted expert and count how episodes end."
    )

    @Option(help: "Number of episodes.") var episodes = 50
    @Option(help: "Seed of the first episode; the following ones count up.") var seed: UInt64 = 1
    @Option(help: "Joint-command noise in rad.") var sigma = 0.0

    func run() throws {
        var outcomes: [String: Int] = [:]
        var seconds = 0.0
        for index in 0..<episodes {
            let clip = try DemonstrationClip.play(
                seed: seed + UInt64(index),
                kind: .demo,
                sigmas: [sigma],
                pictures: false
            )
            outcomes[clip.outcome.rawValue, default: 0] += 1
            seconds += clip.seconds
            if !clip.outcome.isSuccess { print("seed \(clip.seed): \(clip.outcome.rawValue)") }
        }
        print("sigma \(sigma): \(outcomes), mean \(seconds / Double(max(episodes, 1))) s")
    }
}
