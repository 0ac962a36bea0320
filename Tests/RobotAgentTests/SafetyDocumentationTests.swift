import Foundation
import Testing

@testable import RobotAgent

/// docs/safety.md says what the session machine does: the table phase x order is generated from it.
struct SafetyDocumentationTests {
    /// Words of one language.
    struct Page: Sendable, CustomTestStringConvertible {
        var name: String
        var corner: String
        var columns: [String]
        var reactions: [OrderReaction: String]
        var testDescription: String { name }
    }

    private typealias Column = (order: Order, isAttended: Bool, isSecond: Bool)

    private static let columns: [Column] = [
        (.stop, false, false), (.pause, false, false), (.resume, false, false), (.home, false, false),
        (.retry, false, false), (.success, false, false), (.failure, false, false), (.quit, false, false),
        (.interrupt, false, false), (.interrupt, true, false), (.interrupt, false, true), (.terminate, false, false),
        (.lostTerminal, false, false),
    ]

    static let pages = [
        Page(
            name: "safety.md",
            corner: "phase",
            columns: [
                "`stop` (x)", "`pause` (p)", "`resume` (g)", "`home` (h)", "`retry` (r)", "`success` (s)",
                "`failure` (f)", "`quit` (q)", "SIGINT", "Ctrl+C at the terminal", "SIGINT again", "SIGTERM",
                "terminal lost",
            ],
            reactions: Dictionary(uniqueKeysWithValues: OrderReaction.allCases.map { ($0, $0.rawValue) })
        ),
        Page(
            name: "safety.zh-CN.md",
            corner: "阶段",
            columns: [
                "`stop`（x）", "`pause`（p）", "`resume`（g）", "`home`（h）", "`retry`（r）", "`success`（s）", "`failure`（f）",
                "`quit`（q）", "SIGINT", "终端上的 Ctrl+C", "再次 SIGINT", "SIGTERM", "终端断开",
            ],
            reactions: [
                .ignored: "忽略", .stop: "停住", .pause: "暂停", .goOn: "继续", .home: "回零位", .endEpisode: "结束回合", .leave: "退出",
                .leaveAtOnce: "立即退出",
            ]
        ),
    ]

    static func table(_ page: Page) -> String {
        var lines = ["| \(page.corner) | " + page.columns.joined(separator: " | ") + " |"]
        lines.append("|---" + String(repeating: "|---", count: columns.count) + "|")
        for phase in SessionPhase.allCases {
            let cells = columns.map { column in
                let reaction = OrderTable.reaction(
                    to: column.order,
                    in: phase,
                    isAttended: column.isAttended,
                    isSecond: column.isSecond
                )
                return page.reactions[reaction] ?? ""
            }
            lines.append("| \(phase.rawValue) | " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n")
    }

    private func text(_ page: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "docs/\(page)"), encoding: .utf8)
    }

    @Test(arguments: pages)
    func theTableOfOrdersIsTheMachines(page: Page) throws {
        let table = Self.table(page)
        #expect(!table.contains("|  |"), "no cell is empty")
        let text = try text(page.name)
        #expect(text.contains(table), "docs/\(page.name) needs this table:\n\(table)")
    }

    /// Every reason to hold and every fault has its row, under the name that events and records use.
    @Test(arguments: ["safety.md", "safety.zh-CN.md"])
    func everyReasonHasItsRow(page: String) throws {
        let text = try text(page)
        for reason in HoldReason.allCases { #expect(text.contains("`\(reason.label)`"), "\(page): \(reason.label)") }
        let faults: [Fault] = [
            .notFinite(dimension: 0), .farFromPose(dimension: 0, distance: 0), .impossiblePose(dimension: 0, value: 0),
            .starved, .linkLost, .workersLost, .blind, .notFollowing(dimension: 0, distance: 0),
            .overTorque(dimension: 0, torque: 0), .superseded,
        ]
        for fault in faults { #expect(text.contains("`\(fault.label)`"), "\(page): \(fault.label)") }
    }
}
