// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// Words a trace: what each stage looked up, and what it found.
public struct TraceWriter: Sendable {
    /// What numbers of services and backends stand for.
    public struct Names: Sendable {
        /// A service: name, mode and affinity.
        public var service: @Sendable (UInt16) -> String?
        /// A backend: name and address.
        public var backend: @Sendable (UInt16) -> String?
        /// How it stands: `active, weight 100`.
        public var backendState: @Sendable (UInt16) -> String

        /// Names by their look-ups.
        public init(
            service: @escaping @Sendable (UInt16) -> String?,
            backend: @escaping @Sendable (UInt16) -> String?,
            backendState: @escaping @Sendable (UInt16) -> String
        ) {
            self.service = service
            self.backend = backend
            self.backendState = backendState
        }
    }

    /// A backend as a trace calls it: its name, and its address when that is another word.
    static func text(of backend: BackendConfiguration) -> String {
        let endpoint = backend.endpoint.description
        return backend.name == endpoint ? endpoint : "\(backend.name) \(endpoint)"
    }

    /// How a backend stands, in words.
    static func state(of backend: BackendConfiguration) -> String {
        "\(backend.adminState.rawValue), weight \(backend.weight)"
    }

    let plan: ForwardingPlan
    let interface: String
    let names: Names

    /// A writer for traces of a plan.
    public init(plan: ForwardingPlan, interface: String, names: Names) {
        self.plan = plan
        self.interface = interface
        self.names = names
    }

    /// The document.
    ///
    /// - Parameters:
    ///   - packet: What was asked about.
    ///   - facts: What looking it up found.
    ///   - connection: The connection it belongs to.
    ///   - outcome: What the pipeline did with it.
    /// - Returns: The document.
    public func document(
        _ packet: ProbePacket, _ facts: TraceFacts, _ connection: ConnectionRecord?,
        _ outcome: TraceOutcome
    ) -> TraceDocument {
        var steps = [steering(facts, outcome)]
        if facts.steering == .redirect {
            steps.append(parse(packet, facts))
            if let id = facts.service { steps.append(service(id)) }
            if facts.flow != nil, facts.service != nil || outcome.service != nil {
                let isLeft = connection.map { $0.backend != outcome.backend ?? $0.backend } ?? true
                steps.append(self.connection(connection, isLeft: isLeft))
                if isLeft, let maglev = maglev(facts) { steps.append(maglev) }
            }
            if let first = outcome.frames.first, let summary = FrameSummary(first) {
                steps.append(rewrite(packet, summary))
                steps.append(nextHop(summary))
            }
        }
        var document = TraceDocument(
            generation: plan.generation, flow: text(of: packet), verdict: "", reason: "",
            service: (facts.service ?? outcome.service).flatMap(names.service),
            backend: outcome.backend.flatMap(names.backend), steps: steps,
            frames: outcome.frames.map(Self.hex))
        switch outcome.verdict {
        case .transmit: document.verdict = "tx"
        case .pass: document.verdict = "pass"
        case .wait: document.verdict = "wait"
        case .drop(let reason):
            document.verdict = "drop"
            document.reason = reason
        }
        return document
    }

    private func steering(_ facts: TraceFacts, _ outcome: TraceOutcome) -> TraceDocument.Step {
        guard facts.steering == .redirect else {
            let why = facts.isForVIP ? "is none of ours at this VIP" : "matches no service or reply"
            return .init(stage: "steering", text: "\(interface): \(why) -> the kernel, unchanged")
        }
        let what =
            (facts.service ?? outcome.service).flatMap(names.service)
            ?? (facts.isForVIP ? "a VIP" : "a reply or an error for a connection")
        return .init(
            stage: "steering",
            text: "\(interface): matches \(what) -> redirect to the socket of the queue")
    }

    private func parse(_ packet: ProbePacket, _ facts: TraceFacts) -> TraceDocument.Step {
        if let refusal = facts.refusal {
            return .init(stage: "parse", text: "refused: \(refusal.token)")
        }
        let family = packet.flow.source.family == .ipv4 ? "IPv4" : "IPv6"
        return .init(
            stage: "parse", text: "\(family), \(kind(of: packet)), \(packet.byteCount) bytes")
    }

