/// `ocs2_msgs/mpc_observation`: the whole-body controller's state; on the biped `state[8]` is the base height
/// (m) and `state[10]` its pitch (rad).
package struct MPCObservation: ROSMessage, Hashable {
    package static let rosType = "ocs2_msgs/mpc_observation"
    package static let definition = MessageDefinition.compose(
        """
        float64 time
        mpc_state state
        mpc_input input
        int8 mode
        """,
        embedding: [MPCState.self, MPCInput.self]
    )
    package static let md5 = computedMD5()

    package var time: Double
    package var state: MPCState
    package var input: MPCInput
    package var mode: Int8

    package init(time: Double = 0, state: [Float] = [], input: [Float] = [], mode: Int8 = 0) {
        self.time = time
        self.state = MPCState(value: state)
        self.input = MPCInput(value: input)
        self.mode = mode
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        time = try reader.float64()
        state = try MPCState(from: &reader)
        input = try MPCInput(from: &reader)
        mode = try reader.integer()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float64(time)
        state.encode(to: &writer)
        input.encode(to: &writer)
        writer.integer(mode)
    }
}

/// `ocs2_msgs/mpc_state`.
package struct MPCState: ROSMessage, Hashable {
    package static let rosType = "ocs2_msgs/mpc_state"
    package static let definition = "float32[] value"
    package static let md5 = computedMD5()

    package var value: [Float]

    package init(value: [Float] = []) {
        self.value = value
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        value = try reader.float32s()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float32s(value)
    }
}

/// `ocs2_msgs/mpc_input`.
package struct MPCInput: ROSMessage, Hashable {
    package static let rosType = "ocs2_msgs/mpc_input"
    package static let definition = "float32[] value"
    package static let md5 = computedMD5()

    package var value: [Float]

    package init(value: [Float] = []) {
        self.value = value
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        value = try reader.float32s()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float32s(value)
    }
}
