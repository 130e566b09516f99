// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import Foundation
internal import XSKRing

/// What is looked at: an interface, what is to run on it, and what runs.
struct DoctorSubject: Sendable {
    /// Where the configuration is from.
    enum Source: Equatable, Sendable {
        /// A file.
        case file(String)
        /// The daemon that runs.
        case daemon
        /// Nowhere: only the interface is known.
        case none
    }

    /// The interface as it is.
    var interface: InterfaceFacts
    /// What is to run, or runs; without services when neither is known.
    var configuration: Configuration
    /// Where the services are from.
    var source: Source
    /// What the daemon on the interface says of itself; `nil` when none runs there.
    var running: StatusDocument?
    /// Who has the interface's XDP hook.
    var holder: XDPHolder?

    /// Name of the interface.
    var name: String { interface.name }

    /// CPU of each queue's worker, as it runs or would.
    var workerCPUs: [Int?] {
        if let running { return running.workers.map(\.cpu) }
        return HostResources.cpus(
            configured: configuration.workers.cores, workers: interface.rxQueueCount,
            node: interface.numaNode)
    }

    /// Whether there is a service of a mode; without any, whether the first would be.
    func uses(_ mode: ForwardingMode) -> Bool {
        configuration.services.isEmpty
            ? configuration.defaultMode == mode
            : configuration.services.contains { $0.mode == mode }
    }
}

extension DoctorSubject {
    /// Where the configuration is unless it is named.
    static let defaultPath = "/etc/xdplb/xdplb.yaml"

    /// Finds out what is to be looked at.
    ///
    /// A file that is named counts; otherwise the services are the running daemon's, and those of
    /// the default file without one.
    ///
    /// - Parameters:
    ///   - name: The interface; `nil` takes the file's or the daemon's.
    ///   - path: The file; `nil` takes the default one when it is there and for this interface.
    ///   - client: Where a daemon would be asked.
    /// - Throws: ``CommandFailure`` when there is no interface to look at, or the file is bad.
    init(interface name: String?, configuration path: String?, client: AdminClient) throws {
        var running = try? client.get(StatusDocument.self, "/api/v1/status")
        var file = try Self.load(path)
        guard let chosen = name ?? file?.interface.name ?? running?.interface.name else {
            throw CommandFailure(
                .invalid,
                """
                no interface to examine: \(Self.defaultPath) does not exist and no daemon is \
                running. Name one: 'xdplb doctor IFACE' or --config FILE
                """)
        }
        if let other = file?.interface.name, other != chosen {
            if let path {
                throw CommandFailure(.invalid, "\(path) is for \(other), not for \(chosen)")
            }
            file = nil
        }
        do {
            interface = try InterfaceFacts(name: chosen)
        } catch {
            throw CommandFailure(.invalid, error.description)
        }
        holder = XDPHolder.find(interface: interface.index)
        // Also when a daemon has an interface of this name in another network namespace.
        if running?.interface.name != chosen || holder == nil { running = nil }
        configuration = file ?? Configuration(interface: InterfaceConfiguration(name: chosen))
        source = file == nil ? .none : .file(path ?? Self.defaultPath)
        self.running = running
        if running != nil, path == nil {
            configuration.services = try Self.services(client)
            source = .daemon
        }
    }

    /// A subject of a configuration that is about to run.
    ///
    /// `nil` when there is no such interface.
    init?(starting configuration: Configuration) {
        guard let facts = try? InterfaceFacts(name: configuration.interface.name) else {
            return nil
        }
        interface = facts
        self.configuration = configuration
        source = .none
        running = nil
        holder = nil
    }

    private static func load(_ path: String?) throws -> Configuration? {
        guard path != nil || FileManager.default.fileExists(atPath: defaultPath) else { return nil }
        do {
            return try ConfigurationFile.load(path ?? defaultPath).configuration
        } catch {
            throw CommandFailure(.invalid, error.description)
        }
    }

    /// The services of a running daemon, as far as checks need them.
    private static func services(_ client: AdminClient) throws -> [ServiceConfiguration] {
        let list = try client.get(ServiceListDocument.self, "/api/v1/services")
        let backends = try client.get(BackendListDocument.self, "/api/v1/backends").backends
        return list.services.map { service in
            let keys = service.keys.compactMap { ServiceKey($0) }
            let vips = keys.map(\.vips).uniqued()
            let ports = keys.filter { $0.vips == vips.first }
                .map { ServicePort(ports: $0.ports, transport: $0.transport) }
            return ServiceConfiguration(
                name: service.name, vips: vips, ports: ports,
                mode: ForwardingMode(service.mode) ?? .dsr, snatPool: service.snatPool,
                backends: backends.filter { $0.service == service.name && !$0.removed }
                    .compactMap(Self.backend))
        }
    }

    private static func backend(_ document: BackendDocument) -> BackendConfiguration? {
        Endpoint(document.address).map {
            BackendConfiguration(
                name: document.name, address: $0.address, port: $0.port, weight: document.weight,
                adminState: AdminState(rawValue: document.adminState) ?? .active)
        }
    }
}
