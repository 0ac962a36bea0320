import GrootCore
import HTTP2
import NIOCore
import Testing

@testable import Gateway

/// Every status of gRPC and every way to break off, by a worker alone and beside a healthy one: the robots of the healthy
/// one lose nothing, and a worker that is alone costs no more than its own answer.
@Suite(.timeLimit(.minutes(3)), .serialized)
struct OutcomeMatrixTests {
    struct Cell: Sendable, CustomTestStringConvertible {
        var name: String
        var behaviour: ScriptedWorker.Behaviour
        /// Statuses that a robot may see of it when nobody else is there.
        var alone: Set<String>
        /// The caller's fault, so that it is passed on whoever else is there.
        var isPassedOn = false
        var testDescription: String { name }
    }

    private static func cell(
        _ name: String,
        _ alone: Set<String>,
        passedOn: Bool = false,
        _ steps: ScriptedWorker.Step...
    ) -> Cell {
        Cell(name: name, behaviour: .script(steps), alone: alone, isPassedOn: passedOn)
    }

    private static let head = ScriptedWorker.headers
    private static let body = ScriptedWorker.answer
    private static let grpc = [":status": "200", "content-type": "application/grpc"]

    /// Trailers-Only, and after headers and a message: both are ways to say a status.
    private static let statuses: [Cell] = (["17", "99", "-1", "x", "", "1e3"] + (1...16).map { "\($0)" }).flatMap {
        text in
        let code = Int(text)
        let isPassedOn = code.map { [3, 4, 7, 10].contains($0) } ?? false
        let seen: Set<String> = code.map { (1...16).contains($0) } == true ? [text] : ["2"]
        return [
            cell(
                "status \(text)",
                seen,
                passedOn: isPassedOn,
                .headers(grpc.merging(["grpc-status": text, "grpc-message": "scripted"]) { $1 }),
                .end
            ),
            cell(
                "status \(text) after a message",
                seen,
                passedOn: isPassedOn,
                head,
                body,
                .trailers(["grpc-status": text])
            ),
        ]
    }

    private static let breaks: [Cell] =
        [
            cell("headers, then the end", ["2", "13"], head, .end),
            cell("a message without trailers", ["2", "13"], head, body, .end),
            cell("trailers without a status", ["2"], head, body, .trailers(["x": "y"])),
            cell("OK without a message", ["13"], head, .trailers(["grpc-status": "0"])),
            cell("OK with half a message", ["13"], head, .body([0, 0, 0, 0, 9, 1]), .trailers(["grpc-status": "0"])),
            cell("OK with half a frame", ["13"], head, .body([0, 0]), .trailers(["grpc-status": "0"])),
            cell("OK with two messages", ["13"], head, body, body, .trailers(["grpc-status": "0"])),
            cell("OK with garbage", ["13"], head, .body([9, 9, 9, 9, 9, 9]), .trailers(["grpc-status": "0"])),
            cell("OK in the headers", ["13"], .headers(grpc.merging(["grpc-status": "0"]) { $1 }), .end),
            cell("another content type", ["2"], .headers([":status": "200", "content-type": "text/html"]), body, .end),
            cell("no content type", ["2"], .headers([":status": "200"]), .end),
            cell("the connection ends at once", ["14"], .killConnection),
            cell("the connection ends after headers", ["14"], head, .killConnection),
            cell("the connection ends within the message", ["14"], head, .body([0, 0]), .killConnection),
            cell("GOAWAY at once", ["14", "13"], .goAway),
            Cell(name: "refused", behaviour: .refuse, alone: ["14"]),
            Cell(name: "silence", behaviour: .silent, alone: ["4"]),
            Cell(name: "takes nothing", behaviour: .stall, alone: ["4"]),
        ]
        + [400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504].map { code in
            cell("HTTP \(code)", ["2", "7", "12", "13", "14", "16"], .headers([":status": "\(code)"]), .end)
        }
        + [0, 1, 2, 5, 8, 11, 13].map { HTTP2ErrorCode(rawValue: $0) }.flatMap { code in
            [
                cell("reset with \(code)", ["2", "13", "14"], .reset(code)),
                cell("reset with \(code) within the message", ["2", "13", "14"], head, .body([0, 0]), .reset(code)),
            ]
        }

    @Test(arguments: statuses + breaks)
    func besideAHealthyWorkerNobodyLosesAnything(_ cell: Cell) async throws {
        let (sick, healthy) = (ScriptedWorker("sick", maxBatch: 4), ScriptedWorker("healthy", maxBatch: 4))
        sick.change { $0.behaviour = cell.behaviour }
        healthy.change { $0.behaviour = .answer(after: .milliseconds(2)) }
        let gateway = try await GatewayFixture(workers: [try await sick.start(), try await healthy.start()]) {
            $0.overdue = .milliseconds(50)
        }
        #expect(await gateway.up(2))
        let statuses = try await withThrowingTaskGroup(of: [String].self) { group in
            for robot in 0..<6 {
                group.addTask {
                    var statuses: [String] = []
                    for _ in 0..<8 {
                        let response = try await gateway.infer(2000, robot: "r\(robot)", timeout: "8S")
                        statuses.append(response.text == "healthy" ? "healthy" : response.grpcStatus ?? "none")
                    }
                    return statuses
                }
            }
            return try await group.reduce(into: [String: Int]()) { all, some in
                for status in some { all[status, default: 0] += 1 }
            }
        }
        let allowed: Set<String> = cell.isPassedOn ? cell.alone.union(["healthy"]) : ["healthy"]
        #expect(Set(statuses.keys).isSubset(of: allowed), "\(cell.name): \(statuses)")
        if !cell.isPassedOn { #expect(sick.requestCount <= 12, "\(cell.name): fast failures earn nothing") }
        try await gateway.stop()
        for worker in [sick, healthy] { try await worker.stop() }
    }

    @Test(arguments: statuses + breaks)
    func aloneItCostsItsOwnAnswerAndIsForgiven(_ cell: Cell) async throws {
        let worker = ScriptedWorker("w0", maxBatch: 4)
        worker.change { $0.behaviour = cell.behaviour }
        let gateway = try await GatewayFixture(workers: [try await worker.start()]) {
            $0.holdLimit = .milliseconds(100)
            $0.scheduling.outlier.timeout = .milliseconds(300)
        }
        #expect(await gateway.up(1))
        for _ in 0..<2 {
            let response = try await gateway.infer(2000, timeout: "300m")
            // While the connection is being made again there is nobody: that is UNAVAILABLE.
            let status = response.grpcStatus ?? "none"
            #expect(cell.alone.union(["14", "4"]).contains(status), "\(cell.name): \(status) \(response.grpcMessage)")
        }
        worker.change { $0.behaviour = .answer(after: .zero) }
        var last = ""
        for _ in 0..<40 where last != "w0" {
            last = try await gateway.infer(2000, timeout: "1S").text
        }
        #expect(last == "w0", "\(cell.name)")
        try await gateway.stop()
        try await worker.stop()
    }
}
