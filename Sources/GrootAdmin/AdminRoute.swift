import Hummingbird

/// A further resource of an admin listener, in terms that know no HTTP library.
package struct AdminRoute: Sendable {
    package enum Method: Sendable {
        case get
        case post
        case delete
    }

    package typealias Handler = @Sendable (AdminRequest) async -> AdminResponse

    package var method: Method
    /// `/checkpoints/:name`: parts with a colon are parameters.
    package var path: String
    package var handler: Handler

    package init(_ method: Method, _ path: String, handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.handler = handler
    }

    /// What such a request may carry.
    private static let maximumBody = 64 << 10

    /// The routes in the form that `AdminServer` takes.
    package static func pages(_ routes: [AdminRoute]) -> AdminServer.Routes {
        { router in
            for route in routes { route.add(to: router) }
        }
    }

    private func add(to router: Router<BasicRequestContext>) {
        let method: HTTPRequest.Method =
            switch method {
            case .get: .get
            case .post: .post
            case .delete: .delete
            }
        let names = path.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
        router.on(RouterPath(path), method: method) { [handler] request, context -> Response in
            var parameters: [String: String] = [:]
            for name in names { parameters[name] = context.parameters.get(name) }
            let body = try await request.body.collect(upTo: Self.maximumBody)
            let answer = await handler(AdminRequest(parameters: parameters, body: Array(body.readableBytesView)))
            return Response(
                status: .init(code: answer.status),
                headers: [.contentType: "application/json; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: answer.json))
            )
        }
    }
}

package struct AdminRequest: Sendable {
    /// Parts of the path, decoded.
    package var parameters: [String: String]
    package var body: [UInt8]

    package init(parameters: [String: String] = [:], body: [UInt8] = []) {
        self.parameters = parameters
        self.body = body
    }
}

package struct AdminResponse: Sendable {
    package var status: Int
    package var json: String

    package init(status: Int, json: String) {
        self.status = status
        self.json = json
    }
}
