// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// The client's end of one TCP connection to a VIP, small enough for a probe (RFC 9293).
///
/// The kernel cannot have this connection: its packets would leave without the tunnel. Nothing is
/// sent twice, as a probe that loses a packet has failed, and has further ones coming; what comes
/// out of order is asked for again. It ends by a reset, so that the backend keeps nothing of it.
struct TunnelStream {
    /// What a segment leads to.
    enum Event: Equatable {
        case nothing
        case opened
        case data([UInt8])
        /// The backend sends no more.
        case ended
        case refused
    }

    /// Control bits (RFC 9293 §3.1).
    struct Flags {
        static let fin: UInt8 = 0x01
        static let syn: UInt8 = 0x02
        static let rst: UInt8 = 0x04
        static let psh: UInt8 = 0x08
        static let ack: UInt8 = 0x10
    }

    /// Most data of a segment: what fits every tunnel over a link of the least MTU of IPv6.
    private static let segmentSize = 1140

    private let source: IPAddress
    private let destination: IPAddress
    private let ports: UInt32
    private var sendNext: UInt32
    private var receiveNext: UInt32 = 0
    private var isOpen = false
    private var isOver = false

    /// A connection that is not open yet.
    init(
        from source: IPAddress, port: UInt16, to destination: IPAddress,
        port destinationPort: UInt16,
        initialSequence: UInt32
    ) {
        self.source = source
        self.destination = destination
        ports = UInt32(port) << 16 | UInt32(destinationPort)
        sendNext = initialSequence
    }

    /// The first segment.
    mutating func open() -> InnerPacket {
        defer { sendNext &+= 1 }
        // One option: the maximum segment size, in two words.
        let option = UInt32(0x0204) << 16 | UInt32(Self.segmentSize)
        return segment(Flags.syn, options: [option])
    }

    /// Segments with data.
    mutating func send(_ bytes: [UInt8]) -> [InnerPacket] {
        stride(from: 0, to: bytes.count, by: Self.segmentSize).map { start in
            let data = bytes[start..<min(start + Self.segmentSize, bytes.count)]
            defer { sendNext &+= UInt32(data.count) }
            return segment(Flags.ack | Flags.psh, data: Array(data))
        }
    }

    /// Ends it, whatever its state.
    func reset() -> InnerPacket { segment(isOpen ? Flags.rst | Flags.ack : Flags.rst) }

    /// Takes what came from the VIP.
    ///
    /// - Returns: What it leads to, and what is answered at once.
    mutating func receive(_ packet: InnerPacket) -> (event: Event, answer: InnerPacket?) {
        let segment = packet.payload[...]
        guard packet.transport == InnerPacket.tcp, segment.count >= 20 else {
            return (.nothing, nil)
        }
        let sequence: UInt32 = WireBytes.number(segment, at: 4)
        let acknowledged: UInt32 = WireBytes.number(segment, at: 8)
        let flags = segment[13]
        let dataStart = Int(segment[12] >> 4) * 4
        guard dataStart >= 20, dataStart <= segment.count, !isOver else { return (.nothing, nil) }
        guard isOpen else { return opening(flags, sequence, acknowledged) }
        if flags & Flags.rst != 0 {
            guard sequence == receiveNext else { return (.nothing, nil) }
            isOver = true
            return (.ended, nil)
        }
        let data = Array(segment[dataStart...])
        let isEnd = flags & Flags.fin != 0
        guard !data.isEmpty || isEnd else { return (.nothing, nil) }
        guard sequence == receiveNext else { return (.nothing, self.segment(Flags.ack)) }
        receiveNext &+= UInt32(data.count) &+ (isEnd ? 1 : 0)
        isOver = isEnd
        let answer = self.segment(Flags.ack)
        // The last data and the end may come together: data first, the end is in its emptiness.
        return (isEnd && data.isEmpty ? .ended : .data(data), answer)
    }

    /// Whether the backend has said that it sends no more.
    var hasEnded: Bool { isOver }

    private mutating func opening(
        _ flags: UInt8, _ sequence: UInt32, _ acknowledged: UInt32
    ) -> (event: Event, answer: InnerPacket?) {
        guard flags & Flags.ack != 0, acknowledged == sendNext else {
            // Of a connection that this port had before: the backend is told to forget it.
            guard flags & Flags.ack != 0, flags & Flags.rst == 0 else { return (.nothing, nil) }
            var old = self
            old.sendNext = acknowledged
            return (.nothing, old.segment(Flags.rst))
        }
        if flags & Flags.rst != 0 {
            isOver = true
            return (.refused, nil)
        }
        guard flags & Flags.syn != 0 else { return (.nothing, nil) }
        receiveNext = sequence &+ 1
        isOpen = true
        return (.opened, segment(Flags.ack))
    }

    private func segment(
        _ flags: UInt8, options: [UInt32] = [], data: [UInt8] = []
    ) -> InnerPacket {
        var bytes = WireBytes()
        bytes.put(ports)
        bytes.put(sendNext)
        bytes.put(flags & Flags.ack != 0 ? receiveNext : 0)
        bytes.put(UInt8((5 + options.count) << 4))
        bytes.put(flags)
        bytes.put(UInt16.max)
        bytes.put(UInt32(0))
        for option in options { bytes.put(option) }
        bytes.bytes += data
        return InnerPacket(source, destination, InnerPacket.tcp, bytes.bytes, checksumOffset: 16)
    }
}
