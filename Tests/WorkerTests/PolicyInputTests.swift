import Foundation
import GrootAPI
import GrootCore
import Testing

@testable import Worker

@Suite
struct PolicyInputTests {
    private let policy = ScriptedRunner().description

    private func request(_ change: (inout Groot_V1_InferRequest) -> Void = { _ in }) -> Groot_V1_InferRequest {
        var request = Groot_V1_InferRequest()
        request.robot = "r1"
        request.task = "Green"
        var image = Groot_V1_Image()
        image.key = "observation.images.a"
        image.encoding = .rgb8
        image.width = 2
        image.height = 1
        image.data = Data([1, 2, 3, 4, 5, 6])
        request.images = [image]
        request.stateNames = ["right", "left"]
        request.stateValues = [2, 1]
        change(&request)
        return request
    }

    @Test
    func `state is ordered by name and the task is lower-cased`() throws {
        let input = try PolicyInput(request(), for: policy)
        #expect(input.state == [1, 2])
        #expect(input.task == "Green")
        #expect(input.taskBytes == Array("green".utf8).map(Int64.init))
        #expect(input.images == [[1, 2, 3, 4, 5, 6]])
    }

    @Test
    func `lower-casing knows more than ASCII`() throws {
        let input = try PolicyInput(request { $0.task = "ÄPFEL 绿" }, for: policy)
        #expect(input.taskBytes == Array("äpfel 绿".utf8).map(Int64.init))
    }

    @Test
    func `a task is as long as the policy reads, or refused`() throws {
        let longest = try PolicyInput(request { $0.task = String(repeating: "x", count: 16) }, for: policy)
        #expect(longest.task.utf8.count == 16)
        refused(request { $0.task = String(repeating: "x", count: 17) }, saying: "17 bytes", "16")
        refused(request { $0.task = "" }, saying: "empty")
    }

    @Test
    func `images must be the policy's, to the byte`() {
        refused(request { $0.images = [] }, saying: "Expected: [\"observation.images.a\"]", "Got: []")
        refused(request { $0.images.append($0.images[0]) }, saying: "Got:")
        refused(request { $0.images[0].width = 4 }, saying: "6 bytes", "expected 12")
        refused(request { $0.images[0].width = 0 }, saying: "0x1")
        refused(request { $0.images[0].width = .max }, saying: "pixels")
        refused(request { $0.images[0].data.removeLast() }, saying: "5 bytes", "expected 6")
        refused(request { $0.images[0].encoding = .unspecified }, saying: "RGB8")
    }

    @Test
    func `an image of another size is resized as LeRobot's server does it`() throws {
        let wide = request {
            $0.images[0].width = 4
            $0.images[0].data = Data([0, 0, 0, 100, 100, 100, 200, 200, 200, 40, 40, 40])
        }
        #expect(try PolicyInput(wide, for: policy).images == [[50, 50, 50, 120, 120, 120]])
    }

    @Test
    func `state must have every name once and finite values`() {
        refused(request { $0.stateNames[0] = "up" }, saying: "[\"left\", \"right\"]", "[\"up\", \"left\"]")
        refused(
            request {
                $0.stateNames = ["left"]
                $0.stateValues = [1]
            },
            saying: "Got: [\"left\"]"
        )
        refused(
            request {
                $0.stateNames.append("extra")
                $0.stateValues.append(0)
            },
            saying: "Got: [\"right\", \"left\", \"extra\"]"
        )
        refused(request { $0.stateNames = ["left", "left"] }, saying: "left is given twice")
        refused(request { $0.stateValues = [1] }, saying: "2 state names but 1 state values")
        refused(request { $0.stateValues[1] = .nan }, saying: "left is nan")
        refused(request { $0.stateValues[0] = -.infinity }, saying: "right is -inf")
    }

    @Test
    func `rows and prefix keep the chunk's size`() {
        refused(request { $0.maxRows = 4 }, saying: "max_rows is 4", "3 rows")
        refused(request { $0.prefix.rows = 1 }, saying: "takes no action prefix")
        var able = policy
        able.supportsPrefix = true
        refused(request { $0.prefix.rows = 4 }, for: able, saying: "4 rows", "at most 3")
        refused(
            request {
                $0.prefix.rows = 1
                $0.prefix.values = [1]
            },
            for: able,
            saying: "1 values, expected 2"
        )
        refused(
            request {
                $0.prefix.rows = 1
                $0.prefix.frozenRows = 2
                $0.prefix.values = [1, 2]
            },
            for: able,
            saying: "freezes 2 of its 1"
        )
        refused(
            request {
                $0.prefix.rows = 1
                $0.prefix.values = [1, .nan]
            },
            for: able,
            saying: "not a finite"
        )
    }

    private func refused(
        _ request: Groot_V1_InferRequest,
        for policy: PolicyDescription? = nil,
        saying texts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: WorkerError.self, sourceLocation: sourceLocation) {
            _ = try PolicyInput(request, for: policy ?? self.policy)
        }
        #expect(error?.code == .badRequest, sourceLocation: sourceLocation)
        for text in texts {
            #expect(error?.message.contains(text) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
        }
    }
}
