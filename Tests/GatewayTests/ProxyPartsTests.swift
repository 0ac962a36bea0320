import ArgumentParser
import GrootAPI
import GrootCore
import HTTP2
import NIOCore
import Testing

@testable import Gateway

struct ProxyPartsTests {
    @Test(
        arguments: [
            ("1H", .seconds(3600)), ("2M", .seconds(120)), ("3S", .seconds(3)), ("250m", .milliseconds(250)),
            ("7u", .microseconds(7)), ("9n", .nanoseconds(9)), ("99999999S", .seconds(99_999_999)), ("0m", .zero),
        ] as [(String, Duration)]
    )
    func timeoutsParse(_ text: String, _ duration: Duration) {
        #expect(GRPCTimeout.parse(text) == duration)
    }

    @Test(arguments: ["", "S", "10", "123456789S", "-1S", " 5S", "1x", "1.5S", "٣S"])
    func malformedTimeoutsDoNot(_ text: String) {
        #expect(GRPCTimeout.parse(text) == nil)
    }

    @Test(arguments: [1, 999, 99_999_999, 100_000_000, 2_500_000_000, 250_000_000_000_000, Int64.max / 2])
    func formattedTimeoutsParseBackAndNeverGrow(_ nanoseconds: Int64) throws {
        let text = GRPCTimeout.format(.nanoseconds(nanoseconds))
        let parsed = try #require(GRPCTimeout.parse(text))
        #expect(parsed <= .nanoseconds(nanoseconds) && parsed > .zero)
    }

    @Test
    func `fields are found by their whole name, the first one wins, and removing takes all of them`() {
        let headers = HTTP2Headers([("a", "1"), ("ab", "2"), ("a", "3"), ("c", ""), ("a", "4")])
        #expect(headers["a"] == "1" && headers["ab"] == "2" && headers["c"] == "" && headers["b"] == nil)
        #expect(headers[""] == nil && !headers.contains("abc") && headers.contains("c"))
        let rest = headers.removing(["a", "nobody"])
        #expect(rest.fields.map { "\($0.name)=\($0.value)" } == ["ab=2", "c="])
        #expect(HTTP2Headers().removing(["a"]).count == 0 && HTTP2Headers()["a"] == nil)
    }

    @Test
    func messagesArePercentEncoded() {
        #expect(GRPCMessage.encode("100% grün\n") == "100%25 gr%C3%BCn%0A")
    }

    @Test(
        arguments: [
            ("/groot.v1.Inference/Infer", .inference(method: "Infer")), ("/groot.v1.Fleet/StartEpisode", .control),
            ("/grpc.health.v1.Health/Check", .control), ("/groot.v1.Inference/", .unknown), ("/", .unknown),
            ("/groot.v1.Inference/../Fleet/X", .unknown), ("/groot.v1.Inference%2FInfer", .unknown),
            ("//groot.v1.Inference/Infer", .unknown), ("/\u{301}groot.v1.Inference/Infer", .unknown),
            ("groot.v1.Inference/Infer", .unknown), ("/groot.v1.Inference", .unknown),
            ("/groot.v1.Inference/Infer/", .unknown), ("/groot.v1.Inference/Describe", .inference(method: "Describe")),
            ("/groot.v1.Inference/Infer?x", .unknown), ("/groot.v1.Inference/Other", .unknown), ("", .unknown),
        ] as [(String, Route)]
    )
    func routesAreExact(_ path: String, _ route: Route) {
        #expect(Route(path: path) == route)
    }

    @Test
    func headRewritesTheDeadlineAndKeepsTheRest() throws {
        let headers = HTTP2Headers([
            (":method", "POST"), (":path", "/groot.v1.Inference/Infer"), ("content-type", "application/grpc"),
            ("te", "trailers"), ("groot-robot", "r1"), ("grpc-timeout", "1S"), ("x-bin", "AAE"),
            ("groot-worker", "spoof"), ("traceparent", "00-aa-bb-01"), ("groot-runway-ms", "250"),
        ])
        let head = try RequestHead(headers, at: at(0), configuration: GatewayConfiguration())
        let sent = head.headers(attempt: 2, at: at(400))
        #expect(sent["grpc-timeout"].flatMap(GRPCTimeout.parse) == .milliseconds(600))
        #expect(sent["grpc-previous-rpc-attempts"] == "1")
        #expect(sent["x-bin"] == "AAE" && sent["te"] == "trailers" && sent["traceparent"] == "00-aa-bb-01")
        #expect(head.runway == .milliseconds(250) && head.traceparent == "00-aa-bb-01")
        #expect(!sent.contains("groot-worker"))
    }

    @Test
    func aRobotMustSayItsName() {
        let headers = HTTP2Headers([
            (":method", "POST"), (":path", "/groot.v1.Inference/Infer"), ("content-type", "application/grpc"),
        ])
        #expect(throws: RequestHead.Refusal.self) {
            try RequestHead(headers, at: at(0), configuration: GatewayConfiguration())
        }
    }
}
