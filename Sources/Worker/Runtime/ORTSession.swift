import CONNXRuntime

/// One loaded model: environment, session and memory info, freed in `deinit`.
///
/// Not sendable: it belongs to the actor that made it and is used from that actor's thread only.
@safe
final class ORTSession {
    let library: ORTLibrary
    private(set) var inputs: [TensorSpec] = []
    private(set) var outputs: [TensorSpec] = []
    /// What runs it, e.g. `ONNX Runtime 1.32.0 (table 32) on the CPU`.
    private(set) var version = ""
    /// What was asked for and could not be had, with the reason.
    private(set) var notes: [String] = []

    private var environment: OpaquePointer?
    private var session: OpaquePointer?
    private var memory: OpaquePointer?

    /// Loads the model file.
    init(library: ORTLibrary, modelPath: String, options settings: CheckpointOptions) throws(WorkerError) {
        self.library = library
        let threads = settings.threads
        version = "ONNX Runtime \(library.version) (table \(library.apiVersion)) on the CPU"
        let api = library.api
        unsafe try library.check(
            api.create_env(Int32(groot_ort_log_error), "groot-worker", &environment),
            "create its environment"
        )
        unsafe try library.check(api.disable_telemetry(environment), "switch telemetry off")
        var options: OpaquePointer?
        unsafe try library.check(api.create_session_options(&options), "create session options")
        defer { unsafe api.release_session_options(options) }
        unsafe try library.check(api.set_intra_op_threads(options, Int32(threads)), "set \(threads) threads")
        unsafe try library.check(api.set_inter_op_threads(options, 1), "set one inter-op thread")
        unsafe try library.check(
            api.set_optimization_level(options, Int32(groot_ort_optimize_all)),
            "set the optimization level"
        )
        unsafe try library.check(
            api.create_session(environment, modelPath, options, &session),
            "load \(modelPath)"
        )
        unsafe try library.check(
            api.create_cpu_memory_info(Int32(groot_ort_arena_allocator), Int32(groot_ort_memory_default), &memory),
            "describe CPU memory"
        )
        inputs = unsafe try specs(
            count(api.session_input_count),
            names: api.session_input_name,
            types: api.session_input_type
        )
        outputs = unsafe try specs(
            count(api.session_output_count),
            names: api.session_output_name,
            types: api.session_output_type
        )
    }

    deinit {
        let api = library.api
        if let memory = unsafe memory { unsafe api.release_memory_info(memory) }
        if let session = unsafe session { unsafe api.release_session(session) }
        if let environment = unsafe environment { unsafe api.release_env(environment) }
    }

    /// Runs the model on the first `batch` rows of every input and returns the named output.
    ///
    /// - Returns: shape and values of the output, row-major float32.
    func run(
        _ tensors: [InputTensor],
        batch: Int,
        output: String
    ) throws(WorkerError) -> (shape: [Int], values: [Float]) {
        let api = library.api
        var values: [OpaquePointer?] = unsafe []
        defer {
            unsafe values.forEach { unsafe api.release_value($0) }
        }
        for tensor in tensors { unsafe values.append(try value(over: tensor, batch: batch)) }
        var result: OpaquePointer?
        defer {
            if let result = unsafe result { unsafe api.release_value(result) }
        }
        let status = unsafe Self.withCStrings(tensors.map(\.spec.name)) { inputNames in
            unsafe Self.withCStrings([output]) { outputNames in
                unsafe api.run(session, nil, inputNames, values, values.count, outputNames, 1, &result)
            }
        }
        unsafe try library.check(status, "run the model on a batch of \(batch)")
        return unsafe try floats(of: result, name: output)
    }

    private func value(over tensor: InputTensor, batch: Int) throws(WorkerError) -> OpaquePointer? {
        var shape = tensor.spec.shape.map { Int64($0 ?? 0) }
        shape[0] = Int64(batch)
        var value: OpaquePointer?
        unsafe try library.check(
            library.api.create_tensor_with_data(
                memory,
                tensor.storage.baseAddress,
                batch * tensor.rowBytes,
                shape,
                shape.count,
                tensor.spec.elementType.number,
                &value
            ),
            "wrap input \(tensor.spec.name)"
        )
        return unsafe value
    }

