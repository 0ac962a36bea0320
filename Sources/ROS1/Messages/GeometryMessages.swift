/// `geometry_msgs/Vector3`.
package struct Vector3: ROSMessage, Hashable {
    package static let rosType = "geometry_msgs/Vector3"
    package static let definition = """
        float64 x
        float64 y
        float64 z
        """
    package static let md5 = computedMD5()

    package var x: Double
    package var y: Double
    package var z: Double

    package init(x: Double = 0, y: Double = 0, z: Double = 0) {
        self.x = x
        self.y = y
        self.z = z
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        x = try reader.float64()
        y = try reader.float64()
        z = try reader.float64()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float64(x)
        writer.float64(y)
        writer.float64(z)
    }
}

/// `geometry_msgs/Quaternion`; the default is the identity.
package struct Quaternion: ROSMessage, Hashable {
    package static let rosType = "geometry_msgs/Quaternion"
    package static let definition = """
        float64 x
        float64 y
        float64 z
        float64 w
        """
    package static let md5 = computedMD5()

    package var x: Double
    package var y: Double
    package var z: Double
    package var w: Double

    package init(x: Double = 0, y: Double = 0, z: Double = 0, w: Double = 1) {
        self.x = x
        self.y = y
        self.z = z
        self.w = w
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        x = try reader.float64()
        y = try reader.float64()
        z = try reader.float64()
        w = try reader.float64()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float64(x)
        writer.float64(y)
        writer.float64(z)
        writer.float64(w)
    }
}

/// `geometry_msgs/Twist`.
package struct Twist: ROSMessage, Hashable {
    package static let rosType = "geometry_msgs/Twist"
    package static let definition = MessageDefinition.compose(
        """
        Vector3 linear
        Vector3 angular
        """,
        embedding: [Vector3.self]
    )
    package static let md5 = computedMD5()

    package var linear: Vector3
    package var angular: Vector3

    package init(linear: Vector3 = Vector3(), angular: Vector3 = Vector3()) {
        self.linear = linear
        self.angular = angular
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        linear = try Vector3(from: &reader)
        angular = try Vector3(from: &reader)
    }

    package func encode(to writer: inout ROSWriter) {
        linear.encode(to: &writer)
        angular.encode(to: &writer)
    }
}
