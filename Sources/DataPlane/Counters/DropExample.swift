// SPDX-License-Identifier: Apache-2.0

/// A frame that was dropped, for people who ask what kind of frames that are.
public struct DropExample: Hashable, Sendable, BitwiseCopyable {
    /// Words of memory that one takes, with the number that guards it.
    static let wordCount = 8

    /// Why it was dropped.
    public var reason: DropReason
    /// Its flow, as far as it could be read; `nil` when nothing could be.
    public var flow: FiveTuple?
    /// The next hop it waited for, when nothing else of it is known.
    public var nextHop: IPAddress?
    /// Number of its service, once it was known.
    public var service: UInt16?
    /// Number of its backend, once it was known.
    public var backend: UInt16?
    /// Bytes of its IP packet.
    public var packetLength: UInt16
    /// Control bits of a TCP segment.
    public var tcpFlags: TCPFlags
    /// Whether its sender was told.
    public var wasAnswered: Bool
    /// When that was.
    public var tick: Tick

    /// An example of its parts.
    public init(
        reason: DropReason, flow: FiveTuple?, service: UInt16? = nil, backend: UInt16? = nil,
        packetLength: UInt16 = 0, tcpFlags: TCPFlags = [], wasAnswered: Bool = false, tick: Tick
    ) {
        self.reason = reason
        self.flow = flow
        self.service = service
        self.backend = backend
        self.packetLength = packetLength
        self.tcpFlags = tcpFlags
        self.wasAnswered = wasAnswered
        self.tick = tick
        nextHop = nil
    }

    /// A frame of which no more is known than the next hop it waited for.
    init(nextHop: IPAddress, reason: DropReason, tick: Tick) {
        self.init(reason: reason, flow: nil, tick: tick)
        self.nextHop = nextHop
    }
}

extension DropExample {
    /// What the fields hold that may be empty.
    private enum Mark {
        static let flow: UInt64 = 1
        static let nextHop: UInt64 = 2
        static let answered: UInt64 = 4
    }

    typealias Words = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// All of it but the reason, to be kept.
    var words: Words {
        var marks: UInt64 = wasAnswered ? Mark.answered : 0
        var tuple = flow ?? .zero
        if flow != nil { marks |= Mark.flow }
        if let nextHop {
            marks |= Mark.nextHop
            tuple = FiveTuple(source: nextHop, destination: nextHop, ports: 0, transport: 0)
        }
        let flowWords = tuple.words
        let parties =
            UInt64(service ?? Parties.noService) << 16
            | UInt64(backend ?? MaglevTable.nobody)
        return (
            UInt64(tick.milliseconds) << 32 | parties,
            UInt64(packetLength) << 16 | UInt64(tcpFlags.rawValue) << 8 | marks,
            flowWords.0, flowWords.1, flowWords.2, flowWords.3, flowWords.4
        )
    }

    /// The example whose ``words`` were kept.
    init(reason: DropReason, words: Words) {
        let tuple = FiveTuple(words: (words.2, words.3, words.4, words.5, words.6))
        let service = UInt16(truncatingIfNeeded: words.0 >> 16)
        let backend = UInt16(truncatingIfNeeded: words.0)
        self.init(
            reason: reason, flow: words.1 & Mark.flow != 0 ? tuple : nil,
            service: service == Parties.noService ? nil : service,
            backend: backend == MaglevTable.nobody ? nil : backend,
            packetLength: UInt16(truncatingIfNeeded: words.1 >> 16),
            tcpFlags: TCPFlags(rawValue: UInt8(truncatingIfNeeded: words.1 >> 8)),
            wasAnswered: words.1 & Mark.answered != 0,
            tick: Tick(milliseconds: UInt32(truncatingIfNeeded: words.0 >> 32)))
        if words.1 & Mark.nextHop != 0 { nextHop = tuple.source }
    }
}

extension Batch {
    /// Keeps the frame at an index as the example of why frames are dropped, unless there is one
    /// of just before.
    @inline(never)
    public func noteDrop(
        _ index: Int, for reason: DropReason, in counters: CounterPage, at tick: Tick
    ) {
        guard counters.wantsExample(of: reason, at: tick) else { return }
        let packet = self[index]
        counters.note(
            DropExample(
                reason: reason, flow: packet.flow == .zero ? nil : packet.flow,
                service: packet.service == Parties.noService ? nil : packet.service,
                backend: packet.backend == MaglevTable.nobody ? nil : packet.backend,
                packetLength: packet.layout.packetLength, tcpFlags: packet.layout.tcpFlags,
                wasAnswered: answeredReason(at: index) != nil, tick: tick))
    }

    /// The same for a frame by its place among those to transmit.
    public func noteDrop(
        outgoing place: Int, for reason: DropReason, in counters: CounterPage, at tick: Tick
    ) {
        var left = place
        for index in 0..<count where self[index].verdict == .transmit {
            if left == 0 { return noteDrop(index, for: reason, in: counters, at: tick) }
            left -= 1
        }
    }
}
