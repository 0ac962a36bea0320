/// Which known word somebody meant who wrote an unknown one. Pure.
enum Spelling {
    /// "; did you mean policy?", or nothing when no known word is near.
    static func suggestion(for word: String, among known: [String]) -> String {
        nearest(to: word, among: known).map { "; did you mean \($0)?" } ?? ""
    }

    /// The known word with the fewest slips of the hand, if they are few for its length.
    static func nearest(to word: String, among known: [String]) -> String? {
        let written = simplified(word)
        let near = known.map { (word: $0, slips: slips(written, simplified($0))) }.min { $0.slips < $1.slips }
        guard let near, near.slips <= max(1, near.word.count / 3) else { return nil }
        return near.word
    }

    /// Case and the kind of separator are no slips.
    private static func simplified(_ word: String) -> [Character] {
        word.lowercased().map { $0 == "_" || $0 == "." ? "-" : $0 }
    }

    /// Letters to put in, leave out, exchange or swap with their neighbour until one is the other.
    static func slips(_ left: [Character], _ right: [Character]) -> Int {
        var before: [Int] = []
        var previous = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let exchanged = previous[column] + (letter == other ? 0 : 1)
                var best = min(previous[column + 1] + 1, current[column] + 1, exchanged)
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    best = min(best, before[column - 1] + 1)
                }
                current.append(best)
            }
            (before, previous) = (previous, current)
        }
        return previous[right.count]
    }
}
