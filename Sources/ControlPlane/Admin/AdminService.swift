// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// Why the API cannot be served.
public struct AdminServerError: Error, CustomStringConvertible {
    /// What was attempted, on what, the answer, and what to do next.
    public let description: String
}

/// Serves the admin API on a Unix socket, and the part of it that only reads on TCP.
public struct AdminService: Service {
    /// Clients at once, on each listener.
    private static let maximumClients = 128
    /// Rest of a connection on which nothing is asked, or a request that does not end.
    private static let idleTimeout = TimeAmount.seconds(30)

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
        let handlers = AdminHandlers(
            control: control, dataPlane: dataPlane, admin: configuration.admin, state: state,
            version: version, hasDashboard: configuration.hasDashboard)
        let path = configuration.admin.socket
        try AdminSocketPath.prepare(path)
        defer { _ = unlink(path) }
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await serveSocket(handlers, path) }
                if let listen = configuration.httpListen {
                    group.addTask { try await serveTCP(handlers, listen) }
                }
                group.addTask { try await sample(handlers) }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            state.stop()
        }
    }

    private static var http: HTTPServerBuilder {
        .http1(configuration: .init(idleTimeout: idleTimeout))
    }

    private func serveSocket(_ handlers: AdminHandlers, _ path: String) async throws {
        let admin = configuration.admin
        let server = Application(
            router: handlers.router(.socketOnly), server: Self.http,
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
        _ handlers: AdminHandlers, _ listen: SocketAddressConfiguration
    ) async throws {
        let server = Application(
            router: handlers.router(.everywhere), server: Self.http,
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

    private func sample(_ handlers: AdminHandlers) async throws {
        let state = handlers.state
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            state.rates.sample(
                await control.view(), dataPlane.counterPages, dataPlane.kernelCounters())
            state.watch(dataPlane.counterPages)
            await handlers.publishEvents()
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
