// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// The packet that `xdplb trace` asks about, in words: `tcp 10.0.0.9:4444 > 40.1.1.1:80`.
public struct TraceRequest: Codable, Equatable, Sendable {
    /// `tcp`, `udp` or `icmp`, the source, `>`, the destination.
    public var flow: String
    /// Letters of TCP's control bits: `S`, `SA`, `A`, `F`, `R`, `P`.
    public var flags: String?
    /// Bytes of the IP packet.
    public var size: Int?

    /// A request of its parts.
    public init(flow: String, flags: String? = nil, size: Int? = nil) {
        self.flow = flow
        self.flags = flags
        self.size = size
    }

    /// Bytes of a packet when none are given.
    private static let usualSize = 60

    /// The packet that is meant.
    ///
    /// - Throws: ``ChangeRefused`` with what was expected.
    public func packet() throws(ChangeRefused) -> ProbePacket {
        let words = flow.split(separator: " ").map(String.init)
        guard words.count == 4, words[2] == ">", ["tcp", "udp", "icmp"].contains(words[0]) else {
            throw Self.refused(
                """
                '\(flow)' is not 'tcp|udp SOURCE:PORT > VIP:PORT' or 'icmp SOURCE > VIP', such as \
                'tcp 10.0.0.9:4444 > 40.1.1.1:80'
                """)
        }
        let isEcho = words[0] == "icmp"
        let source = try endpoint(words[1], hasPort: !isEcho)
        let destination = try endpoint(words[3], hasPort: !isEcho)
        guard source.address.family == destination.address.family else {
            throw Self.refused("\(source) and \(destination) are of different families")
        }
        var packet = ProbePacket(
            flow: FiveTuple(
                source: source.address, sourcePort: source.port ?? 0,
                destination: destination.address, destinationPort: destination.port ?? 0,
                transport: words[0] == "tcp" ? .tcp : .udp),
            flags: try controlBits(isTCP: words[0] == "tcp"), isEcho: isEcho, byteCount: 0)
        let most = 9000
        packet.byteCount = size ?? max(Self.usualSize, packet.leastByteCount)
        guard (packet.leastByteCount...most).contains(packet.byteCount) else {
            throw Self.refused(
                "size \(packet.byteCount) is not within \(packet.leastByteCount)...\(most)")
        }
        return packet
    }

    private func endpoint(_ text: String, hasPort: Bool) throws(ChangeRefused) -> Endpoint {
        guard let endpoint = Endpoint(text), (endpoint.port != nil) == hasPort else {
            throw Self.refused(
                "'\(text)' is not an address\(hasPort ? " with port" : " without port")")
        }
        return endpoint
    }

    private func controlBits(isTCP: Bool) throws(ChangeRefused) -> TCPFlags {
        guard let flags else { return .syn }
        guard isTCP else { throw Self.refused("flags are for tcp") }
        var bits = TCPFlags(rawValue: 0)
        for letter in flags.uppercased() {
            switch letter {
            case "F": bits.insert(.fin)
            case "S": bits.insert(.syn)
            case "R": bits.insert(.rst)
            case "P": bits.insert(.psh)
            case "A": bits.insert(.ack)
            default: throw Self.refused("flag '\(letter)' is not one of F, S, R, P, A")
            }
        }
        return bits
    }

    private static func refused(_ message: String) -> ChangeRefused {
        ChangeRefused(kind: .invalid, code: "trace", message: message, location: "flow")
    }
}

extension TraceRequest: ChangeBody {
    package static let members: Set<String> = ["flow", "flags", "size"]
}
