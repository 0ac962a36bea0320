import CONNXRuntime

/// A block of a session's device memory at a fixed address, and how bytes get there and back.
///
/// Belongs to the thread of its session, which it keeps alive: the allocator is the session's.
@safe
final class DeviceMemory {
    /// How host and device exchange bytes.
    enum Copy {
        /// Device memory is host memory: the CPU provider, which tries the same path without a GPU.
        case host
        case cuda(CUDADriver)
    }

    let address: UnsafeMutableRawPointer

    private let session: ORTSession
    private let allocator: OpaquePointer
    private let copy: Copy

    /// - Parameter allocator: of the session; stays the session's.
    init(session: ORTSession, allocator: OpaquePointer, bytes: Int, copy: Copy) throws(WorkerError) {
        var found: UnsafeMutableRawPointer?
        let library = session.library
        unsafe try library.check(
            library.api.pointee.allocator_alloc(allocator, bytes, &found),
            "reserve \(bytes) bytes on the device"
        )
        guard let found = unsafe found else {
            throw WorkerError(.badCheckpoint, "The device has no \(bytes) bytes left; take a smaller --max-batch.")
        }
        unsafe address = found
        self.session = session
        unsafe self.allocator = allocator
        self.copy = copy
    }

    deinit {
        // Cannot fail for an address of this allocator, and there is nobody to tell.
        if let status = unsafe session.library.api.pointee.allocator_free(allocator, address) {
            unsafe session.library.api.pointee.release_status(status)
        }
    }

    func write(from source: UnsafeRawBufferPointer) throws(WorkerError) {
        switch copy {
        case .host:
            unsafe address.copyMemory(from: source.baseAddress ?? UnsafeRawPointer(address), byteCount: source.count)
        case .cuda(let driver): unsafe try driver.copy(source, toDevice: address)
        }
    }

    func read(into target: UnsafeMutableRawBufferPointer) throws(WorkerError) {
        switch copy {
        case .host: unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: address, count: target.count))
        case .cuda(let driver): unsafe try driver.copy(fromDevice: address, to: target)
        }
    }
}

/// The opened CUDA driver. Constant after `init`; its calls concern the context of the calling thread.
@safe
final class CUDADriver {
    private var driver = groot_cuda_driver()

    /// - Throws: `runtimeMissing` with the loader's own words.
    init(path: String = "libcuda.so.1") throws(WorkerError) {
        var problem = [CChar](repeating: 0, count: 512)
        guard unsafe groot_cuda_open(path, &driver, &problem, problem.count) == 0 else {
            let reason = String(decoding: problem.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw WorkerError(
                .runtimeMissing,
                "The CUDA driver cannot be used: \(reason). Install NVIDIA's driver, or take --device cpu."
            )
        }
    }

    /// Free bytes of the current device; nil when it does not say.
    var freeBytes: Int? {
        var free = 0
        var total = 0
        return unsafe driver.memory_info(&free, &total) == 0 ? free : nil
    }

    /// After an error in a kernel every call of this process fails, until it ends.
    var isLost: Bool { unsafe driver.synchronize_stream(nil) != 0 }

    /// Returns when the bytes are on the device: a copy from pageable memory alone may return before.
    func copy(_ source: UnsafeRawBufferPointer, toDevice address: UnsafeMutableRawPointer) throws(WorkerError) {
        let target = UInt64(UInt(bitPattern: address))
        unsafe try check(driver.copy_to_device(target, source.baseAddress, source.count), "copy an input to")
        unsafe try check(driver.synchronize_stream(nil), "wait for an input on")
    }

    func copy(fromDevice address: UnsafeMutableRawPointer, to target: UnsafeMutableRawBufferPointer) throws(WorkerError)
    {
        let source = UInt64(UInt(bitPattern: address))
        unsafe try check(driver.copy_to_host(target.baseAddress, source, target.count), "copy the answer from")
    }

    private func check(_ result: Int32, _ doing: String) throws(WorkerError) {
        guard result != 0 else { return }
        var name: UnsafePointer<CChar>?
        _ = unsafe driver.error_name(result, &name)
        let text = unsafe name.map { unsafe String(cString: $0) } ?? "error \(result)"
        throw WorkerError(.inferenceFailed, "The CUDA driver failed to \(doing) the GPU: \(text).")
    }
}
