// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane

extension BackendsCheck {
    private static let timeout = Duration.seconds(1)

    init(reading subject: DoctorSubject) {
        let configuration = subject.configuration
        let observed = try? NetworkMonitor.read(
            ObservedInterface(name: subject.name, vlan: configuration.interface.vlan))
        unprobed = [:]
        var asked: [(patient: Patient, subject: BackendTrial.Subject)] = []
        for service in configuration.services {
            guard let (health, port) = Self.probe(of: service) else {
                unprobed[service.name] =
                    "only TCP at a port of its own, or a health check, can be probed"
                continue
            }
            for backend in configuration.backends(of: service) where backend.adminState != .disabled
            {
                let tunnel =
                    service.mode == .dsr
                    ? observed.flatMap {
                        Tunnel(
                            to: backend, of: service, port: port ?? 0, configuration.encapsulation,
                            $0)
                    } : nil
                let place = port.map { backend.port ?? $0 }
                let patient = Patient(
                    service: service.name, name: backend.name,
                    address: Endpoint(address: backend.address, port: place),
                    vip: Endpoint(
                        address: service.vips.first?.network ?? backend.address, port: port),
                    vips: service.vips.map(\.network),
                    trusted: configuration.encapsulation.sourcePrefix(backend.address.family)
                        ?? tunnel.map { IPPrefix($0.outerSource) },
                    direct: ProbeOutcome(result: .timeout, took: .zero))
                asked.append(
                    (
                        patient,
                        .init(
                            address: backend.address, port: place ?? 0, health: health,
                            tunnel: tunnel)
                    ))
            }
        }
        patients = zip(asked, BackendTrial.run(asked.map(\.subject))).map { asked, outcome in
            var patient = asked.patient
            patient.direct = outcome.direct
            patient.tunnel = outcome.tunnel
            patient.lostByteCount = outcome.lostByteCount
            return patient
        }
    }

    /// How backends of a service are asked, and the port of the VIP: by a connection to its first
    /// TCP port, else by a health check that needs none; `nil` when there is neither.
    private static func probe(
        of service: ServiceConfiguration
    ) -> (health: HealthConfiguration, port: UInt16?)? {
        var health = service.policy.health
        health.timeout = timeout
        let ports = service.ports.filter { $0.ports != ServiceKey.anyPort }
        if let tcp = ports.first(where: { $0.transport == .tcp }) {
            health.kind = .tcp
            return (health, tcp.ports.lowerBound)
        }
        switch health.kind {
        case .icmp: return (health, nil)
        case .dns:
            let port = health.port ?? ports.first { $0.transport == .udp }?.ports.lowerBound
            return port.map { (health, $0) }
        case .none, .tcp, .http, .https: return nil
        }
    }
}
