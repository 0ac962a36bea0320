import Foundation
import GrootCore
import Testing

@testable import ROS1

@Suite(
    "Against Debian's rosmaster, rospy and rostopic",
    .serialized,
    .enabled(if: ROSTools.shouldTest, ROSTools.absent)
)
struct RospyTests {
    @Test("rospy receives what Swift publishes", arguments: MasterKind.allCases)
    func swiftToRospy(master: MasterKind) async throws {
        try await withMaster(master) { uri in
            try await withNode("robot", master: uri) { robot in
                let sensors = try await robot.advertise("sensors_data_raw", as: SensorsData.self)
                let claws = try await robot.advertise("leju_claw_state", as: LejuClawState.self, latched: true)
                let image = try await robot.advertise("camera", as: ROSImage.self, latched: true)
                let outcome = try await robot.advertise("outcome", as: StdString.self, latched: true)
                claws.publish(LejuClawState(header: sampleHeader, state: [2, -1], data: sampleClaws))
                image.publish(sampleImage(width: 640, height: 480))
                outcome.publish(StdString(data: "盒子 \"ok\""))
                let peer = try await RospyPeer.node("listener", masterURI: uri)
                try await peer.command("subscribe", ["topic": "/sensors_data_raw", "type": SensorsData.rosType])
                try await peer.command("subscribe", ["topic": "/leju_claw_state", "type": LejuClawState.rosType])
                try await peer.command("subscribe", ["topic": "/camera", "type": "sensor_msgs/Image"])
                try await peer.command("subscribe", ["topic": "/outcome", "type": "std_msgs/String"])
                try await eventually("connected") { sensors.subscriberCount == 1 }
                sensors.publish(sampleSensors(joints: 20))
                let message = try await peer.event("message") { $0["topic"] as? String == "/sensors_data_raw" }
                let value = try #require(message["value"] as? [String: Any])
                let joints = try #require(value["joint_data"] as? [String: Any])
                #expect(joints["joint_q"] as? [Double] == (0..<20).map { Double($0) / 8 })
                #expect(joints["joint_torque"] as? [Double] == (0..<20).map { Double($0) / 4 })
                #expect(value["sensor_time"] as? [Int] == [5, 6])
                _ = try await peer.event("message") { $0["topic"] as? String == "/leju_claw_state" }
                let state = try #require(peer.messages(on: "/leju_claw_state").first)
                #expect(state["state"] as? [Int] == [2, -1])
                #expect((state["data"] as? [String: Any])?["position"] as? [Double] == [12.5, 80])
                _ = try await peer.event("message") { $0["topic"] as? String == "/camera" }
                let pixels = peer.messages(on: "/camera").first?["data"] as? [String: Any]
                #expect(pixels?["length"] as? Int == 921_600 && pixels?["sum"] as? Int == 921_600 / 256 * 32640)
                _ = try await peer.event("message") { $0["topic"] as? String == "/outcome" }
                #expect(peer.messages(on: "/outcome").first?["data"] as? String == "盒子 \"ok\"")
            }
        }
    }

