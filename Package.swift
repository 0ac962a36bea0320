// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors in every target of ours, unmarked unsafe code is one of them, and an import is
// visible only in the file that writes it.
let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// What every piece of an observation passes through. Exclusive access is checked at run time in debug builds, with which all
// tests run, and not in release, where it costs 4 to 5 % of a large request over TLS. The compiler's own checks stay.
let dataPathSettings =
    settings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

// Generated code is not ours to warn about.
let generatedSettings: [SwiftSetting] = [.enableUpcomingFeature("InternalImportsByDefault")]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let grpcCore: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport: Target.Dependency = .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport")
let grpcProtobuf: Target.Dependency = .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let certificates: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let certificateReloading: Target.Dependency = .product(name: "NIOCertificateReloading", package: "swift-nio-extras")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "groot-fleet",
    products: [
        .executable(name: "groot-gateway", targets: ["Gateway"]),
        .executable(name: "groot-worker", targets: ["Worker"]),
        .executable(name: "groot-agent", targets: ["RobotAgent"]),
        .executable(name: "groot-sim", targets: ["Simulator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // C libraries: module maps and inline shims, each imported by exactly one Swift target.
        .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CMuJoCo", providers: [.apt(["libmujoco-dev", "libosmesa6-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
        .target(name: "CONNXRuntime", linkerSettings: [.linkedLibrary("dl")]),
        .target(name: "CRealTime"),

        // Libraries: arrows point down only.
        .target(name: "GrootCore", dependencies: [logging, collections, histogram], swiftSettings: settings),
        .target(
            name: "GrootAPI",
            dependencies: ["GrootCore", grpcCore, grpcProtobuf, protobuf],
            exclude: ["Protos"],
            swiftSettings: generatedSettings
        ),
        .target(
            name: "GrootAdmin",
            dependencies: ["GrootCore", hummingbird, nioCore, nioPosix, logging, lifecycle],
            swiftSettings: settings
        ),
        .target(
            name: "GrootSecurity",
            dependencies: [
                "GrootCore", grpcTransport, certificates, asn1, nioCore, nioSSL, certificateReloading, argumentParser,
                logging, lifecycle,
            ],
            swiftSettings: settings
        ),
        .target(name: "GrootImaging", dependencies: ["CPNG", "CTurboJPEG", "GrootCore"], swiftSettings: settings),
        .target(
            name: "HTTP2",
            dependencies: ["CNGHTTP2", "COpenSSL", "GrootCore", nioCore, nioPosix, logging, collections],
            swiftSettings: dataPathSettings
        ),
        .target(
            name: "ROS1",
            dependencies: [
                "GrootCore", nioCore, nioPosix, .product(name: "NIOHTTP1", package: "swift-nio"), logging, crypto,
                collections,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "GrootStore",
            dependencies: ["CPostgres", "GrootCore", logging, collections, subprocess],
            resources: [
                .embedInCode("Migrations/m0001_fleet.up.sql"), .embedInCode("Migrations/m0001_fleet.down.sql"),
                .embedInCode("Migrations/m0002_telemetry.up.sql"), .embedInCode("Migrations/m0002_telemetry.down.sql"),
                .embedInCode("Migrations/m0003_run_configs.up.sql"),
                .embedInCode("Migrations/m0003_run_configs.down.sql"),
                .embedInCode("Migrations/m0004_views.up.sql"), .embedInCode("Migrations/m0004_views.down.sql"),
                .embedInCode("Migrations/m0005_thumbnails.up.sql"),
                .embedInCode("Migrations/m0005_thumbnails.down.sql"),
                .embedInCode("Migrations/m0006_boundaries.up.sql"),
                .embedInCode("Migrations/m0006_boundaries.down.sql"),
            ],
            swiftSettings: settings
        ),

        // Executables: they never import each other.
        .executableTarget(
            name: "Gateway",
            dependencies: [
                "GrootCore", "GrootAPI", "GrootAdmin", "GrootStore", "HTTP2", argumentParser, nioCore, nioPosix,
                grpcCore, grpcTransport, grpcProtobuf, protobuf, lifecycle, collections, logging, certificates, asn1,
                crypto, systemPackage, hummingbird, httpTypes,
            ],
            resources: ["index.html", "style.css"].map { .embedInCode("Dashboard/Assets/\($0)") }
                + ["app", "charts", "checkpoints", "dom", "episodes", "fleet", "text"].map {
                    .embedInCode("Dashboard/Assets/\($0).js")
                },
            swiftSettings: dataPathSettings
        ),
        .executableTarget(
            name: "Worker",
            dependencies: [
                "CONNXRuntime", "GrootCore", "GrootAPI", "GrootAdmin", "GrootImaging", "GrootSecurity", argumentParser,
                grpcCore,
                grpcTransport,
                grpcProtobuf, protobuf, lifecycle, unixSignals, collections, crypto, logging,
            ],
            resources: [
                .embedInCode("Python/child.py"), .embedInCode("Python/lerobot_policy.py"),
                .embedInCode("Python/capture.py"), .embedInCode("Python/prefix.py"),
                .embedInCode("Python/groot.py"), .embedInCode("Python/grouping.py"),
                .embedInCode("Python/processors.py"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "RobotAgent",
            dependencies: [
                "CRealTime", "GrootCore", "GrootAPI", "GrootAdmin", "GrootImaging", "GrootSecurity", "ROS1",
                argumentParser,
                grpcCore, grpcTransport, grpcProtobuf, protobuf, lifecycle, unixSignals, collections, histogram,
                nioCore, nioPosix, logging,
            ],
            resources: [
                .embedInCode("Resources/profiles/simulator.json"), .embedInCode("Resources/profiles/5_wheel.json"),
                .embedInCode("Resources/profiles/4_pro.json"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Simulator",
            dependencies: [
                "CMuJoCo", "GrootCore", "GrootAdmin", "ROS1", argumentParser, lifecycle, collections, logging,
            ],
            resources: [.embedInCode("Resources/cell.xml")],
            swiftSettings: settings
        ),

        // Tests.
        .target(
            name: "GrootTesting",
            dependencies: ["GrootCore", subprocess, logging],
            path: "Tests/GrootTesting",
            swiftSettings: settings
        ),
        .testTarget(name: "GrootCoreTests", dependencies: ["GrootCore", "GrootTesting"], swiftSettings: settings),
        .testTarget(
            name: "GrootAdminTests",
            dependencies: ["GrootAdmin", "GrootCore", "GrootTesting", logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GrootImagingTests",
            dependencies: ["GrootImaging", "GrootCore", "GrootTesting", crypto],
            exclude: ["make_goldens.py"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GrootSecurityTests",
            dependencies: [
                "GrootSecurity", "GrootCore", "GrootTesting", argumentParser, certificates, asn1, crypto, logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HTTP2Tests",
            dependencies: [
                "HTTP2", "GrootCore", "GrootTesting", nioCore, nioPosix, nioEmbedded, subprocess,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ROS1Tests",
            dependencies: ["ROS1", "GrootCore", "GrootTesting", nioCore, nioPosix, logging],
            exclude: ["Peers"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GrootStoreTests",
            dependencies: ["GrootStore", "GrootCore", "GrootTesting", logging, subprocess],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "GrootCore", "GrootAPI", "GrootStore", "GrootTesting", "HTTP2", grpcCore, grpcTransport,
                grpcProtobuf, protobuf, nioCore, nioPosix, argumentParser, logging, subprocess,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "WorkerTests",
            dependencies: [
                "Worker", "GrootAPI", "GrootAdmin", "GrootCore", "GrootImaging", "GrootTesting", grpcCore,
                grpcTransport,
                grpcProtobuf,
                protobuf, lifecycle, logging,
            ],
            exclude: [
                "Fixtures", "LeRobot/make_checkpoint.py", "LeRobot/scripted_policy.py",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RobotAgentTests",
            dependencies: [
                "RobotAgent", "ROS1", "GrootAPI", "GrootTesting", argumentParser, grpcCore, grpcTransport, grpcProtobuf,
                nioCore, logging,
            ],
            exclude: ["Fixtures", "Peers"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SimulatorTests",
            dependencies: ["Simulator", "ROS1", "GrootTesting"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SystemTests",
            dependencies: ["GrootCore", "GrootAPI", "GrootTesting", "ROS1"],
            exclude: ["Fixtures"],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