    private func service(_ id: UInt16) -> TraceDocument.Step {
        let service = plan.services.first { $0.id == id }
        var text = "\(names.service(id) ?? "service \(id)"), \(service?.mode.description ?? "")"
        switch service?.affinity {
        case .clientAddress: text += ", affinity client_address"
        case .destinationPort: text += ", affinity destination_port"
        case .quicConnectionID: text += ", affinity quic_cid"
        case .fiveTuple, nil: break
        }
        return .init(stage: "service", text: text)
    }

    /// The connection that a packet belongs to; `isLeft` when it goes to another backend all the
    /// same, as that one takes no such packets any more.
    private func connection(_ record: ConnectionRecord?, isLeft: Bool) -> TraceDocument.Step {
        guard let record else { return .init(stage: "connection", text: "miss") }
        let backend = names.backend(record.backend) ?? "backend \(record.backend)"
        let idle = Double(record.idleMilliseconds) / 1000
        return .init(
            stage: "connection",
            text: """
                hit on worker \(record.worker): \(record.state.token), pinned to \(backend), \
                \(record.mode), idle \(Int(idle.rounded()))s, \(record.packets) packets\
                \(isLeft ? "; begun anew, as that backend does not take it" : "")
                """)
    }

    private func maglev(_ facts: TraceFacts) -> TraceDocument.Step? {
        guard let slot = facts.slot else { return nil }
        let hash = String(facts.hash >> 32, radix: 16)
        let padded = String(repeating: "0", count: 8 - hash.count) + hash
        let owner =
            facts.slotBackend.map {
                "\(names.backend($0) ?? "backend \($0)") (\(names.backendState($0)))"
            } ?? "nobody: no backend is eligible"
        return .init(
            stage: "maglev",
            text: "hash \(padded) -> slot \(slot.index) of \(slot.count) -> \(owner)")
    }

    private func rewrite(_ packet: ProbePacket, _ sent: FrameSummary) -> TraceDocument.Step {
        let out = sent.packet
        let tail = "TTL \(out.timeToLive), \(out.byteCount) bytes (MTU \(plan.link.mtu))"
        if out.isTunnel {
            return .init(
                stage: "rewrite",
                text: """
                    outer \(out.source) -> \(out.destination), protocol \(out.transport), \(tail)
                    """)
        }
        if out.destination == packet.flow.source, out.source == packet.flow.destination {
            return .init(
                stage: "answer",
                text: "\(out.source) -> \(out.destination), \(answer(out)), \(tail)")
        }
        let ports = (out.firstWord >> 16, out.firstWord & 0xffff)
        let from = Endpoint(address: out.source, port: UInt16(ports.0))
        let to = Endpoint(address: out.destination, port: UInt16(ports.1))
        return .init(stage: "rewrite", text: "\(from) -> \(to), \(tail)")
    }

    private func answer(_ packet: FrameSummary.Packet) -> String {
        let type = packet.firstWord >> 24
        let code = packet.firstWord >> 16 & 0xff
        switch packet.transport {
        case 6: return "TCP RST"
        case 1, 58: return "ICMP type \(type) code \(code)"
        default: return "protocol \(packet.transport)"
        }
    }

    private func nextHop(_ sent: FrameSummary) -> TraceDocument.Step {
        let known = plan.nextHops.first { $0.mac == sent.macDestination }
        let vlan = sent.vlan.map { ", VLAN \($0)" } ?? ""
        let who = known.map { "\($0.address) at " } ?? ""
        return .init(
            stage: "next hop",
            text: "\(who)\(sent.macDestination) on \(interface)\(vlan) (resolved)")
    }

    private func kind(of packet: ProbePacket) -> String {
        if packet.isEcho { return "ICMP echo request" }
        guard packet.flow.transport == .tcp else { return "UDP" }
        let letters: [(TCPFlags, String)] = [
            (.syn, "SYN"), (.ack, "ACK"), (.fin, "FIN"), (.rst, "RST"), (.psh, "PSH"),
        ]
        return "TCP "
            + letters.filter { packet.flags.contains($0.0) }.map(\.1).joined(separator: "+")
    }

    private func text(of packet: ProbePacket) -> String {
        packet.isEcho
            ? "icmp \(packet.flow.source) > \(packet.flow.destination)"
            : packet.flow.description
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
