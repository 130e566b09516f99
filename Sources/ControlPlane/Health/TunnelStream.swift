// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// The client's end of one TCP connection to a VIP, small enough for a probe (RFC 9293).
///
/// The kernel cannot have this connection: its packets would leave without the tunnel. A probe that
/// loses a packet has failed, and has further ones coming, so nothing is sent again for having been
/// lost; what comes out of order is asked for again. It ends by a reset, so that the backend keeps
/// nothing of it. Should it keep something nevertheless, because that reset was lost, the next
/// connection from the port gets rid of it and goes on (RFC 9293 §3.5.1).
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
    private let initialSequence: UInt32
    private var sendNext: UInt32
    /// The first that the backend has not acknowledged.
    private var unacknowledged: UInt32
    private var receiveNext: UInt32 = 0
    private var isOpen = false
    private var isOver = false
    private var hasBegunAgain = false

    /// A connection that is not open yet.
    init(
        from source: IPAddress, port: UInt16, to destination: IPAddress,
        port destinationPort: UInt16,
        initialSequence: UInt32
    ) {
        self.source = source
        self.destination = destination
        ports = UInt32(port) << 16 | UInt32(destinationPort)
        self.initialSequence = initialSequence
        sendNext = initialSequence
        unacknowledged = initialSequence
    }

    /// The first segment.
    mutating func open() -> InnerPacket {
        sendNext = initialSequence &+ 1
        unacknowledged = sendNext
        // One option: the maximum segment size, in two words.
        let option = UInt32(0x0204) << 16 | UInt32(Self.segmentSize)
        return segment(Flags.syn, at: initialSequence, options: [option])
    }

    /// Segments with data.
    mutating func send(_ bytes: [UInt8]) -> [InnerPacket] {
        stride(from: 0, to: bytes.count, by: Self.segmentSize).map { start in
            let data = bytes[start..<min(start + Self.segmentSize, bytes.count)]
            defer { sendNext &+= UInt32(data.count) }
            return segment(Flags.ack | Flags.psh, at: sendNext, data: Array(data))
        }
    }

    /// What ends it, whatever its state.
    ///
    /// A backend heeds a reset only at the very number it waits for (RFC 9293 §3.10.7.4). Data that
    /// it has not acknowledged may be lost or not: there is a reset for either case.
    func reset() -> [InnerPacket] {
        let flags = isOpen ? Flags.rst | Flags.ack : Flags.rst
        let numbers = unacknowledged == sendNext ? [sendNext] : [unacknowledged, sendNext]
        return numbers.map { segment(flags, at: $0) }
    }

    /// Takes what came from the VIP.
    ///
    /// - Returns: What it leads to, and what is answered at once.
    mutating func receive(_ packet: InnerPacket) -> (event: Event, answers: [InnerPacket]) {
        let segment = packet.payload[...]
        guard packet.transport == InnerPacket.tcp, segment.count >= 20 else {
            return (.nothing, [])
        }
        let sequence: UInt32 = WireBytes.number(segment, at: 4)
        let acknowledged: UInt32 = WireBytes.number(segment, at: 8)
        let flags = segment[13]
        let dataStart = Int(segment[12] >> 4) * 4
        guard dataStart >= 20, dataStart <= segment.count, !isOver else { return (.nothing, []) }
        guard isOpen else { return opening(flags, sequence, acknowledged) }
        if flags & Flags.rst != 0 {
            guard sequence == receiveNext else { return (.nothing, []) }
            isOver = true
            return (.ended, [])
        }
        if flags & Flags.ack != 0, acknowledged &- unacknowledged <= sendNext &- unacknowledged {
            unacknowledged = acknowledged
        }
        let data = Array(segment[dataStart...])
        let isEnd = flags & Flags.fin != 0
        guard !data.isEmpty || isEnd else { return (.nothing, []) }
        guard sequence == receiveNext else { return (.nothing, [acknowledgement]) }
        receiveNext &+= UInt32(data.count) &+ (isEnd ? 1 : 0)
        isOver = isEnd
        // The last data and the end may come together: data first, the end is in its emptiness.
        return (isEnd && data.isEmpty ? .ended : .data(data), [acknowledgement])
    }

    /// Whether the backend has said that it sends no more.
    var hasEnded: Bool { isOver }

    private mutating func opening(
        _ flags: UInt8, _ sequence: UInt32, _ acknowledged: UInt32
    ) -> (event: Event, answers: [InnerPacket]) {
        guard flags & Flags.ack != 0, acknowledged == sendNext else {
            // Of a connection that this port had before, which the backend still has: it is told to
            // forget it, and asked again. Once, as a host that answers all with this has no end.
            guard flags & Flags.ack != 0, flags & Flags.rst == 0 else { return (.nothing, []) }
            let reset = segment(Flags.rst, at: acknowledged)
            guard !hasBegunAgain else { return (.nothing, [reset]) }
            hasBegunAgain = true
            return (.nothing, [reset, open()])
        }
        if flags & Flags.rst != 0 {
            isOver = true
            return (.refused, [])
        }
        guard flags & Flags.syn != 0 else { return (.nothing, []) }
        receiveNext = sequence &+ 1
        isOpen = true
        return (.opened, [acknowledgement])
    }

    private var acknowledgement: InnerPacket { segment(Flags.ack, at: sendNext) }

    private func segment(
        _ flags: UInt8, at sequence: UInt32, options: [UInt32] = [], data: [UInt8] = []
    ) -> InnerPacket {
        var bytes = WireBytes()
        bytes.put(ports)
        bytes.put(sequence)
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
