import GRPCCore
import GrootAPI
import GrootCore
import Testing

@testable import RobotAgent

struct LinkWatchTests {
    private let now = MonotonicInstant(nanoseconds: 1_000_000_000)

    @Test func silenceIsNoticedWhileTheRequestWaits() {
        var watch = LinkWatch()
        watch.asked(at: now)
        #expect(watch.state(at: now + .milliseconds(500)) == .reachable)
        #expect(watch.state(at: now + .milliseconds(501)) == .silent)
        #expect(watch.state == .reachable, "nothing has failed yet")
        watch.ended(.answered)
        #expect(watch.state(at: now + .seconds(9)) == .reachable)
    }

    @Test func twoSilentEndingsAreALoss() {
        var watch = LinkWatch()
        watch.asked(at: now)
        watch.ended(.silent)
        #expect(watch.state == .reachable && watch.state(at: now) == .silent)
        watch.asked(at: now)
        watch.ended(.silent)
        #expect(watch.state == .silent)
        watch.asked(at: now)
        #expect(watch.state(at: now) == .silent, "until something is heard")
        watch.ended(.answered)
        #expect(watch.state(at: now) == .reachable)
    }

    /// Every gRPC code, with and without the sign that a gateway wrote it.
    @Test func endingsAreToldApart() {
        var answered: Metadata = [:]
        answered.addString("1", forKey: MetadataKey.attempts)
        let codes: [RPCError.Code] = [
            .cancelled, .unknown, .invalidArgument, .deadlineExceeded, .notFound, .alreadyExists, .permissionDenied,
            .resourceExhausted, .failedPrecondition, .aborted, .outOfRange, .unimplemented, .internalError,
            .unavailable, .dataLoss, .unauthenticated,
        ]
        for code in codes {
            let bare = LinkWatch.Ending(RPCError(code: code, message: ""))
            let known = LinkWatch.Ending(RPCError(code: code, message: "", metadata: answered))
            switch code {
            case .deadlineExceeded: #expect(bare == .silent && known == .silent)
            case .unavailable: #expect(bare == .silent && known == .noWorkers)
            default: #expect(bare == .answered && known == .answered, "\(code)")
            }
        }
        #expect(LinkWatch.Ending(AgentError(.unavailable, "")) == .answered)
    }

    @Test func workersThatAreGoneAreNoSilence() {
        var watch = LinkWatch()
        watch.ended(.noWorkers)
        watch.asked(at: now)
        #expect(watch.state(at: now + .seconds(1)) == .noWorkers)
        watch.ended(.answered)
        #expect(watch.state == .reachable)
    }
}
