package import GrootCore

/// What `model.onnx` must look like for a description, and the check that it does.
package enum OnnxGraph {
    static let fileName = "model.onnx"
    static let task = "task"
    static let noise = "noise"
    static let prefix = "prefix"
    static let prefixRows = "prefix_rows"
    static let frozenRows = "frozen_rows"
    static let state = "observation.state"
    static let action = "action"

    /// The inputs in the order of the description; the first dimension is the batch.
    package static func inputs(of policy: PolicyDescription) -> [TensorSpec] {
        let chunk: [Int?] = [nil, policy.chunkSize, policy.actionNames.count]
        var specs = policy.images.map {
            TensorSpec(name: $0.key, elementType: .uint8, shape: [nil, $0.height, $0.width, 3])
        }
        specs.append(TensorSpec(name: state, elementType: .float32, shape: [nil, policy.stateNames.count]))
        specs.append(TensorSpec(name: task, elementType: .int64, shape: [nil, policy.maxTaskBytes]))
        specs.append(TensorSpec(name: noise, elementType: .float32, shape: chunk))
        if policy.supportsPrefix {
            specs.append(TensorSpec(name: prefix, elementType: .float32, shape: chunk))
            specs.append(TensorSpec(name: prefixRows, elementType: .int64, shape: [nil]))
            specs.append(TensorSpec(name: frozenRows, elementType: .int64, shape: [nil]))
        }
        return specs
    }

    /// The graph's own inputs in its own order and precision, with the description's sizes where the graph leaves them
    /// free; the batch stays free.
    static func bound(_ inputs: [TensorSpec], of policy: PolicyDescription) -> [TensorSpec] {
        let wanted = Self.inputs(of: policy)
        return inputs.map { found in
            let shape = wanted.first { $0.name == found.name }?.shape ?? found.shape
            return TensorSpec(
                name: found.name,
                elementType: found.elementType,
                shape: zip(found.shape, shape).map { $0 ?? $1 }
            )
        }
    }

    package static func output(of policy: PolicyDescription) -> TensorSpec {
        TensorSpec(name: action, elementType: .float32, shape: [nil, policy.chunkSize, policy.actionNames.count])
    }

    /// Compares what the graph has with what the config promises.
    ///
    /// A dimension that the graph leaves free fits any size; the batch dimension of every input must be free.
    ///
    /// - Throws: `badCheckpoint` with both lists.
    package static func check(
        policy: PolicyDescription,
        inputs: [TensorSpec],
        outputs: [TensorSpec],
        file: String
    ) throws(WorkerError) {
        let expected = Self.inputs(of: policy)
        // A policy that reads no sentence (ACT) has no task, one without a flow head has no noise.
        let needed = expected.filter { $0.name != task && $0.name != noise }
        let fits =
            inputs.allSatisfy { found in
                found.shape.first == .some(nil) && expected.contains { fit(found, $0) }
            } && needed.allSatisfy { wanted in inputs.contains { $0.name == wanted.name } }
        guard fits else {
            throw WorkerError(
                .badCheckpoint,
                "\(file): the inputs do not fit config.json. Expected: \(list(expected)). Found: \(list(inputs))."
            )
        }
        let wanted = output(of: policy)
        guard outputs.contains(where: { fit($0, wanted) }) else {
            throw WorkerError(
                .badCheckpoint,
                "\(file): the outputs do not fit config.json. Expected: \(wanted). Found: \(list(outputs))."
            )
        }
    }

    private static func fit(_ found: TensorSpec, _ wanted: TensorSpec) -> Bool {
        found.name == wanted.name && isReadable(found.elementType, as: wanted.elementType)
            && found.shape.count == wanted.shape.count
            && zip(found.shape, wanted.shape).allSatisfy { $0 == nil || $1 == nil || $0 == $1 }
    }

    /// Half-precision graphs may keep half-precision numbers at their ends; the worker converts.
    private static func isReadable(_ found: TensorSpec.ElementType, as wanted: TensorSpec.ElementType) -> Bool {
        found == wanted || (wanted == .float32 && found == .float16)
    }

    private static func list(_ specs: [TensorSpec]) -> String {
        specs.map(\.description).sorted().joined(separator: "; ")
    }
}
