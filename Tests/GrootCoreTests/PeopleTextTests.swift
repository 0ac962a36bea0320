import GrootCore
import Testing

struct PeopleTextTests {
    @Test(
        arguments: [
            ("plain text\twith\nlines, Ümläut, 中文, 👩‍🚒", "plain text\twith\nlines, Ümläut, 中文, 👩‍🚒"),
            // What the arrow keys put into an operator's line.
            ("box slipped\u{1B}[D\u{1B}[D from claw", "box slipped from claw"),
            ("\u{1B}[1;31merror\u{1B}[0m: gone", "error: gone"),
            ("\u{9B}31mred\u{9B}0m", "red"),
            ("title\u{1B}]0;evil\u{07} after", "title after"),
            ("link \u{1B}]8;;http://x\u{1B}\\here\u{1B}]8;;\u{1B}\\", "link here"),
            ("cut off \u{1B}[", "cut off "), ("cut off \u{1B}", "cut off "),
            ("open \u{1B}]0;for ever", "open 0;for ever"),
            ("charset \u{1B}(B kept", "charset  kept"), ("keypad \u{1B}=on", "keypad on"),
            ("a\r\nb\rc", "a\nb\nc"), ("bell\u{07}, nul\u{0}, del\u{7F}", "bell, nul, del"),
            ("\u{202E}gnp.exe\u{2066}x\u{FEFF}", "gnp.exex"), ("", ""),
        ]
    )
    func whatATerminalWouldObeyGoes(_ text: String, _ expected: String) {
        #expect(PeopleText.clean(text, limit: 1000) == expected)
        #expect(PeopleText.isClean(text, limit: 1000) == (text == expected))
    }

    @Test func whatIsTooLongEndsInAMarkAndNeverInsideACharacter() {
        let text = String(repeating: "é👩‍🚒", count: 500)
        for limit in 0...200 {
            let clipped = PeopleText.clean(text, limit: limit)
            #expect(clipped.utf8.count <= limit)
            #expect(limit < 3 ? clipped.isEmpty : clipped.hasSuffix("…"))
            #expect(text.hasPrefix(clipped.dropLast(limit < 3 ? 0 : 1)))
        }
        #expect(PeopleText.clean("abc", limit: 3) == "abc")
        #expect(PeopleText.clean(String(repeating: "x", count: 2049), limit: 2048).utf8.count == 2048)
    }

    /// Whatever comes, what leaves is clean, short, and stays as it is.
    @Test func cleaningTwiceChangesNothing() {
        var random = SystemRandomNumberGenerator()
        let alphabet: [Unicode.Scalar] = [
            "\u{1B}", "[", "]", "m", "\u{9B}", "\u{0}", "\r", "\n", "\t", "\u{07}", "\\", "é", "中", "\u{202E}", "x",
            "0", ";",
        ]
        for _ in 0..<2000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                text.append(alphabet.randomElement(using: &random) ?? "x")
            }
            let limit = Int.random(in: 0...60, using: &random)
            let clean = PeopleText.clean(String(text), limit: limit)
            #expect(PeopleText.clean(clean, limit: limit) == clean, "\(text)")
            #expect(PeopleText.isClean(clean, limit: limit))
            #expect(
                clean.unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && $0.value != 0x9B || "\t\n".unicodeScalars.contains($0)
                }
            )
        }
    }
}
