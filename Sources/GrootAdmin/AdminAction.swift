/// One more resource of a process's admin listener.
package struct AdminAction: Sendable {
    package enum Method: Sendable {
        case get
        case post
    }

    package struct Answer: Sendable {
        package var status: Int
        package var contentType: String
        package var body: String

        package init(status: Int = 200, contentType: String = "text/plain; charset=utf-8", _ body: String) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }

        package static func json(_ body: String) -> Answer {
            Answer(contentType: "application/json; charset=utf-8", body)
        }
    }

    package let method: Method
    /// Such as `/workers/:name/drain`.
    package let path: String
    /// Gets the values of the path's parameters by name.
    package let run: @Sendable ([String: String]) async -> Answer

    package init(
        _ method: Method,
        _ path: String,
        _ run: @escaping @Sendable ([String: String]) async -> Answer
    ) {
        self.method = method
        self.path = path
        self.run = run
    }
}
