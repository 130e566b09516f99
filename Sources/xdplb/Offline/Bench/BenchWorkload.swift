// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What `bench` measures: which work, on how many flows, how long.
struct BenchWorkload: Sendable {
    /// What the frames carry.
    enum Traffic: String, CaseIterable, Sendable {
        case udp
        case tcp
        /// Every other flow is TCP.
        case mixed
    }

    /// What of captures is measured as well.
    enum Capture: String, CaseIterable, Sendable {
        /// Nothing, as if there were none.
        case none
        /// A worker's look whether one runs, and none does.
        case off
        /// One that takes every frame.
        case on
    }

    /// Most flows: as many as the table has entries.
    static let connectionCapacity = 2 << 20
    static let vipCount = 8
    static let backendCount = 64
    static let maglevSlots = 65_537

    var mode: ForwardingMode
    var flows: Int
    /// Whether every packet begins a flow; otherwise all of them are tracked before the clock runs.
    var isNewFlows: Bool
    var family: AddressFamily
    var traffic: Traffic
    var batch: Int
    var seconds: Double
    /// Packets to measure instead of a time, for counting instructions.
    var packets: Int?
    var includesRings: Bool
    var workers: Int
    var capture = Capture.none

    /// 16 services (UDP and TCP of eight VIPs, port 80), each on the same 64 backends of the link.
    ///
    /// - Parameter key: What flow hashes and Maglev tables are keyed with.
    /// - Returns: The plan.
    func plan(key: HashKey) -> ForwardingPlan {
        var plan = ForwardingPlan(
            link: .init(
                mac: Self.mac(0x0101), mtu: 1500, ipv4: Self.address("172.16.0.1"),
                ipv6: Self.address("2001:db8:ac::1")), hashKey: key)
        var members: [MaglevTable.Member] = []
        for index in 0..<Self.backendCount {
            let address = backend(index)
            plan.nextHops.append(.init(address: address, mac: Self.mac(0x0300 + index)))
            plan.backends.append(
                .init(
                    id: UInt16(index), address: address, port: 0, nextHop: index,
                    portSpace: mode == .snat ? UInt16(index) : nil))
            members.append(
                .init(
                    endpoint: Endpoint(address: address, port: nil), weight: 1,
                    backend: UInt16(index)))
        }
        let maglev = MaglevTable(members: members, size: Self.maglevSlots, key: key)
        for vip in 0..<Self.vipCount {
            for transport in [TransportProtocol.udp, .tcp] {
                plan.services.append(
                    .init(
                        id: UInt16(plan.services.count),
                        keys: [ServiceKey(vip: self.vip(vip), port: 80, transport: transport)],
                        mode: mode, maglev: maglev, snatAddresses: mode == .snat ? [0] : []))
            }
        }
        if mode == .snat {
            plan.snatAddresses = [
                .init(id: 0, address: backend(Self.backendCount), ports: [1024...65535])
            ]
        }
        plan.nextHops.append(
            .init(address: Self.address("172.16.0.2"), mac: Self.mac(0x0102)))
        plan.routes = ["0.0.0.0/0", "::/0"].compactMap(IPPrefix.init).map {
            .init(prefix: $0, gateway: Self.backendCount)
        }
        return plan
    }

    /// A VIP, by its number.
    func vip(_ index: Int) -> IPAddress {
        Self.address(family == .ipv4 ? "192.0.2.\(index + 1)" : "2001:db8:2::\(index + 1)")
    }

    private func backend(_ index: Int) -> IPAddress {
        Self.address(family == .ipv4 ? "10.0.3.\(index + 1)" : "2001:db8:3::\(index + 1)")
    }

    private static func mac(_ number: Int) -> MACAddress {
        MACAddress(bytes: [2, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255)]) ?? .zero
    }

    private static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
        return address
    }
}
