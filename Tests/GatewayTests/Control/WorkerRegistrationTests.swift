import GRPCCore
import GrootAPI
import GrootCore
import Logging
import SwiftProtobuf
import Testing

@testable import Gateway

struct WorkerRegistrationTests {
    private func registration(_ worker: String, _ address: String, leaving: Bool = false) throws -> WorkerRegistration {
        try WorkerRegistration(
            .with {
                $0.worker = worker
                $0.address = address
                $0.leaving = leaving
            }
        )
    }

    @Test
    func joinsStaysMovesAndLeaves() throws {
        let directory = WorkerDirectory(WorkerDirectory.Configuration(), logger: Logger(label: "test"))
        #expect(try registration("w1", "gpu1:8090").carryOut(directory) == .seconds(10))
        #expect(try registration("w1", "gpu1").carryOut(directory) == .seconds(10))
        let taken = #expect(throws: RPCError.self) { try registration("w2", "gpu1").carryOut(directory) }
        #expect(taken?.code == .alreadyExists && taken?.message.contains("\"w1\"") == true)
        #expect(try registration("w1", "", leaving: true).carryOut(directory) == .zero)
        #expect(try registration("w2", "gpu1").carryOut(directory) == .seconds(10))
    }

    @Test(
        arguments: [
            ("", "gpu1"), ("w 1", "gpu1"), ("w1", ""), ("w1", "0.0.0.0:8090"), ("w1", "[::]:8090"), ("w1", "gpu1:0"),
            ("w1", "unix:/tmp/x"), ("w1", "gpu1:port"),
        ]
    )
    func whatMakesNoSenseIsRefusedWithTheField(_ worker: String, _ address: String) {
        let error = #expect(throws: FieldProblem.self) { try registration(worker, address) }
        #expect(error?.message.hasPrefix("worker:") == true || error?.message.hasPrefix("address:") == true)
    }
}
