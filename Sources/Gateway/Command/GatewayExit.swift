import GrootCore
import GrootStore

/// Which exit code an error of `groot-gateway` means, once for all of its commands.
enum GatewayExit {
    static func code(for error: any Error) -> ProcessExit {
        switch error {
        case is ListenError: .cannotListen
        case let error as GatewayError: error.code == .address ? .cannotListen : .failed
        case let error as SettingsError: error.exit
        case let error as StoreError: code(for: error.code)
        case let error as CertificatesError: code(for: error.code)
        default: .failed
        }
    }

    private static func code(for code: StoreError.Code) -> ProcessExit {
        switch code {
        case .unavailable, .readOnly, .timedOut, .busy, .toolsMissing, .clusterFailed: .unavailable
        // The server is there and cannot be worked with as it is.
        case .encoding, .rights, .schemaOutdated, .schemaNewer, .migrationChanged: .unavailable
        case .notFound, .conflict: .badInput
        case .invalidValue: .usage
        case .stateDirectory: .cannotWrite
        case .rejected: .failed
        }
    }

    private static func code(for code: CertificatesError.Code) -> ProcessExit {
        switch code {
        case .usage: .usage
        case .badFile, .unknown: .badInput
        case .exists, .cannotWrite: .cannotWrite
        }
    }
}
