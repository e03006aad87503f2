// swift-tools-version: 6.2
import PackageDescription

// A listing of Sources is the architecture diagram: docs/decisions/0001-targets.md.
// Tests/ArchitectureTests enforces who may import whom.

let swift: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("NonisolatedNonsendingByDefault")]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swift)
}
func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: swift)
}
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    // Optimising a test costs more than the test, and nobody imports its module: no second pass that only writes one.
    .testTarget(name: name + "Tests", dependencies: dependencies, exclude: exclude, swiftSettings: swift + [.unsafeFlags(["-Onone", "-no-emit-module-separately-wmo"])])
}

let fuzzDriver: [Target] = Context.environment["TROUPE_FUZZ"] == nil ? [] : [
    .executableTarget(name: "FuzzDriver", dependencies: ["FuzzTargets"], path: "Fuzz/Driver", swiftSettings: swift + [.unsafeFlags(["-parse-as-library"])]),
]
// The Swift side of `ops/bench actors`.
let benches: [Target] = Context.environment["TROUPE_BENCH"] == nil ? [] : [
    .executableTarget(name: "actors", dependencies: ["Cluster", "EventLoop", "Primitives"], path: "ops/bench.d/Actors", swiftSettings: swift),
]

let package = Package(
    name: "troupe",
    products: [
        .executable(name: "troupe", targets: ["Node"]),
        .executable(name: "troupe-media", targets: ["MediaWorker"]),
        .executable(name: "troupectl", targets: ["Operator"]),
        .executable(name: "troupe-load", targets: ["LoadClient"]),
        .executable(name: "troupe-simulate", targets: ["Simulate"]),
    ],
    targets: [
        // Level 0 and 1, pure
        library("Primitives"),
        library("RTP", ["Primitives"]),
        // Level 2, pure but for OpenSSL and libsrtp contexts
        library("WebRTC", ["RTP", "Primitives", "COpenSSL", "CSRTP"]),
        library("Forwarding", ["RTP", "Primitives"]),
        library("Capture", ["RTP", "Primitives"]),
        library("Composition", ["Capture", "RTP", "Primitives"]),
        // Shells
        library("EventLoop", ["Primitives", "CLibuv", "CShims"]),
        library("Transport", ["EventLoop", "WebRTC", "Forwarding", "RTP", "Primitives", "CShims", "COpenSSL"]),
        library("Cluster", ["EventLoop", "Primitives", "COpenSSL", "CShims"]),
        library("Store", ["Cluster", "Contracts", "EventLoop", "Primitives", "CSQLite", "CPostgres", "CShims"]),
        library("Hashing", ["COpenSSL"]),
        library("ObjectStorage", ["Hashing", "EventLoop", "Primitives", "CCurl"]),
        library("Contracts", ["Cluster", "Primitives"]),
        library("Conference", ["Contracts", "Cluster", "Transport", "Forwarding", "WebRTC", "RTP", "Capture", "Composition", "Store", "ObjectStorage", "EventLoop", "Primitives"]),
        library("Gateway", ["Conference", "Composition", "Contracts", "EventLoop", "Hashing", "Primitives", "CWebSockets", "COpenSSL"], exclude: ["Studio"]),
        library("Configuration", ["Primitives", "CYAML"]),
        library("Rendering", ["Composition", "Capture", "RTP", "Primitives", "CFFmpeg"]),
        // Executables
        executable("Node", ["Configuration", "Gateway", "Conference", "Contracts", "Cluster", "Store", "ObjectStorage", "Transport", "Forwarding", "WebRTC", "Capture", "EventLoop", "Primitives", "COpenSSL", "CShims"]),
        executable("MediaWorker", ["Rendering", "Capture", "Primitives"]),
        executable("Operator", ["Contracts", "Cluster", "Configuration", "EventLoop", "Primitives"]),
        executable("LoadClient", ["WebRTC", "Transport", "Forwarding", "RTP", "EventLoop", "Primitives", "CWebSockets"]),
        // Whole clusters in virtual time: docs/decisions/0025-simulation.md
        library("Simulation", ["Conference", "Contracts", "Cluster", "Transport", "Forwarding", "WebRTC", "RTP", "EventLoop", "Primitives", "CShims"]),
        executable("Simulate", ["Simulation", "Cluster"]),
        // System libraries and the one shim target
        .target(name: "CShims"),
        .systemLibrary(name: "CLibuv", pkgConfig: "libuv"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl"),
        .systemLibrary(name: "CSRTP", pkgConfig: "libsrtp2"),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3"),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq"),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl"),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1"),
        .systemLibrary(name: "CWebSockets", pkgConfig: "libwebsockets"),
        .systemLibrary(name: "CFFmpeg", pkgConfig: "libavformat"),
        // Tests, one target beside each source target
        tests("Primitives", ["Primitives"]),
        tests("RTP", ["RTP", "Primitives"]),
        tests("WebRTC", ["WebRTC", "RTP", "Primitives", "CSRTP", "COpenSSL"]),
        tests("Forwarding", ["Forwarding", "RTP", "Primitives", "CAllocationCounter"]),
        tests("Capture", ["Capture", "RTP", "Primitives"]),
        tests("Composition", ["Composition", "Capture", "RTP", "Primitives"]),
        tests("EventLoop", ["EventLoop", "Primitives"]),
        tests("Transport", ["Transport", "EventLoop", "WebRTC", "Forwarding", "RTP", "Primitives", "CShims", "CAllocationCounter"]),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        tests("Cluster", ["Cluster", "EventLoop", "Primitives"]),
        tests("Store", ["Store", "StoreWriter", "Cluster", "Contracts", "EventLoop", "Primitives"]),
        // A process the store's tests kill in the middle of its writing.
        .executableTarget(name: "StoreWriter", dependencies: ["Store", "Contracts", "Primitives"], path: "Tests/StoreWriter", swiftSettings: swift),
        tests("ObjectStorage", ["ObjectStorage", "EventLoop", "Primitives"], exclude: ["Servers"]),
        tests("Conference", ["Conference", "Contracts", "Cluster", "Store", "ObjectStorage", "Capture", "EventLoop", "RTP", "Primitives"]),
        tests("Gateway", ["Gateway", "Conference", "Composition", "Contracts", "EventLoop", "Hashing", "Primitives", "COpenSSL"]),
        tests("Rendering", ["Rendering", "MediaWorker", "Composition", "Capture", "RTP", "Primitives"]),
        tests("Configuration", ["Configuration", "Primitives"]),
        tests("Operator", ["Operator", "Node", "Contracts", "Cluster", "Configuration", "EventLoop", "Primitives"]),
        tests("Node", ["Node", "Configuration", "ObjectStorage", "Conference", "Contracts", "Cluster", "Transport", "WebRTC", "EventLoop", "Primitives"]),
        tests("LoadClient", ["LoadClient", "RTP", "WebRTC", "Primitives"]),
        tests("Simulation", ["Simulation", "Simulate", "Cluster", "EventLoop", "Primitives"], exclude: ["Regressions"]),
        tests("Architecture", []),
        // Parsers under fuzz: the targets are replayed by a test; ops/fuzz builds the driver (Fuzz/Driver) with libFuzzer.
        .target(name: "FuzzTargets", dependencies: ["Capture", "Cluster", "Composition", "Contracts", "Gateway", "ObjectStorage", "Primitives", "RTP", "WebRTC"], path: "Fuzz/Targets", swiftSettings: swift),
        tests("Fuzz", ["FuzzTargets", "Primitives"]),
    ] + fuzzDriver + benches
)
