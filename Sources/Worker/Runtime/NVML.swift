import CONNXRuntime

/// NVIDIA's management library, opened at run time: how busy and how warm each GPU is.
@safe
// SAFETY: constant after `init`; the library's calls may come from any thread.
package final class NVML: @unchecked Sendable {
    /// What one GPU says of itself; nil for what it does not say.
    package struct Reading: Sendable, Equatable {
        /// Share of the last sampling period in which a kernel ran, 0 to 1.
        package var utilization: Double?
        package var celsius: Double?
        package var usedBytes: Double?
        package var totalBytes: Double?
    }

    package struct Device: Sendable, Equatable {
        /// The library's own numbering, which counts every GPU of the machine.
        package var index: Int
        /// `GPU-...`
        package var uuid: String
    }

    private var library = groot_nvml()

    /// - Throws: `runtimeMissing` with the loader's own words.
    package init(path: String) throws(WorkerError) {
        var problem = [CChar](repeating: 0, count: 512)
        guard unsafe groot_nvml_open(path, &library, &problem, problem.count) == 0 else {
            let reason = String(decoding: problem.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw WorkerError(.runtimeMissing, "NVIDIA's management library cannot be used: \(reason).")
        }
    }

    /// The GPUs of this machine.
    package var devices: [Device] {
        var count: UInt32 = 0
        guard unsafe library.count(&count) == 0 else { return [] }
        return (0..<Int(min(count, 1024))).map { index in
            var text = [CChar](repeating: 0, count: 96)
            let isKnown = unsafe handle(index).map { unsafe library.uuid($0, &text, 96) == 0 } ?? false
            let uuid = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            return Device(index: index, uuid: isKnown ? uuid : "")
        }
    }

    /// Nil when the GPU does not answer at all.
    package func reading(of device: Device) -> Reading? {
        guard let handle = unsafe handle(device.index) else { return nil }
        var reading = Reading()
        var utilization = groot_nvml_utilization()
        if unsafe library.utilization(handle, &utilization) == 0 {
            reading.utilization = Double(utilization.gpu) / 100
        }
        var degrees: UInt32 = 0
        if unsafe library.temperature(handle, Int32(groot_nvml_sensor_gpu), &degrees) == 0 {
            reading.celsius = Double(degrees)
        }
        var memory = groot_nvml_memory()
        if unsafe library.memory(handle, &memory) == 0 {
            reading.usedBytes = Double(memory.used)
            reading.totalBytes = Double(memory.total)
        }
        return reading == Reading() ? nil : reading
    }

    private func handle(_ index: Int) -> OpaquePointer? {
        var found: OpaquePointer?
        return unsafe library.device(UInt32(clamping: index), &found) == 0 ? found : nil
    }
}
