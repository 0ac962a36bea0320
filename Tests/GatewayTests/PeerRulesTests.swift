import GrootCore
import HTTP2
import Testing

@testable import Gateway

@Suite
struct PeerRulesTests {
    private static let infer = Route(path: "/groot.v1.Inference/Infer")
    private static let register = Route(path: "/groot.v1.Fleet/RegisterRobot")

    private static func peer(_ identity: PeerIdentity?, isVerified: Bool = true) -> TLSPeer {
        TLSPeer(identity: identity, isVerified: isVerified, subject: "CN=x", serial: "1", version: "TLSv1.3")
    }

    @Test(
        arguments: [
            (nil, infer, "r1", true),
            (peer(nil, isVerified: false), infer, "r1", true),
            (peer(nil), infer, "r1", false),
            (peer(PeerIdentity(.robot, "r1")), infer, "r1", true),
            (peer(PeerIdentity(.robot, "r1")), infer, nil, true),
            (peer(PeerIdentity(.robot, "r1")), infer, "r2", false),
            (peer(PeerIdentity(.robot, "r1")), infer, "", false),
            (peer(PeerIdentity(.robot, "r1")), register, "r2", false),
            (peer(PeerIdentity(.robot, "r1")), register, nil, true),
            (peer(PeerIdentity(.operator, "ana")), infer, "r7", true),
            (peer(PeerIdentity(.gateway, "g2")), infer, "r7", true),
            (peer(PeerIdentity(.worker, "w1")), infer, "r1", false),
            (peer(PeerIdentity(.worker, "w1")), infer, nil, false),
            (peer(PeerIdentity(.worker, "w1")), register, nil, true),
            (peer(PeerIdentity(.worker, "w1")), register, "r1", false),
        ] as [(TLSPeer?, Route, String?, Bool)]
    )
    func whoMayAskForWhat(_ peer: TLSPeer?, _ route: Route, _ robot: String?, _ allowed: Bool) {
        let refusal = PeerRules.refusal(peer, route: route, robot: robot)
        #expect((refusal == nil) == allowed)
        #expect(refusal == nil || refusal?.code == .permissionDenied)
    }
}
