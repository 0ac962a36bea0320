/// `std_srvs/SetBool`.
package enum SetBool: ROSService {
    package typealias Request = SetBoolRequest
    package typealias Response = SetBoolResponse
    package static let rosType = "std_srvs/SetBool"
    package static let md5 = MessageDefinition.serviceMD5(request: Request.self, response: Response.self)
}

/// Request of `std_srvs/SetBool`.
package struct SetBoolRequest: ROSMessage, Hashable {
    package static let rosType = "std_srvs/SetBoolRequest"
    package static let definition = """
        bool data
        """
    package static let md5 = computedMD5()

    package var data: Bool

    package init(data: Bool = false) {
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        data = try reader.bool()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.bool(data)
    }
}

/// Response of `std_srvs/SetBool`.
package struct SetBoolResponse: ROSMessage, Hashable {
    package static let rosType = "std_srvs/SetBoolResponse"
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

/// `std_srvs/Trigger`.
package enum Trigger: ROSService {
    package typealias Request = TriggerRequest
    package typealias Response = TriggerResponse
    package static let rosType = "std_srvs/Trigger"
    package static let md5 = MessageDefinition.serviceMD5(request: Request.self, response: Response.self)
}

/// Request of `std_srvs/Trigger`.
package struct TriggerRequest: ROSMessage, Hashable {
    package static let rosType = "std_srvs/TriggerRequest"
    package static let definition = ""
    package static let md5 = computedMD5()

    package init() {}

    package init(from reader: inout ROSReader) throws(ROSError) {}

    package func encode(to writer: inout ROSWriter) {}
}

/// Response of `std_srvs/Trigger`.
package struct TriggerResponse: ROSMessage, Hashable {
    package static let rosType = "std_srvs/TriggerResponse"
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
