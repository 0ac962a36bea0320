import GrootCore
import Testing

/// What people and workers write, as one line of a record.
struct PeopleTextLineTests {
    @Test(
        arguments: [
            ("box slipped\u{1B}[D\u{1B}[D from claw", "box slipped from claw"),
            ("\u{1B}[1;31mred\u{1B}[0m", "red"),
            ("\u{1B}]0;title\u{7}text", "text"),
            ("\u{1B}]8;;http://x\u{1B}\\link\u{1B}]8;;\u{1B}\\", "link"),
            ("\u{1B}OAup", "Aup"),
            ("\u{9B}31mred", "red"),
            ("\u{1B}(Bplain", "plain"),
            ("a\tb\nc\r\nd", "a b c d"),
            ("bell\u{7} nul\u{0} del\u{7F} back\u{8}", "bell nul del back"),
            ("\u{1B}", ""),
            ("\u{1B}[", ""),
            ("\u{1B}[12;纸箱", "纸箱"),
            ("right\u{202E}left", "rightleft"),
            ("纸箱滑落 👨‍👩‍👧 ok", "纸箱滑落 👨‍👩‍👧 ok"),
            ("  kept  ", "  kept  "),
        ]
    )
    func onlyTextIsLeft(text: String, cleaned: String) {
        #expect(PeopleText.line(text) == cleaned)
    }

    /// Every scalar below U+2100 and every pair of an introducer with it: nothing that a record may not hold is left.
    @Test func noControlCharacterSurvives() {
        let scalars = (0..<0x2100).compactMap(Unicode.Scalar.init)
        let introducers = ["", "\u{1B}", "\u{1B}[", "\u{1B}]", "\u{9B}", "\u{1B}P", "\u{1B}#"]
        for introducer in introducers {
            for scalar in scalars {
                let text = PeopleText.line("a" + introducer + String(scalar) + "b")
                #expect(
                    text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control },
                    "\(introducer.debugDescription) U+\(String(scalar.value, radix: 16))"
                )
            }
        }
    }

    @Test(arguments: ["x", "é", "箱", "👨‍👩‍👧"])
    func longTextsAreCutBetweenCharacters(character: String) {
        for count in [1, 2040, 2048, 2049, 3000] {
            let text = String(repeating: character, count: count)
            let cut = PeopleText.line(text)
            #expect(cut.utf8.count <= PeopleText.fieldBytes)
            if text.utf8.count <= PeopleText.fieldBytes {
                #expect(cut == text)
            } else {
                #expect(cut.hasSuffix("…") && cut.dropLast().allSatisfy { String($0) == character })
                #expect(cut.utf8.count > PeopleText.fieldBytes - character.utf8.count - 3)
            }
        }
    }
}
