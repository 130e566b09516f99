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
            throw Invalid(description: "'\(interface)' is no name of an interface")
        }
        guard let mode = ForwardingMode(mode) else {
            throw Invalid(description: "mode '\(mode)' is neither dsr nor snat")
        }
        var configuration = Configuration(interface: InterfaceConfiguration(name: interface))
        configuration.defaultMode = mode
        for text in services {
            let service = try self.service(text, mode)
            if configuration.services.contains(where: { $0.name == service.name }) {
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
        guard let key = ServiceKey(head), key.port != 0 else {
            throw Invalid(
                description: "'\(head)' is no VIP:PORT/PROTOCOL, such as 40.1.1.1:80/tcp")
        }
        let backends = try backends(String(text[text.index(after: equals)...]), of: key, mode)
        return ServiceConfiguration(
            name: key.description, vips: [key.vips],
            ports: [ServicePort(ports: key.ports, transport: key.transport)], mode: mode,
            backends: backends)
    }

    /// Reads `IP[:PORT],IP[:PORT]…`.
    ///
    /// - Parameters:
    ///   - text: The list.
    ///   - key: The service they are for.
    ///   - mode: Its mode; `nil` when that is not known here, and then not checked.
    /// - Returns: The backends, in the order given.
    /// - Throws: ``Invalid`` with the one that makes no sense.
    static func backends(
        _ text: String, of key: ServiceKey, _ mode: ForwardingMode?
    ) throws(Invalid) -> [BackendConfiguration] {
        var backends: [BackendConfiguration] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let endpoint = Endpoint(String(part)) else {
                throw Invalid(
                    description: "\(key): backend '\(part)' is no IP or IP:PORT")
            }
            if mode == .snat, endpoint.address.family != key.vips.family {
                throw Invalid(
                    description: """
                        \(key): snat cannot mix families, but backend \(endpoint) is of the other \
                        one: use dsr
                        """)
            }
            if mode == .dsr, let port = endpoint.port, port != key.port {
                throw Invalid(
                    description: """
                        \(key): dsr cannot translate ports, but backend \(endpoint) has another \
                        one: leave it out, or use snat
                        """)
            }
            let backend = BackendConfiguration(address: endpoint.address, port: endpoint.port)
            guard !backends.contains(where: { $0.name == backend.name }) else {
                throw Invalid(description: "\(key): backend \(endpoint) is given twice")
            }
            backends.append(backend)
        }
        return backends
    }
}
