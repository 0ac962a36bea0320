import Testing

@testable import RobotAgent

/// What an operator notes during an episode.
struct OperatorNotesTests {
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
