/// `kuavo_msgs/changeArmCtrlMode`: 5-W: 0 hold, 1 initial pose, 2 external; biped: 0 keep, 1 swing, 2 external.
package enum ChangeArmCtrlMode: ROSService {
    package typealias Request = ChangeArmCtrlModeRequest
    package typealias Response = ChangeArmCtrlModeResponse
    package static let rosType = "kuavo_msgs/changeArmCtrlMode"
    package static let md5 = MessageDefinition.serviceMD5(request: Request.self, response: Response.self)
}

/// Request of `kuavo_msgs/changeArmCtrlMode`.
package struct ChangeArmCtrlModeRequest: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/changeArmCtrlModeRequest"
    package static let definition = """
        int32 control_mode
        """
    package static let md5 = computedMD5()

    package var controlMode: Int32

    package init(controlMode: Int32 = 0) {
        self.controlMode = controlMode
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        controlMode = try reader.integer()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.integer(controlMode)
    }
}

/// Response of `kuavo_msgs/changeArmCtrlMode`.
package struct ChangeArmCtrlModeResponse: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/changeArmCtrlModeResponse"
    package static let definition = """
        bool result
        int32 mode
        string message
        """
    package static let md5 = computedMD5()

    package var result: Bool
    package var mode: Int32
    package var message: String

    package init(result: Bool = false, mode: Int32 = 0, message: String = "") {
        self.result = result
        self.mode = mode
        self.message = message
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        result = try reader.bool()
        mode = try reader.integer()
        message = try reader.string()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.bool(result)
        writer.integer(mode)
        writer.string(message)
    }
}

/// `kuavo_msgs/controlLejuClaw`.
package enum ControlLejuClaw: ROSService {
    package typealias Request = ControlLejuClawRequest
    package typealias Response = ControlLejuClawResponse
    package static let rosType = "kuavo_msgs/controlLejuClaw"
    package static let md5 = MessageDefinition.serviceMD5(request: Request.self, response: Response.self)
}

/// Request of `kuavo_msgs/controlLejuClaw`.
package struct ControlLejuClawRequest: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/controlLejuClawRequest"
    package static let definition = MessageDefinition.compose(
        """
        endEffectorData data
        """,
        embedding: [EndEffectorData.self]
    )
    package static let md5 = computedMD5()

    package var data: EndEffectorData

    package init(data: EndEffectorData = EndEffectorData()) {
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        data = try EndEffectorData(from: &reader)
    }

    package func encode(to writer: inout ROSWriter) {
        data.encode(to: &writer)
    }
}

/// Response of `kuavo_msgs/controlLejuClaw`.
package struct ControlLejuClawResponse: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/controlLejuClawResponse"
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
