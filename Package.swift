// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The target graph below is the architecture: what is not a dependency here cannot be imported.
// docs/architecture.md says what each target owns and what it never does.

let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "xdplb",
    products: [.executable(name: "xdplb", targets: ["xdplb"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // C: what the system gives, and what Swift cannot import.
        .systemLibrary(
            name: "CXDP",
            pkgConfig: "libxdp",
            providers: [.apt(["libxdp-dev", "libbpf-dev", "libelf-dev", "libnuma-dev"])]
        ),
        .target(name: "CPlatform"),
        .target(name: "CAllocationCount"),

        // Leaves: they do not know each other.
        .target(name: "DataPlane", dependencies: ["CXDP"], swiftSettings: strict),
        .target(
            name: "XSKRing",
            dependencies: ["CXDP", "CPlatform"],
            exclude: ["BPF"],
            swiftSettings: strict,
            plugins: ["EmbedBPF"]
        ),
        .target(name: "Netlink", dependencies: ["CPlatform"], swiftSettings: strict),

        // The loop, and what decides what it runs.
        .target(
            name: "Workers",
            dependencies: ["DataPlane", "XSKRing", "CXDP", "CPlatform"],
            swiftSettings: strict
        ),
        .target(
            name: "ControlPlane",
            dependencies: [
                "DataPlane", "Netlink", "CPlatform",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                // For SO_PEERCRED of an admin client; Hummingbird's own foundation.
                .product(name: "NIOCore", package: "swift-nio"),
                // For what stands between a connection and the routes: times and numbers.
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                // For driving the admin API without a socket, in tests and under the fuzzer.
                .product(name: "NIOEmbedded", package: "swift-nio"),
                // For health checks by https, over a socket or through a tunnel.
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict
        ),

        // The composition root.
        .executableTarget(
            name: "xdplb",
            dependencies: [
                "ControlPlane", "DataPlane", "Netlink", "Workers", "XSKRing", "CXDP", "CPlatform",
                "CAllocationCount",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            exclude: ["BPF"],
            swiftSettings: strict,
            // A release has Swift in it: where it is installed there need not be a toolchain. The
            // libraries are those that Foundation's modules name when they are built in; lld, as
            // it finds them whatever the order.
            linkerSettings: [
                .unsafeFlags(
                    [
                        "-static-stdlib", "-use-ld=lld", "-lCoreFoundation", "-l_FoundationCShims",
                        "-l_FoundationCollections", "-l_FoundationICU", "-lstdc++",
                    ], .when(configuration: .release))
            ],
            plugins: ["EmbedBPF", "EmbedCommit"]
        ),

        // Build tooling: *.bpf.c of a target → Swift source that embeds the object, and which
        // commit is built.
        .executableTarget(name: "bpfembed", path: "Plugins/bpfembed"),
        .plugin(
            name: "EmbedBPF",
            capability: .buildTool(),
            dependencies: ["bpfembed"],
            path: "Plugins/EmbedBPF"
        ),
        .plugin(name: "EmbedCommit", capability: .buildTool(), path: "Plugins/EmbedCommit"),

        // Tests mirror the sources; KernelTests need root, namespaces and veth.
        .target(
            name: "TestSupport",
            dependencies: ["DataPlane", "CPlatform", "CXDP"],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .testTarget(
            name: "DataPlaneTests",
            dependencies: ["DataPlane", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "XSKRingTests",
            dependencies: ["XSKRing", "CXDP"],
            swiftSettings: strict
        ),
        .testTarget(name: "NetlinkTests", dependencies: ["Netlink"], swiftSettings: strict),
        .testTarget(
            name: "WorkersTests",
            dependencies: ["Workers", "DataPlane", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ControlPlaneTests",
            dependencies: [
                "ControlPlane", "DataPlane", "Netlink", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                // For a connection to the admin API whose clock is the test's.
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ],
            exclude: ["Fixtures"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "xdplbTests",
            dependencies: [
                "xdplb", "ControlPlane", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "CommandTests",
            dependencies: ["xdplb", "ControlPlane", "DataPlane", "Netlink", "XSKRing"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "KernelTests",
            dependencies: [
                "XSKRing", "Netlink", "Workers", "ControlPlane", "DataPlane", "CXDP", "CPlatform",
                "TestSupport", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)

// `scripts/fuzz` sets it: libFuzzer is not to be needed for an ordinary build.
if let library = Context.environment["XDPLB_FUZZ_LIBRARY"] {
    package.targets.append(
        .executableTarget(
            name: "xdplb-fuzz",
            dependencies: [
                "ControlPlane", "DataPlane", "Netlink", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Fuzz",
            exclude: ["Corpus", "make-corpus"],
            swiftSettings: strict,
            linkerSettings: [.unsafeFlags([library, "-lstdc++"])]
        ))
}