    @Test("Swift receives what rospy publishes, other generations included", arguments: MasterKind.allCases)
    func rospyToSwift(master: MasterKind) async throws {
        try await withMaster(master) { uri in
            let peer = try await RospyPeer.node("robot", masterURI: uri)
            let topics: [(topic: String, type: String)] = [
                ("/now", "kuavo_msgs/sensorsData"), ("/old", "old:kuavo_msgs/sensorsData"),
                ("/claw", "new:kuavo_msgs/lejuClawState"), ("/arm", "sensor_msgs/JointState"),
            ]
            var md5s: [String: String] = [:]
            for (topic, type) in topics {
                let answer = try await peer.command("advertise", ["topic": topic, "type": type, "latch": true])
                md5s[topic] = answer["md5"] as? String
            }
            let joints: [String: Any] = ["joint_q": [0.5, -1.5], "joint_v": [1], "joint_vd": []]
            for (topic, fourth) in [("/now", "joint_torque"), ("/old", "joint_current")] {
                let value: [String: Any] = ["joint_data": joints.merging([fourth: [9]]) { first, _ in first }]
                try await peer.command("publish", ["topic": topic, "value": value])
            }
            let claws: [String: Any] = ["name": ["l", "r"], "position": [10, 90]]
            try await peer.command(
                "publish",
                ["topic": "/claw", "value": ["state": [1, 3], "data": claws, "is_high_freq": true]]
            )
            try await peer.command("publish", ["topic": "/arm", "value": ["name": ["a"], "position": [30.5]]])
            try await withNode("agent", master: uri) { agent in
                let sensors = Inbox<(SensorsData, ROSReceipt)>()
                let claws = Inbox<(LejuClawState, ROSReceipt)>()
                let arms = Inbox<JointState>()
                for topic in ["/now", "/old"] {
                    _ = try await agent.subscribe(topic, to: SensorsData.self) { sensors.add(($0, $1)) }
                }
                _ = try await agent.subscribe("/claw", to: LejuClawState.self) { claws.add(($0, $1)) }
                _ = try await agent.subscribe("/arm", to: JointState.self) { message, _ in arms.add(message) }
                try await eventually("all messages") { sensors.count == 2 && claws.count == 1 && arms.count == 1 }
                for (message, _) in sensors.all {
                    #expect(message.joints == JointData(q: [0.5, -1.5], v: [1], torque: [9]))
                }
                #expect(Set(sensors.all.map(\.1.md5)) == Set([SensorsData.md5] + SensorsData.variantMD5s))
                #expect(Set(sensors.all.map(\.1.md5)) == Set([md5s["/now"], md5s["/old"]].compactMap(\.self)))
                let (claw, receipt) = try #require(claws.all.first)
                #expect(claw.state == [1, 3] && claw.data.position == [10, 90])
                #expect([receipt.md5] == LejuClawState.variantMD5s && receipt.publisher == "/robot")
                #expect(arms.all.first?.position == [30.5])
            }
        }
    }

    @Test("services work in both directions", arguments: MasterKind.allCases)
    func services(master: MasterKind) async throws {
        try await withMaster(master) { uri in
            try await withNode("cell", master: uri) { cell in
                try await cell.advertiseService("/groot_sim/reset", as: GrootSimReset.self) { request in
                    guard request.seed >= 0 else { throw ROSError(.refused, "a seed is not negative") }
                    return GrootSimResetResponse(success: true, message: "\(request.seed) \(request.task)")
                }
                let peer = try await RospyPeer.node("robot", masterURI: uri)
                let good: [String: Any] = ["seed": 1 << 40, "task": "green box", "options": "{}"]
                let reset = ["name": "/groot_sim/reset", "type": "groot_sim/Reset", "value": good] as [String: Any]
                let answer = try await peer.command("call", reset)
                #expect((answer["value"] as? [String: Any])?["message"] as? String == "\(1 << 40) green box")
                let bad: [String: Any] = ["seed": -1, "task": "", "options": ""]
                let refused = try await peer.command("call", reset.merging(["value": bad]) { $1 })
                #expect((refused["error"] as? String)?.contains("a seed is not negative") == true)

                let served = try await peer.command(
                    "serve",
                    [
                        "name": "/arm_mode", "type": "kuavo_msgs/changeArmCtrlMode",
                        "reply": ["result": true, "mode": 2, "message": "external"],
                    ]
                )
                #expect(served["md5"] as? String == ChangeArmCtrlMode.md5)
                try await peer.command(
                    "serve",
                    ["name": "/quick", "type": "std_srvs/SetBool", "reply": NSNull()]
                )
                try await cell.waitForService("/arm_mode", timeout: .seconds(10))
                let mode = try await cell.callService(
                    "/arm_mode",
                    as: ChangeArmCtrlMode.self,
                    request: ChangeArmCtrlModeRequest(controlMode: 2),
                    timeout: .seconds(10)
                )
                #expect(mode == ChangeArmCtrlModeResponse(result: true, mode: 2, message: "external"))
                let request = try await peer.event("request")
                #expect((request["value"] as? [String: Any])?["control_mode"] as? Int == 2)
                await expectError(.refused, containing: "told to fail") {
                    _ = try await cell.callService(
                        "/quick",
                        as: SetBool.self,
                        request: SetBoolRequest(data: true),
                        timeout: .seconds(10)
                    )
                }
                await expectError(.typeMismatch, containing: "md5sum") {
                    _ = try await cell.callService(
                        "/quick",
                        as: Trigger.self,
                        request: TriggerRequest(),
                        timeout: .seconds(10)
                    )
                }
                let description = try await cell.describeService("/quick", timeout: .seconds(10))
                #expect(description == ROSServiceDescription(type: "std_srvs/SetBool", md5: SetBool.md5))
            }
        }
    }

