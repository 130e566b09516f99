// SPDX-License-Identifier: Apache-2.0

/// How far a connection is, as far as a middlebox can tell.
///
/// In `dsr` only the client's packets are seen, so a connection is established with the client's
/// first ACK and closing with its FIN.
public enum ConnectionState: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// The entry is free.
    case free
    /// TCP: the client's SYN was seen, the handshake is not complete.
    case opening
    /// TCP: the handshake is complete.
    case established
    /// TCP: one side has sent a FIN.
    case closing
    /// TCP: both sides have sent a FIN.
    case closed
    /// TCP: one side has sent a RST, which may be forged (RFC 7857 §2.2).
    case reset
    /// UDP.
    case datagram

    /// The word for it in output.
    public var token: String {
        switch self {
        case .free: "free"
        case .opening: "opening"
        case .established: "established"
        case .closing: "closing"
        case .closed: "closed"
        case .reset: "reset"
        case .datagram: "udp"
        }
    }

    /// Whether the transitory timeout applies (RFC 5382 §5): not a connection in use, so it makes
    /// room for one when the table is full.
    @inline(__always)
    var isTransitory: Bool {
        switch self {
        case .opening, .closing, .closed, .reset: true
        case .free, .established, .datagram: false
        }
    }

    /// Whether a SYN from the client starts over: a client may use a port again right away.
    @inline(__always)
    var isReopenable: Bool {
        switch self {
        case .closing, .closed, .reset: true
        case .free, .opening, .established, .datagram: false
        }
    }

    /// The idle timeout in milliseconds.
    @inline(__always)
    func timeout(_ timeouts: ForwardingPlan.Timeouts) -> UInt32 {
        switch self {
        case .established: timeouts.tcpEstablished
        case .datagram: timeouts.udp
        default: timeouts.tcpTransitory
        }
    }
}

extension ConnectionEntry {
    /// Whether a segment or datagram, from either side, changes nothing about the connection.
    @inline(__always)
    func goesOn(with segment: TCPFlags) -> Bool {
        state == .datagram
            || state == .established && segment.isDisjoint(with: [.syn, .fin, .rst])
    }

    /// Follows a segment or datagram from the client.
    @inline(__always)
    mutating func advanceFromClient(_ segment: TCPFlags) {
        guard state != .datagram else { return }
        if segment.contains(.rst) {
            state = .reset
        } else if segment.contains(.fin) {
            flags |= Flag.clientFinished
            if state != .reset {
                state = flags & Flag.backendFinished != 0 ? .closed : .closing
            }
        } else if state == .opening, segment.contains(.ack), !segment.contains(.syn),
            mode == .dsr || flags & Flag.replied != 0
        {
            state = .established
        }
    }

    /// Follows a segment or datagram from the backend (`snat`).
    @inline(__always)
    mutating func advanceFromBackend(_ segment: TCPFlags) {
        flags |= Flag.replied
        guard state != .datagram else { return }
        if segment.contains(.rst) {
            state = .reset
        } else if segment.contains(.fin) {
            flags |= Flag.backendFinished
            if state != .reset {
                state = flags & Flag.clientFinished != 0 ? .closed : .closing
            }
        }
    }
}
