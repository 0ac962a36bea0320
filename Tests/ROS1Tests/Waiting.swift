import Foundation
import GrootCore
import Logging
import NIOPosix
import Synchronization
import Testing

@testable import ROS1

/// Polls until the condition holds; records an issue after the limit.
func eventually(
    _ what: @autoclosure () -> Comment,
    within limit: Duration = .seconds(15),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = MonotonicInstant.now() + limit
    while try await !condition() {
        guard MonotonicInstant.now() < deadline else {
            Issue.record("not within \(limit): \(what())", sourceLocation: sourceLocation)
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Collects what handlers deliver; any thread.
final class Inbox<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    func add(_ element: Element) {
        elements.withLock { $0.append(element) }
    }

    var all: [Element] { elements.withLock { $0 } }
    var count: Int { elements.withLock { $0.count } }
}

extension Logger {
    /// Silent unless a test is being looked into.
    static var testing: Logger {
        var logger = Logger(label: "ROS1Tests")
        logger.logLevel = ProcessInfo.processInfo.environment["ROS1_TEST_LOG"] == nil ? .critical : .debug
        return logger
    }
}

/// Runs the body with a started node and shuts the node down afterwards.
func withNode<Result>(
    _ name: String,
    master: String,
    metrics: MetricsRegistry? = nil,
    _ body: (ROSNode) async throws -> Result
) async throws -> Result {
    let node = ROSNode(name: name, masterURI: master, logger: .testing, metrics: metrics)
    do {
        try await node.start()
        let result = try await body(node)
        await node.shutdown()
        return result
    } catch {
        await node.shutdown()
        throw error
    }
}

/// Runs the body with an embedded master on a free port.
func withMaster<Result>(_ body: (_ uri: String) async throws -> Result) async throws -> Result {
    let master = ROSMaster(port: 0, logger: .testing)
    let port = try await master.start()
    do {
        let result = try await body("http://127.0.0.1:\(port)")
        await master.stop()
        return result
    } catch {
        await master.stop()
        throw error
    }
}

/// Where a node serves a topic, asked the way a subscriber does.
func tcprosAddress(of node: String, topic: String, master: String) async throws -> ROSAddress {
    let client = XMLRPCClient(group: MultiThreadedEventLoopGroup.singleton)
    let caller = XMLRPCValue.string("/test")
    let uri = try await client.callROS("lookupNode", [caller, .string(node)], at: master).string ?? ""
    let protocols = XMLRPCValue.array([.strings(["TCPROS"])])
    let offer = try await client.callROS("requestTopic", [caller, .string(topic), protocols], at: uri)
    let parts = try #require(offer.array)
    return ROSAddress(host: try #require(parts[1].string), port: try #require(parts[2].int))
}
