/// `groot_sim/Reset`: puts the simulated cell back to a start state; `options` is a JSON object or empty.
package enum GrootSimReset: ROSService {
    package typealias Request = GrootSimResetRequest
    package typealias Response = GrootSimResetResponse
    package static let rosType = "groot_sim/Reset"
    package static let md5 = MessageDefinition.serviceMD5(request: Request.self, response: Response.self)
}

/// Request of `groot_sim/Reset`.
package struct GrootSimResetRequest: ROSMessage, Hashable {
    package static let rosType = "groot_sim/ResetRequest"
    package static let definition = """
        int64 seed
        string task
        string options
        """
    package static let md5 = computedMD5()

    package var seed: Int64
    package var task: String
    package var options: String

    package init(seed: Int64 = 0, task: String = "", options: String = "") {
        self.seed = seed
        self.task = task
        self.options = options
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        seed = try reader.integer()
        task = try reader.string()
        options = try reader.string()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.integer(seed)
        writer.string(task)
        writer.string(options)
    }
}

/// Response of `groot_sim/Reset`.
package struct GrootSimResetResponse: ROSMessage, Hashable {
    package static let rosType = "groot_sim/ResetResponse"
    package static let definition = """
        bool success
        string message
        """
    package static let md5 = computedMD5()

    package var success: Bool
    package var message: String

    package init(success: Bool = false, message: String = "") {
        self.success = success
        self.message = message
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        success = try reader.bool()
        message = try reader.string()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.bool(success)
        writer.string(message)
    }
}
