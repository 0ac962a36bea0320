import Testing

@testable import Simulator

@Suite struct SceneTests {
    @Test func aSeedGivesTheSameSceneAndAnotherSeedAnotherOne() {
        #expect(SceneVariation(seed: 7) == SceneVariation(seed: 7))
        #expect(SceneVariation(seed: 7) != SceneVariation(seed: 8))
    }

    @Test func theGeneratorIsSplitMix64() {
        // Published first outputs for seed 1234567.
        var generator = SeededGenerator(seed: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
    }

    @Test func everySceneStaysInItsRanges() {
        for seed in 0..<200 {
            let scene = SceneVariation(seed: UInt64(seed))
            #expect(Set(scene.cartons.map(\.colour)).count == 4)
            for carton in scene.cartons {
                #expect((0.6...2.0).contains(carton.mass))
                #expect(abs(abs(carton.position.y) - 0.15) <= 0.017)
                #expect(abs(carton.position.x - 0.415) <= 0.031)
            }
            #expect(scene.reachableCarton(for: TaskRequest(sentence: scene.task)) == scene.target)
        }
    }

    @Test(arguments: [
        ("Depalletize the red box", TaskRequest.colour(.red)), ("TAKE THE BLUE ONE", .colour(.blue)),
        ("把yellow箱子搬走", .colour(.yellow)), ("green", .colour(.green)), ("Depalletize the box", .unknown),
        ("the red or the blue box", .unknown), ("purple", .unknown), ("", .unknown), ("bored greenish", .unknown),
    ])
    func theSentenceNamesTheColour(sentence: String, request: TaskRequest) {
        #expect(TaskRequest(sentence: sentence) == request)
    }

    @Test(arguments: 0..<20)
    func theNamedCartonIsPutWhereItIsWanted(seed: UInt64) {
        let drawn = SceneVariation(seed: seed)
        for colour in CartonColour.allCases {
            let upper = drawn.placing(.colour(colour), .upper)
            #expect(upper.reachableCarton(for: .colour(colour)) == drawn.target)
            #expect(Set(upper.cartons.map(\.colour)).count == 4)
            #expect(upper.cartons.map(\.position) == drawn.cartons.map(\.position))
            #expect(drawn.placing(.colour(colour), .lower).reachableCarton(for: .colour(colour)) == nil)
            #expect(drawn.placing(.colour(colour), .random) == drawn)
        }
        #expect(drawn.placing(.unknown, .upper) == drawn)
    }

    @Test func aLowerCartonIsOutOfReach() {
        let scene = SceneVariation(seed: 3)
        #expect(scene.reachableCarton(for: .colour(scene.cartons[2].colour)) == nil)
        #expect(scene.reachableCarton(for: .unknown) == nil)
    }
}
