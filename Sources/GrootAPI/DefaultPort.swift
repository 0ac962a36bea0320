/// Ports that every process and every document agree on.
package enum DefaultPort {
    /// Gateway data plane (the guide's `--server_address 127.0.0.1:8080`).
    package static let gateway = 8080
    package static let gatewayAdmin = 8081
    package static let worker = 8090
    package static let workerAdmin = 8091
    package static let rosMaster = 11311
}
