// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane

/// A socket of this host that waits for packets from anybody.
struct Listener: Equatable, Sendable {
    var address: IPAddress
    var port: UInt16
    var transport: TransportProtocol

    /// Those of this network namespace.
    static func all() -> [Listener] {
        ["tcp", "tcp6", "udp", "udp6"].flatMap { name in
            read(KernelText.file("/proc/net/\(name)") ?? "", name.hasPrefix("tcp") ? .tcp : .udp)
        }
    }

    /// Those in a table of /proc/net (proc(5)).
    static func read(_ table: String, _ transport: TransportProtocol) -> [Listener] {
        // TCP_LISTEN; and TCP_CLOSE, which an unconnected UDP socket has.
        let state = transport == .tcp ? "0A" : "07"
        return table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count > 3, fields[3] == state else { return nil }
            let parts = fields[1].split(separator: ":")
            guard parts.count == 2, let address = address(parts[0]),
                let port = UInt16(parts[1], radix: 16)
            else { return nil }
            return Listener(address: address, port: port, transport: transport)
        }
    }

    /// Words of 32 bits as the host stores those that lie in network order.
    private static func address(_ digits: Substring) -> IPAddress? {
        var bytes: [UInt8] = []
        var rest = digits
        while !rest.isEmpty {
            guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
            let stored = word.littleEndian
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: stored >> (8 * $0)) }
            rest = rest.dropFirst(8)
        }
        return IPAddress(bytes: bytes)
    }
}
