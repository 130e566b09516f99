// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// What the steering program sends to the sockets.
public struct SteeringRules: Equatable, Sendable {
    /// An address, port and protocol.
    public struct Endpoint: Hashable, Sendable {
        /// Sixteen bytes in network order, IPv4 in mapped form.
        public let address: [UInt8]
        /// In host byte order; 0 is any port, for a service.
        public let port: UInt16
        /// The protocol's number.
        public let transport: UInt8

        /// An endpoint of its parts.
        ///
        /// - Precondition: `address` has sixteen bytes.
        public init(address: [UInt8], port: UInt16, transport: UInt8) {
            precondition(address.count == 16)
            self.address = address
            self.port = port
            self.transport = transport
        }
    }

    /// Where services are offered.
    public var services: Set<Endpoint> = []
    /// SNAT addresses (sixteen bytes) and their ports, in one range or two.
    public var pool: [[UInt8]: [ClosedRange<UInt16>]] = [:]
    /// Backends whose packets to a SNAT address are replies.
    public var backends: Set<Endpoint> = []

    /// Rules that match nothing.
    public init() {}
}

extension SteeringRules.Endpoint {
    var mapKey: steer_endpoint {
        var key = steer_endpoint()
        unsafe withUnsafeMutableBytes(of: &key.address) { unsafe $0.copyBytes(from: address) }
        key.port = port.bigEndian
        key.protocol = transport
        return key
    }
}

/// The maps that the steering program matches by.
struct MatchMaps {
    let services: Int32
    let pool: Int32
    let backends: Int32

    /// Changes the maps from one set of rules to another.
    ///
    /// Adds first and removes last, so that no frame that both sets match goes to the kernel in
    /// between.
    ///
    /// - Throws: When a map is full; what was added before is taken back.
    func change(from old: SteeringRules, to new: SteeringRules) throws(XSKError) {
        var added: [Edit] = []
        do throws(XSKError) {
            for endpoint in new.services.subtracting(old.services) {
                try add(.service(endpoint), to: &added)
            }
            for (address, ports) in new.pool where old.pool[address] != ports {
                try add(.pool(address, ports), to: &added)
            }
            for endpoint in new.backends.subtracting(old.backends) {
                try add(.backend(endpoint), to: &added)
            }
        } catch {
            for edit in added.reversed() {
                if case .pool(let address, _) = edit, let ports = old.pool[address] {
                    try? put(.pool(address, ports))
                } else {
                    remove(edit)
                }
            }
            throw error
        }
        for endpoint in old.services.subtracting(new.services) { remove(.service(endpoint)) }
        for (address, ports) in old.pool where new.pool[address] == nil {
            remove(.pool(address, ports))
        }
        for endpoint in old.backends.subtracting(new.backends) { remove(.backend(endpoint)) }
    }

    private enum Edit {
        case service(SteeringRules.Endpoint)
        case pool([UInt8], [ClosedRange<UInt16>])
        case backend(SteeringRules.Endpoint)

        var noun: String {
            switch self {
            case .service: "service"
            case .pool: "SNAT address"
            case .backend: "SNAT backend"
            }
        }
    }

    private func add(_ edit: Edit, to added: inout [Edit]) throws(XSKError) {
        try put(edit)
        added.append(edit)
    }

    private func put(_ edit: Edit) throws(XSKError) {
        var one: UInt8 = 1
        let result: Int32
        switch edit {
        case .service(let endpoint):
            var key = endpoint.mapKey
            result = unsafe bpf_map_update_elem(services, &key, &one, UInt64(BPF_ANY))
        case .backend(let endpoint):
            var key = endpoint.mapKey
            result = unsafe bpf_map_update_elem(backends, &key, &one, UInt64(BPF_ANY))
        case .pool(let address, let ports):
            var value = Self.value(of: ports)
            result = unsafe bpf_map_update_elem(pool, address, &value, UInt64(BPF_ANY))
        }
        guard result == 0 else {
            throw XSKError(
                "cannot add a \(edit.noun) to the steering program", errno: -result,
                remedy: "E2BIG means that its map is full: fewer \(edit.noun)s are needed.")
        }
    }

    private func remove(_ edit: Edit) {
        switch edit {
        case .service(let endpoint):
            var key = endpoint.mapKey
            _ = unsafe bpf_map_delete_elem(services, &key)
        case .backend(let endpoint):
            var key = endpoint.mapKey
            _ = unsafe bpf_map_delete_elem(backends, &key)
        case .pool(let address, _):
            _ = unsafe bpf_map_delete_elem(pool, address)
        }
    }

    /// Unused ranges are empty: first 1, last 0.
    private static func value(of ports: [ClosedRange<UInt16>]) -> steer_ports {
        precondition((1...2).contains(ports.count))
        var value = steer_ports()
        value.first = (ports[0].lowerBound, ports.count > 1 ? ports[1].lowerBound : 1)
        value.last = (ports[0].upperBound, ports.count > 1 ? ports[1].upperBound : 0)
        return value
    }
}
