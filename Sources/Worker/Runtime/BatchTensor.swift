import GrootCore

/// Memory for one input or output of a model with room for a whole batch, at one address for its whole life.
///
/// Rows are written and read in host memory. On a GPU every row has a twin in device memory, to which `upload` and from
/// which `download` copies. Belongs to the thread of the session that uses it. Every write copies and zero-fills the
/// rest of the row.
@safe
final class BatchTensor {
    let spec: TensorSpec
    let rowBytes: Int
    let storage: UnsafeMutableRawBufferPointer

    private let capacity: Int
    private let device: DeviceMemory?

    /// - Parameter allocate: makes the twin, so many bytes; nil on the CPU, which reads host memory.
    init(
        spec: TensorSpec,
        capacity: Int,
        allocate: ((Int) throws(WorkerError) -> DeviceMemory)? = nil
    ) throws(WorkerError) {
        guard let rowBytes = spec.rowBytes, let all = CheckedSize.product(rowBytes, capacity),
            all <= PolicyDescription.maximumBatchBytes
        else {
            throw WorkerError(
                .badCheckpoint,
                "\(spec) is too large for a batch of \(capacity); take a smaller --max-batch."
            )
        }
        let bytes = max(1, all)
        device = try allocate?(bytes)
        self.spec = spec
        self.capacity = capacity
        self.rowBytes = rowBytes
        unsafe storage = .allocate(byteCount: bytes, alignment: 64)
        unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe storage.deallocate()
    }

    /// Where the session finds the tensor.
    var address: UnsafeMutableRawPointer? { unsafe device?.address ?? storage.baseAddress }

    func upload(rows: Int) throws(WorkerError) {
        unsafe try device?.write(from: UnsafeRawBufferPointer(rebasing: storage[..<(rows * rowBytes)]))
    }

    func download(rows: Int) throws(WorkerError) {
        unsafe try device?.read(into: UnsafeMutableRawBufferPointer(rebasing: storage[..<(rows * rowBytes)]))
    }

    /// Writes one row of numbers in the tensor's own precision.
    func write(_ values: [Float], row: Int) {
        if spec.elementType == .float16 {
            writeBytes(values.map { Float16($0) }, row: row)
        } else {
            writeBytes(values, row: row)
        }
    }

    func write(_ values: [UInt8], row: Int) { writeBytes(values, row: row) }

    func write(_ values: [Int64], row: Int) { writeBytes(values, row: row) }

    /// One row of numbers, whatever their precision.
    func floats(row: Int) -> [Float] {
        precondition(row >= 0 && row < capacity, "row \(row) of \(capacity)")
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: storage[row * rowBytes..<(row + 1) * rowBytes])
        return unsafe spec.elementType == .float16
            ? bytes.bindMemory(to: Float16.self).map { Float($0) } : Array(bytes.bindMemory(to: Float.self))
    }

    /// Writes one row; a shorter value is followed by zeros. A longer one is a broken invariant: sizes are
    /// checked when a request arrives.
    private func writeBytes<Element: BitwiseCopyable>(_ values: [Element], row: Int) {
        precondition(row >= 0 && row < capacity, "row \(row) of \(capacity)")
        unsafe values.withUnsafeBytes { source in
            precondition(source.count <= rowBytes, "\(spec.name) takes \(rowBytes) bytes a row, not \(source.count)")
            let target = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[row * rowBytes..<(row + 1) * rowBytes])
            unsafe target.copyBytes(from: source)
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[source.count...])
                .initializeMemory(as: UInt8.self, repeating: 0)
        }
    }
}
