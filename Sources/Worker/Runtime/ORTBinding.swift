import CONNXRuntime

/// One batch size of a session: its inputs and its output bound to fixed addresses, so that a run passes no pointers
/// and a captured CUDA graph stays valid.
///
/// Belongs to the thread of its session, which it keeps alive.
@safe
final class ORTBinding {
    let batch: Int

    private let session: ORTSession
    private let inputs: [BatchTensor]
    private let output: BatchTensor
    private var binding: OpaquePointer?
    private var options: OpaquePointer?

    /// - Parameter graph: marks the runs with the batch size, by which the CUDA provider keeps its graphs apart.
    init(
        session: ORTSession,
        inputs: [BatchTensor],
        output: BatchTensor,
        batch: Int,
        graph: Bool
    ) throws(WorkerError) {
        self.session = session
        self.inputs = inputs
        self.output = output
        self.batch = batch
        let library = session.library
        let api = unsafe library.api.pointee
        unsafe try library.check(api.create_binding(session.handle, &binding), "bind a batch of \(batch)")
        for tensor in inputs {
            let value = unsafe try session.value(over: tensor, batch: batch)
            defer { unsafe api.release_value(value) }
            unsafe try library.check(
                api.bind_input(binding, tensor.spec.name, value),
                "bind input \(tensor.spec.name)"
            )
        }
        let value = unsafe try session.value(over: output, batch: batch)
        defer { unsafe api.release_value(value) }
        unsafe try library.check(api.bind_output(binding, output.spec.name, value), "bind output \(output.spec.name)")
        if graph {
            unsafe try library.check(api.create_run_options(&options), "create run options")
            unsafe try library.check(
                api.add_run_config(options, "gpu_graph_id", "\(batch)"),
                "name the graph of a batch of \(batch)"
            )
        }
    }

    deinit {
        let api = unsafe session.library.api
        if let options = unsafe options { unsafe api.pointee.release_run_options(options) }
        if let binding = unsafe binding { unsafe api.pointee.release_binding(binding) }
    }

    /// From the written rows of the inputs to the rows of the output.
    func run() throws(WorkerError) {
        let library = session.library
        let api = unsafe library.api
        for tensor in inputs { try tensor.upload(rows: batch) }
        unsafe try library.check(
            api.pointee.run_with_binding(session.handle, options, binding),
            "run the model on a batch of \(batch)"
        )
        unsafe try library.check(api.pointee.synchronize_outputs(binding), "wait for the answer")
        try output.download(rows: batch)
    }
}