    private func floats(of value: OpaquePointer?, name: String) throws(WorkerError) -> ([Int], [Float]) {
        let api = library.api
        var info: OpaquePointer?
        unsafe try library.check(api.tensor_info_of_value(value, &info), "describe output \(name)")
        defer { unsafe api.release_tensor_info(info) }
        let (type, shape) = unsafe try describe(info, name: name)
        var data: UnsafeMutableRawPointer?
        unsafe try library.check(api.tensor_data(value, &data), "read output \(name)")
        let count = shape.reduce(1) { $0 * ($1 ?? 0) }
        guard let data = unsafe data else { return (shape.map { $0 ?? 0 }, []) }
        let sizes = shape.map { $0 ?? 0 }
        switch type {
        case .float32:
            let floats = unsafe data.assumingMemoryBound(to: Float.self)
            return (sizes, unsafe Array(UnsafeBufferPointer(start: floats, count: count)))
        case .float16:
            let halves = unsafe data.assumingMemoryBound(to: Float16.self)
            return (sizes, unsafe UnsafeBufferPointer(start: halves, count: count).map { Float($0) })
        default:
            throw WorkerError(.inferenceFailed, "The model's output \(name) is \(type), expected float32 or float16.")
        }
    }
}

// Reading names, types and shapes.
extension ORTSession {
    private typealias CountEntry = @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int>?) -> OpaquePointer?
    private typealias NameEntry =
        @convention(c) (
            OpaquePointer?, Int, OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        ) -> OpaquePointer?
    private typealias TypeEntry =
        @convention(c) (OpaquePointer?, Int, UnsafeMutablePointer<OpaquePointer?>?) -> OpaquePointer?

    private func count(_ entry: CountEntry) throws(WorkerError) -> Int {
        var count = 0
        unsafe try library.check(entry(session, &count), "count the model's inputs and outputs")
        return count
    }

    private func specs(_ count: Int, names: NameEntry, types: TypeEntry) throws(WorkerError) -> [TensorSpec] {
        let api = library.api
        var allocator: OpaquePointer?
        unsafe try library.check(api.default_allocator(&allocator), "find its allocator")
        var specs: [TensorSpec] = []
        for index in 0..<count {
            var text: UnsafeMutablePointer<CChar>?
            unsafe try library.check(names(session, index, allocator, &text), "name input or output \(index)")
            let name = unsafe text.map { unsafe String(cString: $0) } ?? ""
            unsafe try library.check(api.allocator_free(allocator, text), "free a name")
            var type: OpaquePointer?
            unsafe try library.check(types(session, index, &type), "describe \(name)")
            defer { unsafe api.release_type_info(type) }
            var info: OpaquePointer?
            unsafe try library.check(api.tensor_info_of_type(type, &info), "describe \(name)")
            guard unsafe info != nil else {
                throw WorkerError(.badCheckpoint, "The model's \(name) is no tensor; only tensors are supported.")
            }
            let (elementType, shape) = unsafe try describe(info, name: name)
            specs.append(TensorSpec(name: name, elementType: elementType, shape: shape))
        }
        return specs
    }

    private func describe(
        _ info: OpaquePointer?,
        name: String
    ) throws(WorkerError) -> (TensorSpec.ElementType, [Int?]) {
        let api = library.api
        var number: Int32 = 0
        unsafe try library.check(api.tensor_element_type(info, &number), "read the type of \(name)")
        var rank = 0
        unsafe try library.check(api.tensor_rank(info, &rank), "read the rank of \(name)")
        var shape = [Int64](repeating: 0, count: rank)
        unsafe try library.check(api.tensor_shape(info, &shape, rank), "read the shape of \(name)")
        return (TensorSpec.ElementType(Int(number)), shape.map { $0 < 0 ? nil : Int($0) })
    }

    /// Lends the names as one array of C strings for the duration of the call.
    private static func withCStrings<Result>(
        _ names: [String],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let bytes = names.flatMap { $0.utf8CString }
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            var pointers: [UnsafePointer<CChar>?] = unsafe []
            var offset = 0
            for name in names {
                unsafe pointers.append(buffer.baseAddress.map { unsafe $0 + offset })
                offset += name.utf8.count + 1
            }
            return unsafe body(pointers)
        }
    }
}
