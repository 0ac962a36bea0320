import NIOCore
import ROS1
import Testing

@Suite("Message codecs")
struct MessageTests {
    @Test("fingerprints follow from the definitions and equal the robot's")
    func fingerprints() {
        let expected: [(any ROSMessage.Type, String)] = [
            (ROSHeader.self, "2176decaecbce78abc3b96ef049fabed"),
            (JointState.self, "3066dcd76a6cfaef579bd0f34173e9fd"),
            (ROSImage.self, "060021388200f6f0f447d0fcd9c64743"),
            (CompressedImage.self, "8f7a12909da2c9d3332d540a0977563f"),
            (Twist.self, "9f195f881246fdfa2798d1d3eebca84a"),
            (Float64MultiArray.self, "4b7d974086d4060e7db4613a7e6c3ba4"),
            (StdString.self, "992ce8a1687cec8c8bd883ec73ca41d1"),
            (StdFloat32.self, "73fcbf46b49191e672908e50842a83d4"),
            (StdInt8.self, "27ffa0c9c4b8fb8492252bcad9e5c57b"),
            (SensorsData.self, "35fff741b8e115992c1ac46e99c1084f"),
            (JointData.self, "2e01436cbc40e94e8fe8f54a2c4ea282"),
            (IMUData.self, "6406067cf839b39a677ae809cd04646a"),
            (EndEffectorData.self, "5703dc153b077fbca188a602cb8df8ed"),
            (LejuClawState.self, "71c0eb8f4803a00f5667de51a2f70aac"),
            (LejuClawCommand.self, "57c40e80f90e7a289ae0b2488552e043"),
            (JointCmd.self, "9ed16f87b9f90b25cdeeb417f3c21f9e"),
            (RobotHeadMotionData.self, "400001e7cf73111efbced59084cb481a"),
            (ArmTargetPoses.self, "267055a1a7e685e90c17a3ebf7a8a26c"),
            (MPCObservation.self, "c4075a25799f2a89c6d62b26e93cb66f"),
            (MPCState.self, "1becc0cb8362a822e3753aa6cf42cf70"),
            (MPCInput.self, "1becc0cb8362a822e3753aa6cf42cf70"),
        ]
        for (type, md5) in expected { #expect(type.md5 == md5, "\(type.rosType)") }
        #expect(SetBool.md5 == "09fb03525b03e7ea1fd3992bafd87e16")
        #expect(Trigger.md5 == "937c9679a518e3a18d831e57125ea522")
        #expect(ChangeArmCtrlMode.md5 == "8a8d154c05ee16e8f5d2b72d9bb51026")
        #expect(ControlLejuClaw.md5 == "674277f611b34c602b5afcc4b45849d1")
        #expect(ChangeLbQuickMode.md5 == "8f6c979af573879a9cb6f5c0c50c2be4")
        #expect(GrootSimReset.md5.count == 32)
    }

    @Test("variants are what the older and newer definitions give")
    func variants() {
        let older = MessageDefinition(
            type: SensorsData.rosType,
            text: SensorsData.definition.replacing("joint_torque", with: "joint_current")
        )
        #expect(SensorsData.variantMD5s == [older.md5])
        let newer = MessageDefinition(
            type: LejuClawState.rosType,
            text: LejuClawState.definition.replacing(
                "endEffectorData data\n",
                with: "endEffectorData data  # claws\n  bool   is_high_freq\n",
                maxReplacements: 1
            )
        )
        #expect(LejuClawState.variantMD5s == [newer.md5])
    }

    @Test("body sizes equal those measured on the robot")
    func sizes() {
        var arm = sampleJointState
        arm.header.frameID = ""
        #expect(arm.encoded().readableBytes == 382)
        #expect(LejuClawCommand(data: sampleClaws).encoded().readableBytes == 107)
        #expect(sampleSensors(joints: 20).encoded().readableBytes == 805)
        #expect(sampleSensors(joints: 28).encoded().readableBytes == 1061)
        #expect(Twist().encoded().readableBytes == 48)
        #expect(IMUData().encoded().readableBytes == 104)
        let image = ROSImage(encoding: "rgb8", data: [UInt8](repeating: 0, count: 640 * 480 * 3))
        #expect(image.encoded().readableBytes == 921_641)
    }

    @Test("a claw state's bytes are golden")
    func golden() throws {
        let state = LejuClawState(
            header: ROSHeader(seq: 1, stamp: ROSTime(sec: 2, nsec: 3), frameID: "ab"),
            state: [LejuClawState.error, LejuClawState.reached],
            data: EndEffectorData(name: ["l"], position: [1], velocity: [], effort: [-2])
        )
        let bytes: [UInt8] = [
            1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0x61, 0x62,  // header
            2, 0, 0, 0, 0xFF, 2,  // state
            1, 0, 0, 0, 1, 0, 0, 0, 0x6C,  // name
            1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F,  // position
            0, 0, 0, 0,  // velocity
            1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xC0,  // effort
        ]
        #expect(state.encoded() == ByteBuffer(bytes: bytes))
        #expect(try LejuClawState(decoding: ByteBuffer(bytes: bytes + [1])) == state, "a trailing bool is tolerated")
    }

    @Test("every message survives a round trip")
    func roundTrips() throws {
        try expectRoundTrip(sampleHeader)
        try expectRoundTrip(sampleJointState)
        try expectRoundTrip(sampleImage(width: 5, height: 3))
        try expectRoundTrip(CompressedImage(header: sampleHeader, format: "jpeg", data: [1, 2, 255]))
        try expectRoundTrip(Twist(linear: Vector3(x: 1, y: -2, z: 3), angular: Vector3(z: 0.5)))
        let layout = MultiArrayLayout(
            dimensions: [MultiArrayDimension(label: "rows", size: 2, stride: 4), MultiArrayDimension(label: "")],
            dataOffset: 3
        )
        try expectRoundTrip(Float64MultiArray(layout: layout, data: [1, .infinity, -0.0]))
        try expectRoundTrip(StdString(data: "Größe 盒子"))
        try expectRoundTrip(StdFloat32(data: 1.25))
        try expectRoundTrip(StdInt8(data: -128))
        try expectRoundTrip(sampleSensors(joints: 20))
        try expectRoundTrip(LejuClawCommand(header: sampleHeader, data: sampleClaws))
        try expectRoundTrip(RobotHeadMotionData(jointData: [0, 20]))
        try expectRoundTrip(ArmTargetPoses(times: [1, 2], values: [Double](repeating: 3, count: 28)))
        try expectRoundTrip(JointCmd(header: sampleHeader, q: [1], v: [2], tau: [3], controlModes: [2, -1]))
        try expectRoundTrip(GrootSimResetRequest(seed: -5, task: "green box", options: "{}"))
        try expectRoundTrip(ChangeArmCtrlModeResponse(result: true, mode: 2, message: "ok"))
        try expectRoundTrip(TriggerRequest())
    }

    @Test("a message cut short anywhere is malformed, never a crash")
    func truncation() {
        let body = sampleSensors(joints: 3).encoded()
        for length in 0..<body.readableBytes {
            let part = body.getSlice(at: body.readerIndex, length: length) ?? ByteBuffer()
            #expect(throws: ROSError.self) { try SensorsData(decoding: part) }
        }
    }

    @Test("a length that the message cannot hold is refused before memory is reserved")
    func hugeLengths() {
        var writer = ROSWriter()
        sampleHeader.encode(to: &writer)
        writer.integer(UInt32.max)
        writer.float64(1)
        #expect(throws: ROSError.self) { try JointState(decoding: writer.buffer) }
        var array = ROSWriter()
        array.integer(UInt32(0))
        array.integer(UInt32(0))
        array.integer(UInt32.max / 8)
        #expect(throws: ROSError.self) { try Float64MultiArray(decoding: array.buffer) }
        var text = ROSWriter()
        text.string(String(repeating: "x", count: ROSReader.maximumStringBytes + 1))
        #expect { try StdString(decoding: text.buffer) } throws: { ($0 as? ROSError)?.code == .tooLarge }
    }

    private func expectRoundTrip<M: ROSMessage & Equatable>(_ message: M) throws {
        #expect(try M(decoding: message.encoded()) == message, "\(M.rosType)")
    }
}
