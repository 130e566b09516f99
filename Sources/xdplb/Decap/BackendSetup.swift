// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation

/// What a backend needs besides the program, so that it takes the VIPs' packets and keeps quiet
/// about them: the VIPs on `lo`, no ARP for them, and no reverse-path check of the inner source.
struct BackendSetup {
    let interface: String
    let vips: [IPAddress]

    /// A kernel setting and its value.
    private var settings: [(path: String, value: String)] {
        [
            ("net/ipv4/conf/all/arp_ignore", "1"), ("net/ipv4/conf/all/arp_announce", "2"),
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/\(interface)/rp_filter", "0"),
        ]
    }

    /// The commands that do it by hand.
    var commands: [String] {
        vips.map { "ip addr add \($0)/32 dev lo" }
            + settings.map {
                "sysctl -w \($0.path.replacingOccurrences(of: "/", with: "."))=\($0.value)"
            }
    }

    /// Does it.
    ///
    /// - Throws: ``CommandFailure`` with the command that failed.
    func apply() throws {
        for vip in vips where !Self.isOnLoopback(vip) {
            try Self.ip(["addr", "add", "\(vip)/32", "dev", "lo"])
        }
        for setting in settings {
            do {
                try setting.value.write(
                    toFile: "/proc/sys/\(setting.path)", atomically: false, encoding: .utf8)
            } catch {
                throw CommandFailure(
                    .refused, "cannot set \(setting.path) to \(setting.value): \(error)")
            }
        }
    }

    /// Takes the VIPs off `lo` again; the settings stay, as it is not known what they were.
    func undo() throws {
        for vip in vips where Self.isOnLoopback(vip) {
            try Self.ip(["addr", "del", "\(vip)/32", "dev", "lo"])
        }
    }

    private static func isOnLoopback(_ vip: IPAddress) -> Bool {
        InterfaceAddresses.all().contains { $0.interface == "lo" && $0.address == vip }
    }

    private static func ip(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip"] + arguments
        do {
            try process.run()
        } catch {
            throw CommandFailure(.refused, "cannot run 'ip': \(error). Install iproute2")
        }
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CommandFailure(
                .refused, "'ip \(arguments.joined(separator: " "))' failed; it needs root")
        }
    }
}

/// The IPv4 addresses of this host.
enum InterfaceAddresses {
    /// An address and the network it is in.
    struct Entry {
        var interface: String
        var address: IPAddress
        var network: IPPrefix
    }

    /// All of them (getifaddrs(3)).
    static func all() -> [Entry] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return [] }
        defer { unsafe freeifaddrs(list) }
        var entries: [Entry] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ifa_next
            guard let address = unsafe ipv4(entry.pointee.ifa_addr),
                let mask = unsafe ipv4(entry.pointee.ifa_netmask),
                let network = IPPrefix(
                    IPAddress(IPv4Address(address)), length: mask.nonzeroBitCount)
            else { continue }
            entries.append(
                Entry(
                    interface: unsafe String(cString: entry.pointee.ifa_name),
                    address: IPAddress(IPv4Address(address)), network: network))
        }
        return entries
    }

    private static func ipv4(_ address: UnsafeMutablePointer<sockaddr>?) -> UInt32? {
        guard let address = unsafe address,
            unsafe address.pointee.sa_family == sa_family_t(AF_INET)
        else { return nil }
        return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
            unsafe UInt32(bigEndian: address.pointee.sin_addr.s_addr)
        }
    }
}
