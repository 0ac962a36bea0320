/// The colours that tell cartons apart.
enum CartonColour: String, CaseIterable, Hashable, Sendable {
    case red, green, blue, yellow

    var rgb: SIMD3<Double> {
        switch self {
        case .red: SIMD3(0.80, 0.12, 0.10)
        case .green: SIMD3(0.10, 0.60, 0.18)
        case .blue: SIMD3(0.12, 0.25, 0.80)
        case .yellow: SIMD3(0.90, 0.75, 0.10)
        }
    }
}

/// What a sentence asks for.
enum TaskRequest: Hashable, Sendable {
    /// Exactly one known colour is named.
    case colour(CartonColour)
    /// No known colour, or more than one.
    case unknown

    /// Finds the colour word anywhere in the sentence; letters of other scripts separate words.
    init(sentence: String) {
        let words = sentence.lowercased().split { !("a"..."z").contains($0) }
        let named = Set(words.compactMap { CartonColour(rawValue: String($0)) })
        if named.count == 1, let colour = named.first { self = .colour(colour) } else { self = .unknown }
    }
}
