/// Text that people read in terminals, logs and pages, made harmless and kept short.
///
/// What a terminal or a page would obey goes: escape sequences, control characters but tab and new line, marks that turn
/// the direction of writing. What is longer than allowed ends in "…". Pure; applied where text leaves and where it arrives.
///
/// For what is kept and shown as itself, in records and on pages. What travels in a header, or is quoted in a message or a log
/// line, is `ReadableText`'s.
package enum PeopleText {
    /// Longest text in one field of a record, UTF-8 bytes.
    package static let fieldBytes = 2048

    /// - Parameter limit: in UTF-8 bytes.
    package static func clean(_ text: String, limit: Int) -> String {
        clipped(cleaned(text), limit: limit)
    }

    /// The same in one line: what ends lines and separates columns separates words.
    package static func line(_ text: String, limit: Int = fieldBytes) -> String {
        clipped(inOneLine(text), limit: limit)
    }

    /// Several texts as one line; those that are empty are left out.
    package static func line(joining texts: [String], limit: Int = fieldBytes) -> String {
        clipped(texts.map { line($0, limit: limit) }.filter { !$0.isEmpty }.joined(separator: "; "), limit: limit)
    }

    private static func inOneLine(_ text: String) -> String {
        var ends = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            // The ends of lines and pages that are none to a terminal.
            let isEnd = [0x0B, 0x0C, 0x85, 0x2028, 0x2029].contains(scalar.value)
            ends.append(isEnd ? "\n" : scalar)
        }
        return String(cleaned(String(ends)).map { $0 == "\n" || $0 == "\t" ? " " : $0 })
    }

    /// True when `clean` would change nothing.
    package static func isClean(_ text: String, limit: Int) -> Bool {
        text.utf8.count <= limit && (text.utf8.allSatisfy(isPlain) || cleaned(text) == text)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F || byte == 0x09 || byte == 0x0A
    }

    private static func clipped(_ text: String, limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        let mark = "…"
        guard limit >= mark.utf8.count else { return "" }
        var end = text.startIndex
        var count = 0
        // Never inside a character, whatever it is put together from.
        for index in text.indices {
            let next = text.index(after: index)
            count += text[index..<next].utf8.count
            if count > limit - mark.utf8.count { break }
            end = next
        }
        return text[..<end] + mark
    }

    private static func cleaned(_ text: String) -> String {
        guard !text.utf8.allSatisfy(isPlain) else { return text }
        var result = String.UnicodeScalarView()
        var scalars = text.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            switch scalar.value {
            case 0x1B: skipEscape(&scalars)
            // The same as ESC [ in one character.
            case 0x9B: skipControlSequence(&scalars)
            case 0x0D:
                // The end of a line as Windows and old terminals write it.
                if scalars.first != "\n" { result.append("\n") }
            case 0x09, 0x0A: result.append(scalar)
            case 0..<0x20, 0x7F..<0xA0: continue
            // Directional marks, invisible operators, line and paragraph separators.
            case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF, 0xFFF9...0xFFFB: continue
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    private static func skipEscape(_ scalars: inout Substring.UnicodeScalarView) {
        switch scalars.first {
        case "[":
            scalars.removeFirst()
            skipControlSequence(&scalars)
        case "]", "P", "X", "^", "_": skipString(&scalars)
        default:
            while let scalar = scalars.first, (0x20...0x2F).contains(scalar.value) { scalars.removeFirst() }
            if let final = scalars.first, (0x30...0x7E).contains(final.value) { scalars.removeFirst() }
        }
    }

    /// Parameters, intermediates and one final character.
    private static func skipControlSequence(_ scalars: inout Substring.UnicodeScalarView) {
        while let scalar = scalars.first, (0x20...0x3F).contains(scalar.value) { scalars.removeFirst() }
        if let final = scalars.first, (0x40...0x7E).contains(final.value) { scalars.removeFirst() }
    }

    /// Longest string sequence that is believed to have an end.
    private static let longestString = 1024

    /// A title or link up to BEL or ESC \; without an end only the introducer goes.
    private static func skipString(_ scalars: inout Substring.UnicodeScalarView) {
        scalars.removeFirst()
        var rest = scalars
        for _ in 0..<longestString {
            guard let scalar = rest.popFirst() else { return }
            if scalar.value == 0x07 || scalar.value == 0x9C {
                scalars = rest
                return
            }
            if scalar.value == 0x1B, rest.first == "\\" {
                rest.removeFirst()
                scalars = rest
                return
            }
        }
    }
}
