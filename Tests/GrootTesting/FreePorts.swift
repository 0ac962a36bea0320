import Foundation

/// TCP ports of the loopback interface that nobody listens on right now.
package enum FreePorts {
    /// Distinct ports; each was bound for a moment, so the kernel hands out others to anyone else who asks for port 0.
    package static func take(_ count: Int) throws -> [Int] {
        let sockets = try (0..<count).map { _ in try bound() }
        defer { for socket in sockets { close(socket.descriptor) } }
        return sockets.map(\.port)
    }

    private static func bound() throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard unsafe bind(descriptor, generic, length) == 0 else { return Int32(-1) }
                return unsafe getsockname(descriptor, generic, &length)
            }
        }
        guard descriptor >= 0, result == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }
}
