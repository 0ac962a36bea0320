import Foundation

/// A file that worker and child have both mapped: observations go in, chunks come out.
///
/// Owned by the child's actor; the socket's messages order the accesses of the two processes. The file has no name any
/// more once the child has mapped it, so that nothing is left behind whoever dies.
@safe
final class SharedArena {
    let layout: ArenaLayout
    private let memory: UnsafeMutableRawPointer

    /// - Throws: `badCheckpoint` when the memory cannot be had: a full disk or /dev/shm is found here, not as a bus
    ///   error in the middle of an inference.
    init(layout: ArenaLayout) throws(WorkerError) {
        self.layout = layout
        let size = max(layout.bytes, 1)
        func failed(_ doing: String, _ number: Int32) -> WorkerError {
            WorkerError(
                .badCheckpoint,
                "Cannot \(doing) \(size >> 20) MiB of shared memory at \(layout.path): \(unsafe String(cString: strerror(number)))."
                    + " Make room there, or take a smaller --max-batch."
            )
        }
        let file = unsafe open(layout.path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failed("create", errno) }
        defer { close(file) }
        let reserved = posix_fallocate(file, 0, off_t(size))
        guard reserved == 0 else {
            unsafe unlink(layout.path)
            throw failed("reserve", reserved)
        }
        let mapped = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
            let number = errno
            unsafe unlink(layout.path)
            throw failed("map", number)
        }
        unsafe memory = mapped
    }

    deinit {
        unsafe unlink(layout.path)
        unsafe munmap(memory, max(layout.bytes, 1))
    }

    /// The child has its own mapping: the name is not needed any more.
    func forgetName() { unsafe unlink(layout.path) }

    /// Writes one row of a region and zeros behind it.
    func write<Element: BitwiseCopyable>(_ values: [Element], to region: String, row: Int) {
        guard let target = unsafe place(region, row) else { return }
        unsafe values.withUnsafeBytes { source in
            precondition(source.count <= target.count, "\(region) takes \(target.count) bytes, not \(source.count)")
            unsafe target.copyBytes(from: source)
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[source.count...])
                .initializeMemory(as: UInt8.self, repeating: 0)
        }
    }

    /// One row of numbers.
    func floats(in region: String, row: Int) -> [Float] {
        guard let source = unsafe place(region, row) else { return [] }
        return unsafe Array(source.bindMemory(to: Float.self))
    }

    private func place(_ region: String, _ row: Int) -> UnsafeMutableRawBufferPointer? {
        guard let found = layout.regions[region] else { return nil }
        precondition(row >= 0 && row < layout.maxBatch, "row \(row) of \(layout.maxBatch)")
        let start = unsafe memory + found.offset + row * found.rowBytes
        return unsafe UnsafeMutableRawBufferPointer(start: start, count: found.rowBytes)
    }
}
