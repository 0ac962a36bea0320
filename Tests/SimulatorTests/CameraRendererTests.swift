import GrootCore
import Testing

@testable import Simulator

@Suite struct CameraRendererTests {
    private static let cameras = RobotMessages.cameraTopics.keys.sorted()

    /// What is left out to save vertices must not be missing in any picture, whatever the arms do.
    @Test(arguments: 0..<6 as Range<UInt64>)
    func unseenGeometryChangesNoPicture(seed: UInt64) throws {
        let scene = SceneVariation(seed: seed)
        let world = try PhysicsWorld(scene: scene)
        let renderer = try CameraRenderer(scene: scene)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<4 {
            var target = scene.startPosture.map { $0 + Double(generator.next() % 1000) / 1000 - 0.5 }
            target += [0, 100]
            world.command(target)
            for _ in 0..<200 { world.step() }
            renderer.dropsUnseen = false
            let whole = renderer.render(Self.cameras, positions: world.positions, width: 96, height: 64)
            renderer.dropsUnseen = true
            let seen = renderer.render(Self.cameras, positions: world.positions, width: 96, height: 64)
            for (name, pair) in zip(Self.cameras, zip(whole, seen)) {
                #expect(pair.0.pixels == pair.1.pixels, "camera \(name)")
                #expect(Set(pair.0.pixels).count > 20, "camera \(name) shows something")
            }
        }
    }
}
