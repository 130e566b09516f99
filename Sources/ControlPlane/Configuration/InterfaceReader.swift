// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// Reads the section `interfaces`.
struct InterfaceReader {
    private let problems: ConfigurationProblems

    init(_ problems: ConfigurationProblems) { self.problems = problems }

    /// The one interface; `nil` when there is none to run on.
    func read(_ root: ConfigurationSection) -> InterfaceConfiguration? {
        guard root.requires("interfaces"), let list = root.list("interfaces") else { return nil }
        guard let first = list.first else {
            problems.error(root.place("interfaces"), "'interfaces' needs one interface")
            return nil
        }
        for other in list.dropFirst() {
            problems.error(
                other, "a second interface \(ConfigurationSection.notInThisVersion)")
        }
        return readInterface(first)
    }

    private func readInterface(_ node: Node) -> InterfaceConfiguration? {
        guard
            let section = ConfigurationSection(
                node, "an interface",
                keys: [
                    "name", "role", "attach_mode", "bind_mode", "queues", "rx_ring", "tx_ring",
                    "fill_ring", "completion_ring", "chunk_size", "vlan", "next_hop", "offline",
                ], problems), section.requires("name"),
            let name = section.parsed(
                "name", "a name of an interface (1-15 characters, no '/')",
                { (1...15).contains($0.utf8.count) && !$0.contains("/") ? $0 : nil })
        else { return nil }
        var interface = InterfaceConfiguration(name: name)
        section.only("role", "both")
        if let (_, text) = section.text("vlan"), text != "none" {
            interface.vlan = section.integer("vlan", in: 1...4094).map(UInt16.init)
        }
        let mode = section.choice("attach_mode", InterfaceConfiguration.AttachMode.self)
        interface.attachMode = mode ?? interface.attachMode
        let bind = section.choice("bind_mode", InterfaceConfiguration.BindMode.self)
        interface.bindMode = bind ?? interface.bindMode
        interface.queues =
            section.parsed("queues", "'all', or a range such as 0-3", Self.queues) ?? nil
        let ring = 64...65536
        interface.rxRing = section.powerOfTwo("rx_ring", in: ring) ?? interface.rxRing
        interface.txRing = section.powerOfTwo("tx_ring", in: ring) ?? interface.txRing
        interface.fillRing = section.powerOfTwo("fill_ring", in: ring) ?? interface.fillRing
        interface.completionRing =
            section.powerOfTwo("completion_ring", in: ring) ?? interface.completionRing
        interface.chunkSize = section.powerOfTwo("chunk_size", in: 2048...4096) ?? 4096
        readNextHop(section, &interface)
        if let offline = section.value("offline") { interface.offline = readOffline(offline) }
        return interface
    }

    /// `all` is `.some(nil)`.
    private static func queues(_ text: String) -> [Int]?? {
        if text == "all" { return .some(nil) }
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false).map {
            ConfigurationSection.integer(String($0))
        }
        guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, bounds.count <= 2,
            first >= 0, first <= last, last < 256
        else { return nil }
        return Array(first...last)
    }

    private func readNextHop(
        _ section: ConfigurationSection, _ interface: inout InterfaceConfiguration
    ) {
        guard let node = section.value("next_hop"), node.scalar?.string != "auto" else { return }
        if node.scalar != nil {
            problems.error(node, "next_hop is neither 'auto' nor {ipv4: ADDRESS, ipv6: ADDRESS}")
            return
        }
        guard
            let addresses = ConfigurationSection(
                node, "'next_hop'", keys: ["ipv4", "ipv6"], problems)
        else { return }
        interface.fixedNextHops = AddressFamily.allCases.compactMap { address(addresses, $0) }
        if !addresses.has("ipv4"), !addresses.has("ipv6") {
            problems.error(node, "'next_hop' needs 'ipv4', 'ipv6' or both")
        }
    }

    /// The address of a family under the key that is called after it.
    private func address(
        _ section: ConfigurationSection, _ family: AddressFamily
    ) -> IPAddress? {
        section.parsed(
            family.rawValue, family == .ipv4 ? "an IPv4 address" : "an IPv6 address"
        ) { text in IPAddress(text).flatMap { $0.family == family ? $0 : nil } }
    }

    private func readOffline(_ node: Node) -> OfflineInterface? {
        guard
            let section = ConfigurationSection(
                node, "'offline'", keys: ["mac", "mtu", "ipv4", "ipv6", "next_hop_mac"], problems)
        else { return nil }
        let rule = "a hardware address, such as 02:00:00:00:00:01"
        let mac = section.parsed("mac", rule) { MACAddress($0) }
        let nextHop = section.parsed("next_hop_mac", rule) { MACAddress($0) }
        let mtu = section.integer("mtu", in: 68...9216)
        let ipv4 = address(section, .ipv4)
        let ipv6 = address(section, .ipv6)
        guard section.requires("mac"), section.requires("next_hop_mac"), let mac, let nextHop else {
            return nil
        }
        return OfflineInterface(
            mac: mac, mtu: mtu ?? 1500, ipv4: ipv4, ipv6: ipv6, nextHopMAC: nextHop)
    }
}
