package import GrootCore
package import Logging
import ServiceLifecycle

/// The GPUs that this worker may use, as NVIDIA's management library sees them, in the worker's metrics.
///
/// One task. Without the library or a GPU there are no such series. A GPU that stops answering loses its series, so that
/// nobody takes its last values for the present.
package struct GPUTelemetry: Service {
    /// How often the GPUs are asked; the library itself samples over up to a second.
    package static let period: Duration = .seconds(2)
    /// Where the driver installs it; `GROOT_NVML` names another file.
    package static let defaultPath = "libnvidia-ml.so.1"

    private let library: NVML
    private let devices: [NVML.Device]
    private let registry: MetricsRegistry
    private let logger: Logger

    /// - Returns: nil where there is no GPU to look at; the reason goes into the log at level debug.
    package init?(environment: [String: String], registry: MetricsRegistry, logger: Logger) {
        do {
            library = try NVML(path: environment["GROOT_NVML"] ?? Self.defaultPath)
        } catch {
            logger.debug("no GPU metrics", metadata: ["error": "\(error)"])
            return nil
        }
        devices = library.devices.filter { Self.isVisible($0, to: environment["CUDA_VISIBLE_DEVICES"]) }
        self.registry = registry
        self.logger = logger
        guard !devices.isEmpty else { return nil }
    }

    package func run() async {
        await cancelWhenGracefulShutdown {
            var silent: Set<Int> = []
            while !Task.isCancelled {
                look(&silent)
                // Cancellation is seen at the loop's head.
                try? await Task.sleep(for: Self.period)
            }
        }
    }

    /// Asks every GPU once.
    ///
    /// - Parameter silent: the GPUs that did not answer the last time.
    package func look(_ silent: inout Set<Int>) {
        for device in devices {
            let labels = ["gpu": "\(device.index)", "uuid": device.uuid]
            guard let reading = library.reading(of: device) else {
                registry.remove(labels: labels)
                if silent.insert(device.index).inserted {
                    logger.warning("a GPU does not answer the driver any more", metadata: ["peer": "\(device.uuid)"])
                }
                continue
            }
            silent.remove(device.index)
            func set(_ name: String, _ help: String, _ value: Double?) {
                if let value { registry.gauge(name, help: help, labels: labels).set(value) }
            }
            set("groot_worker_gpu_utilization_ratio", "Share of time in which a kernel ran.", reading.utilization)
            set("groot_worker_gpu_temperature_celsius", "Temperature of the GPU.", reading.celsius)
            set("groot_worker_gpu_memory_used_bytes", "Memory in use, of all processes.", reading.usedBytes)
            set("groot_worker_gpu_memory_bytes", "Memory of the GPU.", reading.totalBytes)
        }
    }

    /// Whether a GPU is among those that CUDA shows to this process.
    ///
    /// - Parameter wanted: `CUDA_VISIBLE_DEVICES`: numbers or beginnings of UUIDs; nil shows all.
    package static func isVisible(_ device: NVML.Device, to wanted: String?) -> Bool {
        guard let wanted else { return true }
        return wanted.split(separator: ",").contains { entry in
            let name = String(entry).trimmed
            return Int(name).map { $0 == device.index } ?? (name.hasPrefix("GPU-") && device.uuid.hasPrefix(name))
        }
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
