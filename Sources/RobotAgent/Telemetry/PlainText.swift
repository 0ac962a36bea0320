/// Text that people or other processes wrote, made fit for a record: no control characters, no escape sequences, not too
/// long.
///
/// One unfit field would make the control plane refuse the whole record; it is cleaned where it leaves this process.
package enum PlainText {
    /// Longest text that the control plane stores in one field, in bytes of UTF-8.
    package static let maximumBytes = 2048

    /// - Parameter limit: bytes of UTF-8; a longer text is cut between two characters and ends in `…`.
    package static func cleaned(_ text: String, limit: Int = maximumBytes) -> String {
        var kept = String.UnicodeScalarView()
        var scanner = EscapeScanner()
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars where scanner.isText(scalar) {
            defer { previous = scalar }
            switch scalar {
            // One line end, in two characters.
            case "\n" where previous == "\r": continue
            // Line ends and tabs separate words.
            case "\n", "\r", "\t", "\u{B}", "\u{C}", "\u{85}", "\u{2028}", "\u{2029}": kept.append(" ")
            default:
                switch scalar.properties.generalCategory {
                // Format characters turn the direction of what follows; joiners belong to emoji and scripts.
                case .control: continue
                case .format where scalar != "\u{200D}" && scalar != "\u{200C}": continue
                default: kept.append(scalar)
                }
            }
        }
        return cut(String(kept), to: limit)
    }

    /// Several texts as one field.
    package static func joined(_ texts: [String], limit: Int = maximumBytes) -> String {
        cut(texts.map { cleaned($0, limit: limit) }.filter { !$0.isEmpty }.joined(separator: "; "), to: limit)
    }

    private static func cut(_ text: String, to limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        let mark = "…"
        var room = limit - mark.utf8.count
        var end = text.startIndex
        while end < text.endIndex {
            let next = text.index(after: end)
            room -= text[end..<next].utf8.count
            if room < 0 { break }
            end = next
        }
        return text[..<end] + mark
    }
}

/// Tells text from the control sequences of ECMA-48, as keyboards and colouring programs send them.
private struct EscapeScanner {
    private enum State {
        case text
        /// Behind ESC.
        case escape
        /// Behind CSI: parameters and a final character, e.g. an arrow key.
        case control
        /// Inside a string that ends with BEL or ST, e.g. a window's title.
        case string
        case stringEscape
    }

    private var state = State.text

    /// Takes one scalar; true when it is text.
    mutating func isText(_ scalar: Unicode.Scalar) -> Bool {
        switch (state, scalar.value) {
        case (.string, 0x1B): state = .stringEscape
        case (.string, 0x07), (.string, 0x9C): state = .text
        case (.string, _): break
        case (.stringEscape, 0x5C): state = .text
        case (_, 0x1B): state = .escape
        case (.text, 0x9B): state = .control
        case (.text, 0x90), (.text, 0x98), (.text, 0x9D...0x9F): state = .string
        case (.text, _): return true
        case (.escape, 0x5B), (.stringEscape, 0x5B): state = .control
        case (.escape, 0x50), (.escape, 0x58), (.escape, 0x5D...0x5F): state = .string
        // Intermediate characters; the final one ends the sequence.
        case (.escape, 0x20...0x2F): break
        case (.escape, _), (.stringEscape, _): state = .text
        case (.control, 0x20...0x3F): break
        case (.control, 0x40...0x7E): state = .text
        // No part of a sequence: it was broken off, and this is text again.
        case (.control, _):
            state = .text
            return true
        }
        return false
    }
}
