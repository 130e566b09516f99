// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
public import Logging
public import ServiceLifecycle
internal import Synchronization

/// Why the API cannot be served.
public struct AdminServerError: Error, CustomStringConvertible {
    /// What was attempted, on what, the answer, and what to do next.
    public let description: String
}

/// What the routes share: rates, and whether the daemon is on its way out.
final class AdminRuntime: Sendable {
    let rates = RateSampler()
    private let stopping = Atomic<Bool>(false)
    private let rounds = Mutex<[(count: UInt64, changed: ContinuousClock.Instant)]>([])

    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func stop() { stopping.store(true, ordering: .relaxed) }

    /// Notes how many rounds each worker has done.
    func watch(_ pages: [CounterPage]) {
        let now = ContinuousClock.now
        rounds.withLock { rounds in
            if rounds.count != pages.count {
                rounds = pages.map { ($0[.rounds], now) }
            }
            for (index, page) in pages.enumerated() where rounds[index].count != page[.rounds] {
                rounds[index] = (page[.rounds], now)
            }
        }
    }

    /// Whether every worker has done a round within the last second.
    func areWorkersAlive(_ pages: [CounterPage]) -> Bool {
        watch(pages)
        let now = ContinuousClock.now
        return rounds.withLock { rounds in
            rounds.allSatisfy { now - $0.changed < .seconds(1) }
        }
    }
}

/// Serves the admin API on a Unix socket, and the part of it that only reads on TCP.
public struct AdminService: Service {
    /// Clients at once, on each listener.
    private static let maximumClients = 128

    private let configuration: Configuration
    private let control: any ControlPlaneService
    private let dataPlane: any DataPlaneHandle
    private let version: String
    private let log: Logger

    /// A service of a running data path.
    public init(
        configuration: Configuration, control: any ControlPlaneService,
        dataPlane: any DataPlaneHandle, version: String, log: Logger
    ) {
        self.configuration = configuration
        self.control = control
        self.dataPlane = dataPlane
        self.version = version
        self.log = log
    }

    /// Serves until the daemon stops.
    ///
    /// - Throws: ``AdminServerError`` when an address is taken or may not be used.
    public func run() async throws {
        let state = AdminRuntime()
        let routes = AdminRoutes(
            control: control, dataPlane: dataPlane, admin: configuration.admin, state: state,
            version: version)
        let path = configuration.admin.socket
        try AdminSocketPath.prepare(path)
        defer { _ = unlink(path) }
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await serveSocket(routes, path) }
                if let listen = configuration.httpListen {
                    group.addTask { try await serveTCP(routes, listen) }
                }
                group.addTask { try await sample(state) }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            state.stop()
        }
    }

    private func serveSocket(_ routes: AdminRoutes, _ path: String) async throws {
        let admin = configuration.admin
        let server = Application(
            router: routes.router(.unixSocket),
            configuration: .init(
                address: .unixDomainSocket(path: path), serverName: "xdplb",
                availableConnectionsDelegate: MaximumAvailableConnections(Self.maximumClients)),
            onServerRunning: { _ in AdminSocketPath.open(path, for: admin) }, logger: quiet)
        do {
            try await server.run()
        } catch {
            throw AdminServerError(
                description: "cannot serve the admin socket at \(path): \(error)")
        }
    }

    private func serveTCP(
        _ routes: AdminRoutes, _ listen: SocketAddressConfiguration
    ) async throws {
        let server = Application(
            router: routes.router(.tcp),
            configuration: .init(
                address: .hostname(listen.host, port: listen.port), serverName: "xdplb",
                availableConnectionsDelegate: MaximumAvailableConnections(Self.maximumClients)),
            logger: quiet)
        do {
            try await server.run()
        } catch {
            throw AdminServerError(
                description: """
                    cannot serve HTTP on \(listen.host):\(listen.port): \(error). Another address: \
                    'http: {listen: …}' or --http-listen; 'none' switches it off
                    """)
        }
    }

    private func sample(_ state: AdminRuntime) async throws {
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            state.rates.sample(await control.view(), dataPlane.counterPages)
            state.watch(dataPlane.counterPages)
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(1)) }
        }
    }

    /// The library's own messages, of which only errors concern an operator.
    private var quiet: Logger {
        var quiet = log
        quiet.logLevel = .error
        return quiet
    }
}

/// The admin socket's place in the file system.
enum AdminSocketPath {
    /// Makes the folder, and removes a socket that nobody listens on any more.
    ///
    /// - Throws: When somebody listens there.
    static func prepare(_ path: String) throws(AdminServerError) {
        guard path.utf8.count < 108 else {
            throw AdminServerError(description: "the path \(path) is too long for a socket (107)")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw AdminServerError(description: "cannot make the folder \(folder): \(error)")
        }
        guard FileManager.default.fileExists(atPath: path) else { return }
        guard !isAnswered(path) else {
            throw AdminServerError(
                description: """
                    another xdplb serves the admin socket at \(path). Stop it, or choose another \
                    path with --admin-socket
                    """)
        }
        _ = unlink(path)
    }

    private static func isAnswered(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            unsafe bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
        }
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    /// Lets everybody connect whose credentials may then be let in: the routes decide.
    static func open(_ path: String, for admin: AdminConfiguration) {
        let hasGroups = admin.changeGroup != nil || admin.readGroup != nil
        _ = unsafe chmod(path, hasGroups ? 0o666 : 0o600)
    }
}
