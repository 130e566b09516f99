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

/// Serves the admin API on a Unix socket, and the part of it that only reads on TCP.
public struct AdminService: Service {
    /// Clients at once, on each listener.
    private static let maximumClients = 128
    /// Bytes of a request's line and headers.
    static let maximumHeadSize = 16 << 10

    private let configuration: Configuration
    private let control: any ControlPlaneService
    private let dataPlane: any DataPlaneHandle
    private let build: BuildFacts
    private let events: EventLog
    private let log: Logger
    private let onServing: @Sendable () -> Void

    /// A service of a running data path.
    ///
    /// `onServing` is called once, when all listeners serve.
    public init(
        configuration: Configuration, control: any ControlPlaneService,
        dataPlane: any DataPlaneHandle, build: BuildFacts, events: EventLog,
        log: Logger, onServing: @escaping @Sendable () -> Void = {}
    ) {
        self.configuration = configuration
        self.control = control
        self.dataPlane = dataPlane
        self.build = build
        self.events = events
        self.log = log
        self.onServing = onServing
    }

    /// Serves until the daemon stops.
    ///
    /// - Throws: ``AdminServerError`` when an address is taken or may not be used.
    public func run() async throws {
        let state = AdminRuntime(events: events)
        let handlers = AdminHandlers(
            control: control, dataPlane: dataPlane, admin: configuration.admin, state: state,
            build: build, hasDashboard: configuration.hasDashboard)
        let path = configuration.admin.socket
        try AdminSocketPath.prepare(path)
        defer { _ = unsafe unlink(path) }
        let starting = Starting(
            listeners: configuration.httpListen == nil ? 1 : 2, whenAllServe: onServing)
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await serveSocket(handlers, path, starting) }
                if let listen = configuration.httpListen {
                    group.addTask { try await serveTCP(handlers, listen, starting) }
                }
                group.addTask { try await sample(handlers) }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            state.stop()
        }
    }

    /// HTTP/1.1 within bounds, for one listener.
    private static func http() -> HTTPServerBuilder {
        let clients = AdminClients(limit: maximumClients)
        return .http1(
            configuration: .init(
                additionalChannelHandlers: [AdminConnection(clients)],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: maximumHeadSize, maxHeaderListSize: maximumHeadSize,
                    maxHeaderFieldCount: 100)))
    }

    /// Counts the listeners that do not serve yet.
    private final class Starting: Sendable {
        private let missing: Atomic<Int>
        private let whenAllServe: @Sendable () -> Void

        init(listeners: Int, whenAllServe: @escaping @Sendable () -> Void) {
            missing = Atomic(listeners)
            self.whenAllServe = whenAllServe
        }

        func oneServes() {
            let left = missing.subtract(1, ordering: .acquiringAndReleasing).newValue
            if left == 0 { whenAllServe() }
        }
    }

    private func serveSocket(
        _ handlers: AdminHandlers, _ path: String, _ starting: Starting
    ) async throws {
        let admin = configuration.admin
        let server = Application(
            router: handlers.router(.socketOnly), server: Self.http(),
            configuration: .init(
                address: .unixDomainSocket(path: path), serverName: "xdplb",
                availableConnectionsDelegate: MaximumAvailableConnections(Self.maximumClients)),
            onServerRunning: { _ in
                AdminSocketPath.open(path, for: admin)
                starting.oneServes()
            }, logger: quiet)
        do {
            try await server.run()
        } catch {
            throw AdminServerError(
                description: "cannot serve the admin socket at \(path): \(error)")
        }
    }

    private func serveTCP(
        _ handlers: AdminHandlers, _ listen: SocketAddressConfiguration, _ starting: Starting
    ) async throws {
        let server = Application(
            router: handlers.router(.everywhere), server: Self.http(),
            configuration: .init(
                address: .hostname(listen.host, port: listen.port), serverName: "xdplb",
                availableConnectionsDelegate: MaximumAvailableConnections(Self.maximumClients)),
            onServerRunning: { _ in starting.oneServes() }, logger: quiet)
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
        var watch = LoadWatch()
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            let (pages, kernel) = (dataPlane.counterPages, dataPlane.kernelCounters())
            state.rates.sample(await control.view(), pages, kernel)
            let facts = dataPlane.facts
            let sight = LoadWatch.Sight(
                interface: facts.interface, queues: facts.workers.map(\.queue),
                ringLosses: kernel.sockets.map(\.ringLosses),
                entries: CounterSums(pages)[.connections],
                capacity: UInt64(facts.connectionsPerWorker * facts.workers.count),
                stuckWorkers: state.stuckWorkers(pages))
            for finding in watch.look(sight) {
                events.record(finding.kind, finding.level, finding.fields)
            }
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
