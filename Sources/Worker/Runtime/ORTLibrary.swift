import CONNXRuntime

/// The opened ONNX Runtime and its function table.
///
/// Opened once, never closed. Any thread: the table is constant after `init`.
@safe
// SAFETY: the table is constant data of a library that stays open for the life of the process.
final class ORTLibrary: @unchecked Sendable {
    /// Newest table this code was tried with; older libraries hand out a lower one.
    static let newestTable: UInt32 = 32

    private let table: UnsafePointer<groot_ort_api>
    /// Text of the library, e.g. `1.32.0`.
    let version: String
    /// Which table it handed out.
    let apiVersion: Int
    let path: String

    var api: UnsafePointer<groot_ort_api> { unsafe table }

    /// - Throws: `runtimeMissing` with the loader's own words.
    init(path: String) throws(WorkerError) {
        var library = unsafe groot_ort_library()
        var problem = [CChar](repeating: 0, count: 512)
        let opened = unsafe groot_ort_open(path, Self.newestTable, &library, &problem, problem.count)
        guard opened == 0, let table = unsafe library.api else {
            let reason = String(decoding: problem.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw WorkerError(.runtimeMissing, "The ONNX Runtime library \(path) cannot be used: \(reason).")
        }
        unsafe self.table = table
        version = unsafe library.version.map { unsafe String(cString: $0) } ?? "unknown"
        apiVersion = Int(unsafe library.api_version)
        self.path = path
    }

    /// Turns a status into an error and releases it at once.
    func check(_ status: OpaquePointer?, _ doing: @autoclosure () -> String) throws(WorkerError) {
        guard let status = unsafe status else { return }
        let text = unsafe api.pointee.get_error_message(status).map { unsafe String(cString: $0) } ?? "no reason given"
        unsafe api.pointee.release_status(status)
        throw WorkerError(.inferenceFailed, "ONNX Runtime failed to \(doing()): \(text)")
    }

    /// The execution providers of this library, best first, e.g. `CUDAExecutionProvider`.
    func providers() throws(WorkerError) -> [String] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        var count: Int32 = 0
        unsafe try check(api.pointee.available_providers(&names, &count), "list its execution providers")
        var found: [String] = []
        for index in 0..<Int(count) {
            if let name = unsafe names?[index] { found.append(unsafe String(cString: name)) }
        }
        unsafe try check(api.pointee.release_available_providers(names, count), "free the list of providers")
        return found
    }
}
