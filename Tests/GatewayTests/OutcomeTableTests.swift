import Foundation
import GrootTesting
import HTTP2
import NIOCore
import Testing

@testable import Gateway

/// Whose fault what is, and that the documents say the same.
struct OutcomeTableTests {
    @Test
    func whatIsNotProvenToBeTheCallersIsAFailure() {
        for code in -1...40 {
            let verdict = OutcomeTable.verdict(.status(code, pushback: nil))
            switch code {
            case 0: #expect(verdict.outcome == .answered && verdict.next == .answer)
            case 3, 7, 10: #expect(verdict.outcome == .declined && verdict.next == .answer)
            case 4: #expect(verdict.outcome == .abandoned)
            case 5: #expect(verdict.outcome == .misplaced && verdict.next == .elsewhere(seen: false))
            case 8: #expect(verdict.outcome == .refused(retryAfter: nil))
            default: #expect(verdict.outcome == .failed && verdict.next == .elsewhere(seen: true), "\(code)")
            }
        }
        for code in (0...14).map({ HTTP2ErrorCode(rawValue: $0) }) {
            #expect(OutcomeTable.verdict(.reset(code)).outcome == .failed)
        }
        #expect(OutcomeTable.verdict(.status(nil, pushback: nil)).outcome == .failed)
        #expect(OutcomeTable.verdict(.connectionLost).next == .elsewhereOnce)
        #expect(OutcomeTable.verdict(.neverProcessed).outcome == .neverSeen)
    }

    @Test(arguments: ["docs/scheduling.md", "docs/scheduling.zh-CN.md"])
    func theDocumentsSayTheSame(_ name: String) throws {
        let text = try String(contentsOf: RepositoryRoot.url.appending(path: name), encoding: .utf8)
        let names = [
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
            "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        ]
        for (code, status) in names.enumerated() {
            let row = text.split(separator: "\n").first { $0.hasPrefix("| ") && $0.contains("`\(status)`") }
            let fault = OutcomeTable.fault(ofStatus: code).rawValue
            #expect(row?.contains("| \(fault) |") == true, "\(name): \(status) is \(fault), not \(row ?? "there")")
        }
    }

    @Test
    func aMessageIsClippedWithWholeCharactersAndSaysHowMuchIsMissing() {
        #expect(GRPCMessage.encode("100 % grün\n") == "100 %25 gr%C3%BCn%0A")
        for text in [String(repeating: "x", count: 200_000), String(repeating: "ü€😀", count: 5000)] {
            let encoded = GRPCMessage.encode(text)
            #expect(encoded.utf8.count <= GRPCMessage.limit && encoded.utf8.count > 900)
            let decoded = GRPCMessage.decode(encoded)
            #expect(decoded.hasSuffix(" more bytes") && !decoded.contains("\u{FFFD}"))
            let kept = decoded.prefix { $0 != "…" }
            #expect(text.hasPrefix(kept) && decoded.contains("… and \(text.utf8.count - kept.utf8.count) more"))
            #expect(GRPCMessage.passedOn(encoded) == encoded, "once is enough")
        }
        #expect(GRPCMessage.passedOn("plain %C3%BC") == "plain %C3%BC")
        #expect(GRPCMessage.passedOn("raw ü") == "raw %C3%BC")
        #expect(GRPCMessage.decode("%zz%4") == "%zz%4" && GRPCMessage.decode("%FF") == "\u{FFFD}")
    }

    @Test
    func aBodyIsOneMessageInItsFrame() {
        func problem(_ parts: [[UInt8]]) -> String? {
            var frame = MessageFrame()
            for part in parts { frame.append(ByteBuffer(bytes: part)) }
            return frame.problem
        }
        #expect(problem([[0, 0, 0, 0, 2, 1, 2]]) == nil && problem([[0, 0], [0, 0, 0]]) == nil)
        #expect(problem([[0], [0], [0], [0], [1], [9]]) == nil)
        for (parts, word) in [
            ([], "empty"), ([[0, 0, 0]], "within"), ([[0, 0, 0, 0, 2, 1]], "announces"),
            ([[0, 0, 0, 0, 1, 1, 2]], "more than one"), ([[1, 0, 0, 0, 1, 1]], "compressed"),
            ([[7, 7, 7, 7, 7, 7]], "compressed"),
        ] as [([[UInt8]], String)] {
            #expect(problem(parts)?.contains(word) == true, "\(parts) \(problem(parts) ?? "")")
        }
    }
}
