// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// The plan that tests start from.
public enum PlanFixture {
    /// A key that is the same in every run.
    public static let key: HashKey = {
        guard let key = HashKey(bytes: (1...16).map { UInt8($0) }) else {
            preconditionFailure("sixteen bytes")
        }
        return key
    }()

    /// Reads an address that is written in a test.
    public static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
        return address
    }

    /// Service 0, 40.1.1.1:80/tcp and :53/udp, on backends 0… at 20.1.1.10, .20, …, all on the
    /// link and resolved; the load balancer is 20.1.1.1 and clients are behind 20.1.1.254.
    public static func plan(
        _ mode: ForwardingMode, backends: Int = 2, port: UInt16 = 0,
        ports: [ClosedRange<UInt16>] = [1024...65535], workers: Int = 1
    ) -> ForwardingPlan {
        let mac = MACAddress(bytes: [2, 0, 0, 0, 0, 1]) ?? .zero
        var plan = ForwardingPlan(
            link: .init(mac: mac, mtu: 1500, ipv4: address("20.1.1.1")), hashKey: key)
        plan.workerCount = workers
        plan.nextHops = [
            .init(address: address("20.1.1.254"), mac: MACAddress(bytes: [2, 0, 0, 0, 0, 0xfe]))
        ]
        var members: [MaglevTable.Member] = []
        for index in 0..<backends {
            let own = address("20.1.1.\((index + 1) * 10)")
            plan.nextHops.append(
                .init(address: own, mac: MACAddress(bytes: [2, 0, 0, 0, 1, UInt8(index)])))
            plan.backends.append(
                .init(
                    id: UInt16(index), address: own, port: port, nextHop: index + 1,
                    portSpace: UInt16(index)))
            members.append(
                .init(
                    endpoint: Endpoint(address: own, port: nil), weight: 100,
                    backend: UInt16(index)))
        }
        let table = MaglevTable(members: members, size: 251, key: key)
        plan.services = [
            .init(
                id: 0,
                keys: [
                    ServiceKey(vip: address("40.1.1.1"), port: 80, transport: .tcp),
                    ServiceKey(vip: address("40.1.1.1"), port: 53, transport: .udp),
                ], mode: mode, maglev: table, snatAddresses: [0])
        ]
        plan.snatAddresses = [.init(id: 0, address: address("20.1.1.1"), ports: ports)]
        for backend in plan.backends {
            for key in plan.services[0].keys {
                plan.snatSources.insert(
                    .init(
                        address: backend.address, port: port == 0 ? key.port ?? 0 : port,
                        transport: key.transport))
            }
        }
        if let link = IPPrefix("20.1.1.0/24"), let all = IPPrefix("0.0.0.0/0") {
            plan.routes = [.init(prefix: link, gateway: nil), .init(prefix: all, gateway: 0)]
        }
        return plan
    }

    /// Services of both families and modes: 0 is `dsr` at 40.1.1.1 and 2001:db8:40::1, 1 is `snat`
    /// at 40.1.1.2, 2 is `snat` at 2001:db8:40::2, all at 80/tcp and 53/udp.
    ///
    /// Backends 0 (20.1.1.10) and 1 (2001:db8:20::10) serve 0, 2 (20.1.1.20) serves 1, and 3
    /// (2001:db8:20::20) serves 2; SNAT addresses are 20.1.1.2 and 2001:db8:20::2. Everything goes
    /// to one gateway.
    public static func mixedPlan(dsrBackends: [UInt16] = [0, 1]) -> ForwardingPlan {
        let mac = MACAddress(bytes: [2, 0, 0, 0, 0, 1]) ?? .zero
        var plan = ForwardingPlan(
            link: .init(
                mac: mac, mtu: 1500, ipv4: address("20.1.1.1"), ipv6: address("2001:db8:20::1")),
            hashKey: key)
        plan.nextHops = [
            .init(address: address("20.1.1.254"), mac: MACAddress(bytes: [2, 0, 0, 0, 0, 0xfe]))
        ]
        plan.routes = ["0.0.0.0/0", "::/0"].compactMap(IPPrefix.init).map {
            .init(prefix: $0, gateway: 0)
        }
        let backends = ["20.1.1.10", "2001:db8:20::10", "20.1.1.20", "2001:db8:20::20"]
        for (index, text) in backends.enumerated() {
            plan.backends.append(
                .init(
                    id: UInt16(index), address: address(text), port: 0, nextHop: 0,
                    portSpace: index < 2 ? nil : UInt16(index)))
        }
        func service(
            _ id: UInt16, _ vips: [String], _ mode: ForwardingMode, _ backends: [UInt16]
        ) -> ForwardingPlan.Service {
            let keys = vips.flatMap { vip in
                [
                    ServiceKey(vip: address(vip), port: 80, transport: .tcp),
                    ServiceKey(vip: address(vip), port: 53, transport: .udp),
                ]
            }
            let members = backends.map {
                MaglevTable.Member(
                    endpoint: Endpoint(address: plan.backends[Int($0)].address, port: nil),
                    weight: 1, backend: $0)
            }
            var service = ForwardingPlan.Service(
                id: id, keys: keys, mode: mode,
                maglev: MaglevTable(members: members, size: 251, key: key),
                snatAddresses: mode == .snat ? [0, 1] : [])
            service.backends = backends
            return service
        }
        plan.services = [
            service(0, ["40.1.1.1", "2001:db8:40::1"], .dsr, dsrBackends),
            service(1, ["40.1.1.2"], .snat, [2]), service(2, ["2001:db8:40::2"], .snat, [3]),
        ]
        plan.snatAddresses = ["20.1.1.2", "2001:db8:20::2"].enumerated().map {
            .init(id: UInt16($0.offset), address: address($0.element), ports: [1024...65535])
        }
        for backend in plan.backends[2...] {
            for (port, transport) in [(80, TransportProtocol.tcp), (53, .udp)] {
                plan.snatSources.insert(
                    .init(address: backend.address, port: UInt16(port), transport: transport))
            }
        }
        return plan
    }
}
