import CONNXRuntime

/// Name, element type and shape of one graph input or output.
package struct TensorSpec: Hashable, Sendable, CustomStringConvertible {
    package enum ElementType: Hashable, Sendable, CustomStringConvertible {
        case float32
        case float16
        case uint8
        case int64
        /// A type the worker does not use, by its number in the ABI.
        case other(Int)

        init(_ number: Int) {
            self =
                switch number {
                case Int(groot_ort_element_float): .float32
                case Int(groot_ort_element_float16): .float16
                case Int(groot_ort_element_uint8): .uint8
                case Int(groot_ort_element_int64): .int64
                default: .other(number)
                }
        }

        var number: Int32 {
            switch self {
            case .float32: Int32(groot_ort_element_float)
            case .float16: Int32(groot_ort_element_float16)
            case .uint8: Int32(groot_ort_element_uint8)
            case .int64: Int32(groot_ort_element_int64)
            case .other(let number): Int32(number)
            }
        }

        var byteCount: Int {
            switch self {
            case .float32: 4
            case .float16: 2
            case .uint8: 1
            case .int64: 8
            case .other: 0
            }
        }

        package var description: String {
            switch self {
            case .float32: "float32"
            case .float16: "float16"
            case .uint8: "uint8"
            case .int64: "int64"
            case .other(let number): "element type \(number)"
            }
        }
    }

    package var name: String
    package var elementType: ElementType
    /// Nil for a dimension that is free.
    package var shape: [Int?]

    package init(name: String, elementType: ElementType, shape: [Int?]) {
        self.name = name
        self.elementType = elementType
        self.shape = shape
    }

    package var description: String {
        "\(name) \(elementType) [\(shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", "))]"
    }

    /// Bytes per batch row; the first dimension is the batch, all others must be fixed. Nil when they are beyond any memory.
    var rowBytes: Int? {
        CheckedSize.product(of: shape.dropFirst().map { $0 ?? 0 } + [elementType.byteCount])
    }
}