    @Test("rospy nodes live on the embedded master: parameters, and each other's topics")
    func embeddedMasterServesRospy() async throws {
        try await withMaster { uri in
            let talker = try await RospyPeer.node("talker", masterURI: uri)
            let listener = try await RospyPeer.node("listener", masterURI: uri)
            #expect(try await talker.command("sim_time")["value"] as? String == "absent")
            let written = try await talker.command("parameter", ["key": "/cell/rate", "value": ["hz": 5, "on": true]])
            #expect((written["value"] as? [String: Any])?["hz"] as? Int == 5 && written["known"] as? Bool == true)
            #expect(try await listener.command("parameter", ["key": "/cell/rate/hz"])["value"] as? Int == 5)
            try await listener.command("subscribe", ["topic": "/chat", "type": "std_msgs/String"])
            try await talker.command("advertise", ["topic": "/chat", "type": "std_msgs/String"])
            try await eventually("they find each other") {
                try await talker.command("connections", ["topic": "/chat"])["count"] as? Int == 1
            }
            try await talker.command("publish", ["topic": "/chat", "value": ["data": "hello"]])
            _ = try await listener.event("message")
            #expect(listener.messages(on: "/chat").first?["data"] as? String == "hello")
        }
    }

    @Test("rostopic lists, describes and echoes our topics", arguments: MasterKind.allCases)
    func rostopic(master: MasterKind) async throws {
        try await withMaster(master) { uri in
            try await withNode("robot", master: uri) { robot in
                let arm = try await robot.advertise("kuavo_arm_traj", as: JointState.self, latched: true)
                arm.publish(sampleJointState)
                let echo = try RospyPeer(["tool", "rostopic", "echo", "-n1", "/kuavo_arm_traj"], masterURI: uri)
                try await echo.waitUntilExit()
                #expect(echo.text.contains("zarm_r7_joint") && echo.text.contains("19.5"))
                let info = try RospyPeer(["tool", "rostopic", "info", "/kuavo_arm_traj"], masterURI: uri)
                try await info.waitUntilExit()
                #expect(info.text.contains("Type: sensor_msgs/JointState") && info.text.contains("* /robot (http"))
            }
        }
    }

    @Test("everything is registered again after rosmaster was killed and restarted")
    func rosmasterRestart() async throws {
        let port = try await freePort()
        let uri = "http://127.0.0.1:\(port)"
        let first = try await startRosmaster(port: port)
        try await withNode("agent", master: uri) { agent in
            let inbox = Inbox<String>()
            _ = try await agent.subscribe("chat", to: StdString.self) { message, _ in inbox.add(message.data) }
            let arm = try await agent.advertise("kuavo_arm_traj", as: JointState.self, latched: true)
            arm.publish(sampleJointState)
            first.kill()
            try await first.waitUntilExit()
            let second = try await startRosmaster(port: port)
            let peer = try await RospyPeer.node("robot", masterURI: uri)
            try await peer.command("advertise", ["topic": "/chat", "type": "std_msgs/String", "latch": true])
            try await peer.command("publish", ["topic": "/chat", "value": ["data": "back"]])
            try await peer.command("subscribe", ["topic": "/kuavo_arm_traj", "type": "sensor_msgs/JointState"])
            try await eventually("Swift hears rospy") { inbox.all == ["back"] }
            _ = try await peer.event("message") { $0["topic"] as? String == "/kuavo_arm_traj" }
            second.kill()
        }
    }

    @Test("a rospy publisher that is killed and started again is followed", arguments: MasterKind.allCases)
    func publisherKilled(master: MasterKind) async throws {
        try await withMaster(master) { uri in
            try await withNode("agent", master: uri) { agent in
                let inbox = Inbox<String>()
                let subscription = try await agent.subscribe("chat", to: StdString.self) { message, _ in
                    inbox.add(message.data)
                }
                for life in ["first", "second"] {
                    let peer = try await RospyPeer.node("robot", masterURI: uri)
                    try await peer.command("advertise", ["topic": "/chat", "type": "std_msgs/String", "latch": true])
                    try await peer.command("publish", ["topic": "/chat", "value": ["data": life]])
                    try await eventually("the \(life) life") { inbox.all.last == life }
                    peer.kill()
                    try await eventually("its end is noticed") { subscription.publisherCount == 0 }
                }
            }
        }
    }
}
