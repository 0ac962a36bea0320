import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// The worker's view of its GPUs, with a management library that the test builds.
@Suite(.serialized)
struct GPUTelemetryTests {
    private struct Machine {
        let folder: TemporaryDirectory
        let registry = MetricsRegistry()
        private var says: URL { folder.url.appending(path: "gpus") }

        init() throws {
            folder = try TemporaryDirectory()
            let build = Process()
            build.executableURL = URL(filePath: "/usr/bin/cc")
            let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/fake_nvml.c")
            build.arguments = ["-shared", "-fPIC", "-o", library.path, source.path]
            try build.run()
            build.waitUntilExit()
            try #require(build.terminationStatus == 0)
            // The library reads the environment of the process that it is loaded into.
            unsafe setenv("GROOT_FAKE_NVML", says.path, 1)
        }

        var library: URL { folder.url.appending(path: "libnvidia-ml.so.1") }

        func say(_ first: String, _ second: String) throws {
            try Data((first + "\n" + second + "\n").utf8).write(to: says)
        }

        func telemetry(visible: String? = nil) -> GPUTelemetry? {
            var environment = ["GROOT_NVML": library.path]
            environment["CUDA_VISIBLE_DEVICES"] = visible
            return GPUTelemetry(environment: environment, registry: registry, logger: Logger(label: "test"))
        }

        func series() -> [String] {
            registry.render().split(separator: "\n").map(String.init).filter {
                $0.hasPrefix("groot_worker_gpu") && !$0.hasPrefix("#")
            }.sorted()
        }
    }

    @Test func aGPUsLoadAndTemperatureAreMetrics() throws {
        let machine = try Machine()
        try machine.say("87 64 1073741824 150754820096", "3 41 -1 -1")
        let telemetry = try #require(machine.telemetry())
        var silent: Set<Int> = []
        telemetry.look(&silent)
        #expect(silent.isEmpty)
        let first = #"{gpu="0",uuid="GPU-fake-0"}"#
        let second = #"{gpu="1",uuid="GPU-fake-1"}"#
        #expect(
            machine.series() == [
                "groot_worker_gpu_memory_bytes\(first) 150754820096.0",
                "groot_worker_gpu_memory_used_bytes\(first) 1073741824.0",
                "groot_worker_gpu_temperature_celsius\(first) 64.0",
                "groot_worker_gpu_temperature_celsius\(second) 41.0",
                "groot_worker_gpu_utilization_ratio\(first) 0.87",
                "groot_worker_gpu_utilization_ratio\(second) 0.03",
            ]
        )
    }

    @Test func aLostGPULosesItsSeriesAndFindsThemAgain() throws {
        let machine = try Machine()
        try machine.say("87 64 1 2", "10 40 1 2")
        let telemetry = try #require(machine.telemetry())
        var silent: Set<Int> = []
        telemetry.look(&silent)
        #expect(machine.series().count == 8)
        try machine.say("lost", "20 50 1 2")
        telemetry.look(&silent)
        #expect(silent == [0])
        #expect(machine.series().count == 4 && machine.series().allSatisfy { $0.contains(#"gpu="1""#) })
        try machine.say("1 30 1 2", "20 50 1 2")
        telemetry.look(&silent)
        #expect(silent.isEmpty && machine.series().count == 8)
    }

    @Test(arguments: [("1", [1]), ("GPU-fake-0", [0]), ("0, 1", [0, 1]), ("MIG-1", []), ("", []), ("7", [])])
    func onlyTheWorkersOwnGPUsAreShown(visible: String, shown: [Int]) throws {
        let machine = try Machine()
        try machine.say("1 1 1 1", "2 2 2 2")
        guard let telemetry = machine.telemetry(visible: visible) else {
            #expect(shown.isEmpty)
            return
        }
        var silent: Set<Int> = []
        telemetry.look(&silent)
        #expect(
            machine.series().filter { $0.contains("temperature") }.count == shown.count
                && shown.allSatisfy { gpu in machine.series().contains { $0.contains("gpu=\"\(gpu)\"") } }
        )
    }

    @Test func withoutALibraryThereIsNothing() throws {
        let machine = try Machine()
        let none = GPUTelemetry(
            environment: ["GROOT_NVML": machine.folder.url.appending(path: "none.so").path],
            registry: machine.registry,
            logger: Logger(label: "test")
        )
        #expect(none == nil && machine.series().isEmpty)
        // Any other library: it opens and is none.
        let other = GPUTelemetry(
            environment: ["GROOT_NVML": "libc.so.6"],
            registry: machine.registry,
            logger: Logger(label: "test")
        )
        #expect(other == nil && machine.series().isEmpty)
    }
}
