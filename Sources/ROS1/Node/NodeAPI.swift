import Foundation

/// The XML-RPC methods that the master and other nodes call on a node; runs on its server's event loops.
struct NodeAPI: Sendable {
    let masterURI: String
    let host: String
    let tcprosPort: @Sendable () -> Int
    let registry: @Sendable () -> NodeRegistry
    /// The master tells this node to go because another took its name.
    let superseded: @Sendable (String) -> Void

    func handle(_ method: String, _ parameters: [XMLRPCValue]) throws(ROSError) -> XMLRPCValue {
        switch method {
        case "publisherUpdate":
            guard parameters.count >= 3, let topic = parameters[1].string, let publishers = parameters[2].strings
            else { throw ROSError(.malformed, "publisherUpdate takes caller_id, topic, publishers") }
            let registry = registry()
            registry.subscriptions[topic]?.update(publishers: publishers)
            registry.watches[topic]?.changed()
            return success(.int(0))
        case "requestTopic":
            guard parameters.count >= 3, let topic = parameters[1].string, let protocols = parameters[2].array else {
                throw ROSError(.malformed, "requestTopic takes caller_id, topic, protocols")
            }
            guard registry().publications[topic] != nil else { return failure("not a publisher of [\(topic)]") }
            guard protocols.contains(where: { $0.array?.first?.string == "TCPROS" }) else {
                return failure("only TCPROS is supported")
            }
            return success(.array([.string("TCPROS"), .string(host), .int(tcprosPort())]))
        case "getPid": return success(.int(Int(ProcessInfo.processInfo.processIdentifier)))
        case "getMasterUri": return success(.string(masterURI))
        case "getPublications":
            return success(pairs(registry().publications.values.map { ($0.offer.topic, $0.offer.type) }))
        case "getSubscriptions":
            return success(pairs(registry().subscriptions.values.map { ($0.demand.topic, $0.demand.type) }))
        case "getBusInfo": return success(.array([]))
        case "getBusStats": return success(.array([.array([]), .array([]), .array([])]))
        case "paramUpdate": return success(.int(0))
        case "shutdown":
            let reason = parameters.count > 1 ? parameters[1].string ?? "" : ""
            superseded(reason)
            return success(.int(0))
        default: throw ROSError(.refused, "method \"\(method)\" is not supported")
        }
    }

    private func pairs(_ pairs: [(String, String)]) -> XMLRPCValue {
        .array(pairs.sorted { $0.0 < $1.0 }.map { .strings([$0.0, $0.1]) })
    }

    private func success(_ value: XMLRPCValue) -> XMLRPCValue {
        .array([.int(1), .string("ok"), value])
    }

    private func failure(_ status: String) -> XMLRPCValue {
        .array([.int(0), .string(status), .int(0)])
    }
}
