// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation

/// What a backend needs besides the program, so that it takes the VIPs' packets and keeps quiet
/// about them: the VIPs on `lo`, no ARP for them, and no reverse-path check of the inner source.
///
/// IPv6 needs the first only: neighbour discovery answers for the addresses of the interface that
/// was asked (RFC 4861 §7.2.3), and Linux has no reverse-path check of its own.
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
        vips.map { "ip addr add \(IPPrefix($0)) dev lo" }
            + settings.map {
                "sysctl -w \($0.path.replacingOccurrences(of: "/", with: "."))=\($0.value)"
            }
    }

    /// Does it.
    ///
    /// - Throws: ``CommandFailure`` with the command that failed.
    func apply() throws {
        for vip in vips where !Self.isOnLoopback(vip) {
            try Self.ip(["addr", "add", "\(IPPrefix(vip))", "dev", "lo"])
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
            try Self.ip(["addr", "del", "\(IPPrefix(vip))", "dev", "lo"])
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

/// The addresses of this host, without link-local IPv6 ones.
enum InterfaceAddresses {
    /// An address and the network it is in.
    struct Entry {
        var interface: String
        var address: IPAddress
        var network: IPPrefix
    }

    private static let linkLocal = IPPrefix("fe80::/10")

    /// All of them (getifaddrs(3)).
    static func all() -> [Entry] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return [] }
        defer { unsafe freeifaddrs(list) }
        var entries: [Entry] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ifa_next
            guard let octets = unsafe bytes(entry.pointee.ifa_addr),
                let address = IPAddress(bytes: octets),
                linkLocal?.contains(address) != true,
                let mask = unsafe bytes(entry.pointee.ifa_netmask),
                let network = IPPrefix(
                    address, length: mask.reduce(0) { $0 + $1.nonzeroBitCount })
            else { continue }
            entries.append(
                Entry(
                    interface: unsafe String(cString: entry.pointee.ifa_name), address: address,
                    network: network))
        }
        return entries
    }

    /// The bytes of an address or mask in network order: 4, 16, or `nil` for other families.
    private static func bytes(_ address: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
        guard let address = unsafe address else { return nil }
        switch Int32(unsafe address.pointee.sa_family) {
        case AF_INET:
            return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                unsafe withUnsafeBytes(of: address.pointee.sin_addr) { unsafe Array($0) }
            }
        case AF_INET6:
            return unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                unsafe withUnsafeBytes(of: address.pointee.sin6_addr) { unsafe Array($0) }
            }
        default: return nil
        }
    }
}
