import Testing

@testable import RobotAgent

/// What people and workers write, as it leaves for the control plane.
struct PlainTextTests {
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
        #expect(PlainText.cleaned(text) == cleaned)
    }

    /// Every scalar below U+2100 and every pair of an introducer with it: nothing that a record may not hold is left.
    @Test func noControlCharacterSurvives() {
        let scalars = (0..<0x2100).compactMap(Unicode.Scalar.init)
        let introducers = ["", "\u{1B}", "\u{1B}[", "\u{1B}]", "\u{9B}", "\u{1B}P", "\u{1B}#"]
        for introducer in introducers {
            for scalar in scalars {
                let text = PlainText.cleaned("a" + introducer + String(scalar) + "b")
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
            let cut = PlainText.cleaned(text)
            #expect(cut.utf8.count <= PlainText.maximumBytes)
            if text.utf8.count <= PlainText.maximumBytes {
                #expect(cut == text)
            } else {
                #expect(cut.hasSuffix("…") && cut.dropLast().allSatisfy { String($0) == character })
                #expect(cut.utf8.count > PlainText.maximumBytes - character.utf8.count - 3)
            }
        }
    }

    @Test func severalNotesShareTheRoom() {
        let desk = OperatorDesk(orders: OrderInbox())
        desk.typed("n box slipped\u{1B}[D from claw")
        desk.typed("N second")
        desk.typed("n \u{1B}[A")
        #expect(desk.takeNotes() == "box slipped from claw; second")
        #expect(desk.takeNotes() == "")
        for _ in 0..<4 { desk.typed("n " + String(repeating: "长", count: 300)) }
        let notes = desk.takeNotes()
        #expect(notes.utf8.count <= 2048 && notes.utf8.count > 2040 && notes.hasSuffix("…"))
    }
}
