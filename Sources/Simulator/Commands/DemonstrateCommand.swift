import ArgumentParser
import Foundation
import GrootCore
import Synchronization

/// Records expert demonstrations for training.
struct DemonstrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demonstrate",
        abstract: "Record demonstrations of the scripted expert.",
        discussion: """
            DIR receives index.json and flat little-endian files, one row per 10 Hz frame: images.u8 \
            [F,2,96,96,3] (head, chest, RGB), state.f32 [F,16] (14 joints in rad, 2 claws 0…100), chunk.f32 \
            [F,16,16] (planned absolute targets, 0.1 s apart), aux.f32 [F,5] (x, y, z, yaw of the named carton, \
            phase; not-a-number where no carton is named), task.u8 [F,96] (lower-case UTF-8, zero padded).
            """
    )

    @Option(help: "Number of successful episodes to keep.") var episodes = 400
    @Option(help: "Seed of the first episode.") var seed: UInt64 = 1
    @Option(help: "Directory to write into.") var out: String
    @Option(help: "Threads that play episodes.") var threads = 2
    @Option(help: "Joint-command noise levels in rad, one drawn per episode.") var sigmaSet = "0,0.006,0.012,0.02"
    @Option(help: "Additional clips whose task must be refused.") var refuseClips = 0

    func run() throws {
        SoftwareRendering.useCallingThread()
        let sigmas = sigmaSet.split(separator: ",").compactMap { Double($0) }
        guard !sigmas.isEmpty, sigmas.allSatisfy({ $0 >= 0 && $0 < 0.1 }) else {
            throw ValidationError("--sigma-set needs numbers between 0 and 0.1, e.g. 0,0.006")
        }
        guard (1...64).contains(threads) else { throw ValidationError("--threads must be 1 to 64") }
        let recorder = try DemonstrationRecorder(
            directory: out,
            seed: seed,
            episodes: episodes,
            refuseClips: refuseClips,
            sigmas: sigmas
        )
        let failure = Mutex<SimulatorError?>(nil)
        let finished = Atomic<Bool>(false)
        let progress = Thread { [recorder] in
            while !finished.load(ordering: .relaxed) {
                print(recorder.progress)
                Thread.sleep(forTimeInterval: 1)
            }
        }
        progress.start()
        DispatchQueue.concurrentPerform(iterations: threads) { _ in
            do throws(SimulatorError) {
                while let job = recorder.nextJob() {
                    let clip = try DemonstrationClip.play(seed: job.seed, kind: job.kind, sigmas: sigmas)
                    try recorder.finished(job, clip)
                }
            } catch {
                failure.withLock { $0 = error }
                recorder.stop()
            }
        }
        finished.store(true, ordering: .relaxed)
        if let failure = failure.withLock({ $0 }) { throw failure }
        try recorder.close()
        print(recorder.progress)
    }
}
