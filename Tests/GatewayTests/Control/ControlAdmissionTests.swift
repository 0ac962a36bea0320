import GrootCore
import GrootStore
import Testing

@testable import Gateway

struct ControlAdmissionTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    @Test func anIdentityHasItsCallsAndNoMore() {
        var admission = ControlAdmission(ControlBudgets(calls: 3))
        for _ in 0..<3 { #expect(admission.began(.record, by: "robot/r1", at: start) == nil) }
        #expect(admission.began(.record, by: "robot/r1", at: start)?.limit == .calls)
        #expect(admission.began(.lease, by: "robot/r1", at: start)?.limit == .calls)
        #expect(admission.began(.record, by: "robot/r2", at: start) == nil)
        admission.ended(.record, by: "robot/r1")
        #expect(admission.began(.record, by: "robot/r1", at: start) == nil)
        #expect(admission.openCalls(.record) == 4)
    }

    /// Whatever fills up one kind of call, under as many names as it likes, the others go on.
    @Test(arguments: ControlAdmission.Kind.allCases)
    func oneKindNeverStarvesAnother(_ kind: ControlAdmission.Kind) {
        var admission = ControlAdmission(ControlBudgets())
        var taken = 0
        while taken < 10_000, admission.began(kind, by: "robot \(taken)", at: start) == nil { taken += 1 }
        #expect(taken == kind.limit)
        #expect(admission.began(kind, by: nil, at: start)?.limit == .total)
        for other in ControlAdmission.Kind.allCases where other != kind {
            #expect(admission.began(other, by: "worker/w1", at: start) == nil)
        }
        let all = ControlAdmission.Kind.allCases.reduce(0) { $0 + $1.limit }
        #expect(all < FleetControlPlane.maxConcurrentCalls, "who is refused still finds a stream to hear it on")
    }

    @Test func rowsAndBytesPerSecondHaveAnAllowance() {
        var admission = ControlAdmission(ControlBudgets(rowsPerSecond: 1000, bytesPerSecond: 10 << 20))
        // A pause earns as much as the largest report; then it is the rate that counts.
        #expect(admission.stores(rows: 10_000, bytes: 1, for: "robot/r1", at: start) == nil)
        let refusal = admission.stores(rows: 1, bytes: 1, for: "robot/r1", at: start)
        #expect(refusal?.limit == .rows && refusal?.message.contains("telemetry-rows") == true)
        #expect(admission.stores(rows: 1, bytes: 1, for: "robot/r2", at: start) == nil)
        var stored = 0
        for step in 1...10_000
        where admission.stores(
            rows: 10,
            bytes: 1,
            for: "robot/r1",
            at: start + .milliseconds(step)
        ) == nil {
            stored += 10
        }
        #expect((9_900...10_100).contains(stored))
        let many = 200 << 20
        #expect(
            admission.stores(rows: 1, bytes: many, for: "robot/r3", at: start) == nil,
            "nothing is too large for ever"
        )
        let wait = admission.stores(rows: 1, bytes: 1, for: "robot/r3", at: start + .seconds(1))
        #expect(wait?.limit == .bytes && wait?.message.contains("telemetry-bytes") == true)
        #expect(admission.stores(rows: 1, bytes: 1, for: "robot/r3", at: start + .seconds(30)) == nil)
    }

    /// Names that come once cost nothing for long.
    @Test func identitiesThatUseNothingAreForgotten() {
        var admission = ControlAdmission(ControlBudgets())
        for number in 0..<100_000 {
            let now = start + .milliseconds(number)
            let name = "robot \(number)"
            #expect(admission.began(.record, by: name, at: now) == nil)
            #expect(admission.stores(rows: 1, bytes: 100, for: name, at: now) == nil)
            admission.ended(.record, by: name)
        }
        #expect(admission.identities < 1000)
        #expect(admission.openCalls(.record) == 0)
    }

    /// Against a simple model: never more than allowed at a time, and every end makes room again.
    @Test func randomCallsAgreeWithAModel() {
        var random = SystemRandomNumberGenerator()
        var admission = ControlAdmission(ControlBudgets(calls: 4))
        var open: [(kind: ControlAdmission.Kind, identity: String)] = []
        for step in 0..<20_000 {
            if Bool.random(using: &random), let index = open.indices.randomElement(using: &random) {
                let call = open.remove(at: index)
                admission.ended(call.kind, by: call.identity)
                continue
            }
            let kind = ControlAdmission.Kind.allCases.randomElement(using: &random) ?? .record
            let identity = "robot \(Int.random(in: 0..<100, using: &random))"
            let mine = open.count { $0.identity == identity }
            let ofKind = open.count { $0.kind == kind }
            let refusal = admission.began(kind, by: identity, at: start + .milliseconds(step))
            #expect((refusal == nil) == (mine < 4 && ofKind < kind.limit))
            if refusal == nil { open.append((kind, identity)) }
        }
    }
}

struct WorkerMemoryTests {
    private func worker(_ name: String, _ digests: [String], at address: String = "h:1") -> WorkerRecord {
        WorkerRecord(
            worker: name,
            address: address,
            checkpoints: digests.map {
                CheckpointRecord(
                    sha256: $0,
                    name: $0,
                    policyType: "",
                    runtime: "",
                    featuresJSON: "{}",
                    chunkSize: 16,
                    actionPeriodNanoseconds: 1
                )
            }
        )
    }

    @Test func everyCheckpointIsKeptAndTheNewestAddress() {
        var memory = WorkerMemory()
        memory.described(worker("w1", ["a", "b"]))
        memory.described(worker("w2", ["a"]))
        memory.described(worker("w1", ["c", "a"], at: "h:2"))
        #expect(memory.count == 2)
        #expect(memory.next?.checkpoints.map(\.sha256) == ["b", "c", "a"] && memory.next?.address == "h:2")
    }

    @Test func whatIsSaidWhileItIsSavedIsSavedNext() throws {
        var memory = WorkerMemory()
        memory.described(worker("w1", ["a"]))
        let saved = try #require(memory.next)
        memory.described(worker("w1", ["b"]))
        memory.described(worker("w2", ["a"]))
        memory.settled(saved)
        #expect(memory.count == 2 && memory.next?.worker == "w2", "others come first")
        memory.settled(worker("w2", ["a"]))
        #expect(memory.next?.checkpoints.map(\.sha256) == ["a", "b"])
        memory.settled(try #require(memory.next))
        #expect(memory.next == nil && memory.count == 0)
    }

    @Test func itHasALimit() {
        var memory = WorkerMemory()
        for number in 0..<5000 { memory.described(worker("w\(number)", ["a"])) }
        #expect(memory.count == WorkerMemory.limit && memory.next?.worker == "w904")
        for number in 0..<300 { memory.described(worker("w4999", ["\(number)"])) }
        var last = memory
        while let next = last.next, next.worker != "w4999" { last.settled(next) }
        #expect(last.next?.checkpoints.count == WorkerMemory.checkpointLimit)
        #expect(last.next?.checkpoints.last?.sha256 == "299")
    }
}
