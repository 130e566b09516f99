// SPDX-License-Identifier: Apache-2.0

/// Whose packets a connection has, by number: in one word, as they are mostly passed on together.
struct Parties: BitwiseCopyable {
    /// The number of no service.
    static let noService = UInt16.max

    var backend = MaglevTable.nobody
    var service = noService
}

/// The record that pins a flow to a backend: one cache line.
///
/// Free of pointers, so that the table can move to another process as it is. `key` is the flow
/// from the client to the VIP; replies of `snat` are compared with `backend` and the SNAT port.
struct ConnectionEntry: BitwiseCopyable {
    /// Bits of ``flags``.
    enum Flag {
        /// The backend has answered (`snat`).
        static let replied: UInt8 = 1
        /// The client has sent a FIN.
        static let clientFinished: UInt8 = 2
        /// The backend has sent a FIN (`snat`).
        static let backendFinished: UInt8 = 4
    }

    /// With what ``rewrite`` is, in the words that a key of IPv4 leaves free.
    var key: FiveTuple
    private(set) var parties: Parties
    /// ``BackendRecord/epoch`` when the entry was made.
    var backendEpoch: UInt16
    /// In host byte order; 0 in `dsr`.
    var snatPort: UInt16
    /// Time of the latest packet.
    ///
    /// In a free entry, the index of the next free one.
    var lastSeen: UInt32
    var created: UInt32
    /// Packets of both directions, modulo 2³².
    var packets: UInt32
    var snatAddress: UInt16
    var state: ConnectionState
    /// Mode in the uppermost bit, ``Flag`` in the others.
    private var modeAndFlags: UInt8

    private static let snatBit: UInt8 = 0x80

    @inline(__always)
    init(
        key: FiveTuple, service: UInt16, backend: UInt16, backendEpoch: UInt16,
        mode: ForwardingMode, state: ConnectionState, snatAddress: UInt16, snatPort: UInt16,
        tick: Tick
    ) {
        self.key = key
        parties = Parties(backend: backend, service: service)
        self.backendEpoch = backendEpoch
        self.snatPort = snatPort
        self.snatAddress = snatAddress
        self.state = state
        lastSeen = tick.milliseconds
        created = tick.milliseconds
        packets = 0
        modeAndFlags = mode == .snat ? Self.snatBit : 0
    }

    static let free = ConnectionEntry(
        key: .zero, service: 0, backend: 0, backendEpoch: 0, mode: .dsr, state: .free,
        snatAddress: 0, snatPort: 0, tick: Tick(milliseconds: 0))

    @inline(__always) var backend: UInt16 { parties.backend }
    @inline(__always) var service: UInt16 { parties.service }

    /// What is made of the client's packets, of IPv4 in `snat`; meaningless in others.
    @inline(__always) var rewrite: IPv4Rewrite {
        get { IPv4Rewrite(words: (key.rest.0, key.rest.1)) }
        set { (key.rest.0, key.rest.1) = newValue.words }
    }

    @inline(__always) var mode: ForwardingMode {
        modeAndFlags & Self.snatBit == 0 ? .dsr : .snat
    }

    @inline(__always) var flags: UInt8 {
        get { modeAndFlags & ~Self.snatBit }
        set { modeAndFlags = modeAndFlags & Self.snatBit | newValue & ~Self.snatBit }
    }
}
