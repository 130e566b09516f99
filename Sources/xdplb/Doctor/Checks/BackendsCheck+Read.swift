// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane

extension BackendsCheck {
    private static let timeout = Duration.seconds(1)
    /// Probes that run at once.
    private static let parallel = 64

    init(reading subject: DoctorSubject) {
        let configuration = subject.configuration
        let observed = try? NetworkMonitor.read(
            ObservedInterface(name: subject.name, vlan: configuration.interface.vlan))
        unprobed = [:]
        var probes: [@Sendable () -> Patient] = []
        for service in configuration.services {
            guard let port = Self.port(of: service) else {
                unprobed[service.name] = "only TCP at a port of its own can be probed"
                continue
            }
            for backend in configuration.backends(of: service) where backend.adminState != .disabled
            {
                let route = TunnelRoute(service, backend, configuration, observed)
                probes.append { Self.probe(service, backend, port, route) }
            }
        }
        patients = BlockingJobs(probes).run(parallel: Self.parallel)
    }

    /// The first TCP port of a service.
    private static func port(of service: ServiceConfiguration) -> UInt16? {
        service.ports.first { $0.transport == .tcp && $0.ports != ServiceKey.anyPort }?
            .ports.lowerBound
    }

    /// Where the probe in the tunnel comes from.
    private struct TunnelRoute: Sendable {
        var vip: IPAddress
        /// Inner source; `nil` when the interface has no address of the VIP's family.
        var source: IPAddress?
        var outerSource: IPAddress?
        var trusted: IPPrefix?

        init(
            _ service: ServiceConfiguration, _ backend: BackendConfiguration,
            _ configuration: Configuration, _ observed: ObservedState?
        ) {
            vip = service.vips.first?.network ?? backend.address
            source = observed?.address(vip.family)
            let family = backend.address.family
            let prefix = configuration.encapsulation.sourcePrefix(family)
            outerSource = prefix?.network ?? observed?.address(family)
            trusted = prefix ?? outerSource.map { IPPrefix($0) }
        }
    }

    private static func probe(
        _ service: ServiceConfiguration, _ backend: BackendConfiguration, _ port: UInt16,
        _ route: TunnelRoute
    ) -> Patient {
        var patient = Patient(
            service: service.name, name: backend.name,
            address: Endpoint(address: backend.address, port: backend.port ?? port),
            vip: Endpoint(address: route.vip, port: port), vips: service.vips.map(\.network),
            trusted: route.trusted,
            direct: ConnectAttempt.connect(
                to: backend.address, port: backend.port ?? port, timeout: timeout))
        guard service.mode == .dsr, let source = route.source else { return patient }
        patient.tunnel = TunnelAttempt.connect(
            vip: route.vip, port: port, via: backend.address, source: source,
            outerSource: route.outerSource, timeout: timeout)
        return patient
    }
}
