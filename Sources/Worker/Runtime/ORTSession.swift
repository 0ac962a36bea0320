import CONNXRuntime

/// One loaded model on one execution provider, freed in `deinit`.
///
/// Not sendable: it belongs to the actor that made it and is used from that actor's thread only.
@safe
final class ORTSession {
    let library: ORTLibrary
    let provider: ExecutionProvider
    private(set) var inputs: [TensorSpec] = []
    private(set) var outputs: [TensorSpec] = []
    /// What runs it, e.g. `ONNX Runtime 1.32.0 (table 32) on the CPU`.
    let version: String
    /// Nil on the CPU.
    let driver: CUDADriver?

    private var environment: OpaquePointer?
    private var session: OpaquePointer?
    /// Where bound tensors lie.
    private var memory: OpaquePointer?
    /// Of device memory; nil when tensors lie in host memory.
    private var allocator: OpaquePointer?

    /// Loads the model file.
    ///
    /// - Parameter expected: shapes that the model will be run with, for providers that want to know them before.
    init(
        library: ORTLibrary,
        modelPath: String,
        provider: ExecutionProvider,
        expected: [TensorSpec],
        options settings: CheckpointOptions
    ) throws(WorkerError) {
        self.library = library
        self.provider = provider
        version = "ONNX Runtime \(library.version) (table \(library.apiVersion)) \(provider)"
        driver = provider.device == nil ? nil : try CUDADriver()
        let api = unsafe library.api.pointee
        unsafe try library.check(
            api.create_env(Int32(groot_ort_log_error), "groot-worker", &environment),
            "create its environment"
        )
        unsafe try library.check(api.disable_telemetry(environment), "switch telemetry off")
        var options: OpaquePointer?
        unsafe try library.check(api.create_session_options(&options), "create session options")
        defer { unsafe api.release_session_options(options) }
        unsafe try library.check(
            api.set_intra_op_threads(options, Int32(settings.threads)),
            "set \(settings.threads) threads"
        )
        unsafe try library.check(api.set_inter_op_threads(options, 1), "set one inter-op thread")
        unsafe try library.check(
            api.set_optimization_level(options, Int32(groot_ort_optimize_all)),
            "set the optimization level"
        )
        unsafe try append(provider, to: options, expected: expected, settings)
        unsafe try library.check(
            api.create_session(environment, modelPath, options, &session),
            "load \(modelPath)"
        )
        try describeMemory(staged: settings.stagesTensors)
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
        let api = unsafe library.api.pointee
        if let allocator = unsafe allocator { unsafe api.release_allocator(allocator) }
        if let memory = unsafe memory { unsafe api.release_memory_info(memory) }
        if let session = unsafe session { unsafe api.release_session(session) }
        if let environment = unsafe environment { unsafe api.release_env(environment) }
    }

    var handle: OpaquePointer? { unsafe session }

    /// Memory for a whole batch of one input or output, where this session reads and writes it.
    func tensor(_ spec: TensorSpec, capacity: Int) throws(WorkerError) -> BatchTensor {
        guard let allocator = unsafe allocator else { return try BatchTensor(spec: spec, capacity: capacity) }
        return try BatchTensor(spec: spec, capacity: capacity) { [self] bytes throws(WorkerError) in
            unsafe try DeviceMemory(
                session: self,
                allocator: allocator,
                bytes: bytes,
                copy: driver.map { .cuda($0) } ?? .host
            )
        }
    }

    /// The first `batch` rows of a tensor as ONNX Runtime sees them; the caller releases it.
    func value(over tensor: BatchTensor, batch: Int) throws(WorkerError) -> OpaquePointer? {
        var shape = tensor.spec.shape.map { Int64($0 ?? 0) }
        shape[0] = Int64(batch)
        var value: OpaquePointer?
        unsafe try library.check(
            library.api.pointee.create_tensor_with_data(
                memory,
                tensor.address,
                batch * tensor.rowBytes,
                shape,
                shape.count,
                tensor.spec.elementType.number,
                &value
            ),
            "wrap \(tensor.spec.name)"
        )
        return unsafe value
    }

    private func describeMemory(staged: Bool) throws(WorkerError) {
        let api = unsafe library.api.pointee
        if let device = provider.device {
            unsafe try library.check(
                api.create_memory_info(
                    "Cuda",
                    Int32(groot_ort_arena_allocator),
                    Int32(device),
                    Int32(groot_ort_memory_default),
                    &memory
                ),
                "describe memory of CUDA device \(device)"
            )
            // Makes the device's context the calling thread's own, which the driver's copies need.
            unsafe try library.check(api.set_current_gpu(Int32(device)), "select CUDA device \(device)")
        } else {
            unsafe try library.check(
                api.create_cpu_memory_info(Int32(groot_ort_arena_allocator), Int32(groot_ort_memory_default), &memory),
                "describe CPU memory"
            )
        }
        guard staged || provider.device != nil else { return }
        unsafe try library.check(api.create_allocator(session, memory, &allocator), "find the device's allocator")
    }
}

// Execution providers.
extension ORTSession {
    private func append(
        _ provider: ExecutionProvider,
        to options: OpaquePointer?,
        expected: [TensorSpec],
        _ settings: CheckpointOptions
    ) throws(WorkerError) {
        let api = unsafe library.api.pointee
        switch provider {
        case .cpu: break
        case .cuda(let device, let graph):
            unsafe try appendCUDA(to: options, ExecutionProvider.cudaOptions(device: device, graph: graph))
        case .tensorRT(let device):
            let cache = try EngineCache.folder(settings.engineCache, checkpoint: settings.name)
            let wanted = ExecutionProvider.tensorRTOptions(
                device: device,
                cache: cache,
                inputs: expected,
                maxBatch: settings.maxBatch
            )
            var tensorRT: OpaquePointer?
            unsafe try library.check(api.create_tensorrt_options(&tensorRT), "create TensorRT options")
            defer { unsafe api.release_tensorrt_options(tensorRT) }
            let status = unsafe Self.withCStrings(wanted.map(\.key)) { keys in
                unsafe Self.withCStrings(wanted.map(\.value)) { values in
                    unsafe api.update_tensorrt_options(tensorRT, keys, values, wanted.count)
                }
            }
            unsafe try library.check(status, "set TensorRT options")
            unsafe try library.check(api.append_tensorrt(options, tensorRT), "use TensorRT")
            // What TensorRT cannot run stays on the GPU.
            unsafe try appendCUDA(to: options, ExecutionProvider.cudaOptions(device: device, graph: false))
        }
    }

    private func appendCUDA(
        to options: OpaquePointer?,
        _ wanted: [(key: String, value: String)]
    ) throws(WorkerError) {
        let api = unsafe library.api.pointee
        var cuda: OpaquePointer?
        unsafe try library.check(api.create_cuda_options(&cuda), "create CUDA options")
        defer { unsafe api.release_cuda_options(cuda) }
        let status = unsafe Self.withCStrings(wanted.map(\.key)) { keys in
            unsafe Self.withCStrings(wanted.map(\.value)) { values in
                unsafe api.update_cuda_options(cuda, keys, values, wanted.count)
            }
        }
        unsafe try library.check(status, "set CUDA options")
        unsafe try library.check(api.append_cuda(options, cuda), "use CUDA")
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
        let api = unsafe library.api.pointee
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
        let api = unsafe library.api.pointee
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
