import Foundation
import Testing

@testable import Simulator

@Suite struct GymTests {
    private struct Answer: Decodable {
        var error: String?
        var outcome: String?
        var state: [Double]?
        var imageBytes: Int?
        var expert: [[Double]]?
    }

    private func split(_ data: Data) throws -> (Answer, Int) {
        let end = try #require(data.firstIndex(of: 0x0A))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (try decoder.decode(Answer.self, from: data[..<end]), data.count - end - 1)
    }

    @Test func resetAndStepAnswerStateAndImages() throws {
        var gym = Gym(cells: 1)
        let (reset, bytes) = try split(gym.answer(#"{"cmd":"reset","cell":0,"seed":3,"options":{"expert":true}}"#))
        #expect(reset.outcome == "running")
        #expect(reset.state?.count == 16)
        #expect(reset.expert?.count == 16)
        #expect(bytes == 2 * 96 * 96 * 3)
        #expect(reset.imageBytes == bytes)
        let home = "[" + (HomePosture.joints + [0, 0]).map { "\($0)" }.joined(separator: ",") + "]"
        let (step, none) = try split(gym.answer("{\"cmd\":\"step\",\"cell\":0,\"targets\":[\(home)],\"images\":false}"))
        #expect(step.outcome == "running")
        #expect(none == 0)
    }

    @Test(arguments: [
        #"{"cmd":"step","cell":0,"targets":[[1]]}"#, #"{"cmd":"reset","cell":9}"#, #"{"cmd":"dance","cell":0}"#,
        "nonsense",
        #"{"cmd":"step","cell":0,"targets":[]}"#,
    ])
    func badRequestsAreAnsweredWithAnError(line: String) throws {
        var gym = Gym(cells: 1)
        #expect(try split(gym.answer(line)).0.error != nil)
    }
}
