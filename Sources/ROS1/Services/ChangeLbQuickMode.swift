/// `kuavo_msgs/changeLbQuickModeSrv` of newer 5-W robots: 0 off, 1 lower body, 2 arms, 3 both.
///
/// Older ones offer `std_srvs/SetBool` under the same name. The request's field is documented, the answer's text
/// was never seen; the fingerprint agrees with the one computed from the documentation.
package enum ChangeLbQuickMode: ROSService {
    package typealias Request = ChangeLbQuickModeRequest
    package typealias Response = ChangeLbQuickModeResponse
    package static let rosType = "kuavo_msgs/changeLbQuickModeSrv"
    package static let md5 = MessageDefinition.serviceMD5(request: Request.self, response: Response.self)
}

/// Request of `kuavo_msgs/changeLbQuickModeSrv`.
package struct ChangeLbQuickModeRequest: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/changeLbQuickModeSrvRequest"
    package static let definition = """
        int8 quickMode
        """
    package static let md5 = computedMD5()

    package var quickMode: Int8

    package init(quickMode: Int8 = 0) {
        self.quickMode = quickMode
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        quickMode = try reader.integer()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.integer(quickMode)
    }
}

/// Response of `kuavo_msgs/changeLbQuickModeSrv`.
package struct ChangeLbQuickModeResponse: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/changeLbQuickModeSrvResponse"
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
