import ArgumentParser
import Foundation
import GrootCore

/// `groot-gateway simulate --arrivals`: every way to choose a worker, at workers of unequal speed.
extension SimulateCommand {
    /// Nil without `--arrivals`.
    func arrivalPlan() throws -> ArrivalSimulation.Configuration? {
        guard let arrivals else {
            if workerMs != nil { throw ValidationError("--worker-ms: needs --arrivals") }
            return nil
        }
        let texts = (workerMs ?? "8,24").split(separator: ",", omittingEmptySubsequences: false)
        let times = texts.compactMap { text in Double(text).flatMap { (0.1...60_000).contains($0) ? $0 / 1000 : nil } }
        guard times.count == texts.count, times.count <= 256 else {
            throw ValidationError("--worker-ms: \"\(workerMs ?? "")\" is no list of numbers from 0.1 to 60000")
        }
        guard (0.01...1e6).contains(arrivals) else {
            throw ValidationError("--arrivals: \(arrivals) is not from 0.01 to 1000000")
        }
        var configuration = ArrivalSimulation.Configuration(workers: times, rate: arrivals)
        configuration.jitter = jitter ?? 0
        configuration.duration = .seconds(seconds ?? 60)
        configuration.seed = seed ?? 1
        guard configuration.load < 1 else {
            let most = Int(arrivals / configuration.load)
            throw ValidationError("--arrivals: these workers serve no more than \(most) requests a second")
        }
        return configuration
    }

    func printArrivals(_ configuration: ArrivalSimulation.Configuration) throws {
        let reports = ArrivalSimulation.Chooser.all.map { ArrivalSimulation.run(configuration, $0) }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            for report in reports { print(String(decoding: try encoder.encode(report), as: UTF8.self)) }
            return
        }
        print("Load \(Int((configuration.load * 100).rounded())) %. Milliseconds to an answer, and who served:")
        func row(_ name: String, _ cells: [String]) -> String {
            name.padding(toLength: 26, withPad: " ", startingAt: 0)
                + cells.map { $0.padding(toLength: 10, withPad: " ", startingAt: 0) }.joined()
        }
        print(row("policy", ["p50", "p90", "p99", "shares, %"]))
        for report in reports {
            let shares = report.shares.map { "\($0)" }.joined(separator: " / ")
            print(row(report.chooser, ["\(report.p50)", "\(report.p90)", "\(report.p99)", shares]))
        }
    }
}
