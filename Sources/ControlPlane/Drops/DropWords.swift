// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Words for an example of a dropped frame:
/// `192.0.2.77:4431 -> 203.0.113.53:53/udp, outside source_ranges of dns`.
struct DropWords {
    private let services: [UInt16: ServiceView]
    private let backends: [UInt16: BackendView]

    /// Words by the names of a view.
    init(_ view: ControlView) {
        services = Dictionary(view.services.map { ($0.id, $0) }) { first, _ in first }
        backends = Dictionary(view.services.flatMap(\.backends).map { ($0.id, $0) }) { first, _ in
            first
        }
    }

    /// The example as a line.
    func text(_ example: DropExample) -> String {
        if let nextHop = example.nextHop {
            return "a frame for next hop \(nextHop), which was not resolved"
        }
        let why = why(example)
        guard let flow = example.flow else { return why }
        return "\(Self.text(flow)), \(why)"
    }

    /// `A:PORT -> B:PORT/PROTOCOL`; without ports where there are none.
    static func text(_ flow: FiveTuple) -> String {
        let hasPorts = flow.transport != nil && (flow.sourcePort != 0 || flow.destinationPort != 0)
        let from = Endpoint(address: flow.source, port: hasPorts ? flow.sourcePort : nil)
        let to = Endpoint(address: flow.destination, port: hasPorts ? flow.destinationPort : nil)
        let name: String
        switch flow.transportNumber {
        case 1: name = "icmp"
        case 58: name = "icmpv6"
        default: name = flow.transport?.description ?? "protocol \(flow.transportNumber)"
        }
        return "\(from) -> \(to)/\(name)"
    }

    private func why(_ example: DropExample) -> String {
        let told = example.wasAnswered ? "; the client was told" : ""
        switch example.reason {
        case .malformed: return "a header contradicts the frame"
        case .badChecksum: return "the checksum of the IPv4 header or of ICMP is wrong"
        case .badSource: return "the source cannot be a client"
        case .options: return "a source route, or options that contradict themselves"
        case .fragment: return "a fragment of no packet that is known"
        case .notIP: return "no IP, or none of TCP, UDP and ICMP"
        case .noService: return "no service is there"
        case .noBackend: return "no backend of \(service(example)) is eligible\(told)"
        case .noConnection: return noConnection(example)
        case .policy: return policy(example)
        case .rateLimited: return "above a bound of new connections or of ICMP"
        case .connectionTableFull:
            return "no entry was left for a connection of \(service(example))"
        case .snatExhausted: return "no SNAT port was left towards \(backend(example))"
        case .ttlExpired: return "its time to live ran out\(told)"
        case .tooBig: return tooBig(example)
        case .noNeighbour: return "the next hop is not resolved, or too many frames wait for it"
        case .txFull: return "the TX ring, or the ring to another worker, was full"
        }
    }

    private func noConnection(_ example: DropExample) -> String {
        let flags = example.tcpFlags
        let segment =
            flags.contains(.rst)
            ? "RST" : flags.contains(.fin) ? "FIN" : flags.contains(.ack) ? "ACK" : "packet"
        let owner = example.service.map { _ in " of \(service(example))" } ?? ""
        return "\(segment) of no tracked connection\(owner)"
    }

    private func policy(_ example: DropExample) -> String {
        example.service == nil
            ? "it claims an MTU below 1280" : "outside source_ranges of \(service(example))"
    }

    private func tooBig(_ example: DropExample) -> String {
        var size = "\(example.packetLength)"
        if let id = example.backend, let backend = backends[id], mode(example) == .dsr {
            size += backend.configuration.address.family == .ipv4 ? " + 20" : " + 40"
        }
        return "\(size) bytes over the MTU" + (example.wasAnswered ? "; ICMP sent" : "")
    }

    private func mode(_ example: DropExample) -> ForwardingMode? {
        example.service.flatMap { services[$0]?.configuration.mode }
    }

    private func service(_ example: DropExample) -> String {
        example.service.map { services[$0]?.configuration.name ?? "a deleted service" } ?? "?"
    }

    private func backend(_ example: DropExample) -> String {
        example.backend.map { backends[$0]?.configuration.name ?? "a removed backend" } ?? "?"
    }
}
