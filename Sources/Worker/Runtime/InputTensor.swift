/// Memory for one model input with room for a whole batch; written row by row, reused for every run.
///
/// Belongs to the thread of the session that reads it. Every write copies and zero-fills the rest of the row.
@safe
final class InputTensor {
    let spec: TensorSpec
    let rowBytes: Int
    let storage: UnsafeMutableRawBufferPointer

    private let capacity: Int

    init(spec: TensorSpec, capacity: Int) {
        self.spec = spec
        self.capacity = capacity
        rowBytes = spec.rowElements * spec.elementType.byteCount
        unsafe storage = .allocate(byteCount: max(1, rowBytes * capacity), alignment: 64)
        unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe storage.deallocate()
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
