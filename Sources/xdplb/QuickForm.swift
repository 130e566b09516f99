// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import DataPlane

/// The configuration that fits on a command line.
enum QuickForm {
    /// What is wrong with an argument.
    struct Invalid: Error, CustomStringConvertible {
        let description: String
    }

    /// A configuration of one interface and services that are named after their keys.
    ///
    /// - Parameters:
    ///   - interface: The device's name.
    ///   - mode: `dsr` or `snat`, for all services and for those added later.
    ///   - services: `VIP:PORT/PROTOCOL=IP[:PORT],IP[:PORT]…` each.
    /// - Returns: The configuration.
    /// - Throws: ``Invalid`` with the argument that makes no sense.
    static func parse(
        interface: String, mode: String, services: [String]
    ) throws(Invalid) -> Configuration {
        guard !interface.isEmpty, interface.utf8.count <= 15, !interface.contains("/") else {
            throw Invalid(description: "'\(interface)' is not a name of an interface")
        }
        guard let mode = ForwardingMode(mode) else {
            throw Invalid(description: "mode '\(mode)' is neither dsr nor snat")
        }
        var configuration = Configuration(interface: InterfaceConfiguration(name: interface))
        configuration.defaultMode = mode
        for text in services {
            let service = try self.service(text, mode)
            let keys = configuration.services.flatMap(\.keys)
            if service.keys.contains(where: { key in keys.contains { $0.conflicts(with: key) } }) {
                throw Invalid(description: "service \(service.name) is given twice")
            }
            configuration.services.append(service)
        }
        return configuration
    }

    private static func service(
        _ text: String, _ mode: ForwardingMode
    ) throws(Invalid) -> ServiceConfiguration {
        guard let equals = text.firstIndex(of: "=") else {
            throw Invalid(
                description: """
                    service '\(text)' has no '=': it reads VIP:PORT/PROTOCOL=IP[:PORT],…, such as \
                    40.1.1.1:80/tcp=20.1.1.10:80,20.1.1.20:80
                    """)
        }
        let head = String(text[..<equals])
        guard let key = ServiceKey(head) else {
            throw Invalid(
                description: """
                    '\(head)' is not a VIP:PORT/PROTOCOL, such as 40.1.1.1:80/tcp or \
                    [2001:db8::1]:80/tcp
                    """)
        }
        var service = ServiceConfiguration(
            name: key.description, vips: [key.vips],
            ports: [ServicePort(ports: key.ports, transport: key.transport)], mode: mode)
        service.backends = try backends(
            String(text[text.index(after: equals)...]), of: service)
        return service
    }

    /// Reads `IP[:PORT],IP[:PORT]…`.
    private static func backends(
        _ text: String, of service: ServiceConfiguration
    ) throws(Invalid) -> [BackendConfiguration] {
        var backends: [BackendConfiguration] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let endpoint = Endpoint(String(part)) else {
                throw Invalid(
                    description: "\(service.name): backend '\(part)' is not an IP or IP:PORT")
            }
            let backend = BackendConfiguration(address: endpoint.address, port: endpoint.port)
            if let contradiction = service.contradiction(with: backend) {
                throw Invalid(
                    description: """
                        \(service.name): \(contradiction.text(backend)); \(contradiction.remedy)
                        """)
            }
            guard !backends.contains(where: { $0.name == backend.name }) else {
                throw Invalid(description: "\(service.name): backend \(endpoint) is given twice")
            }
            backends.append(backend)
        }
        return backends
    }
}
