// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import DataPlane
internal import Glibc

/// A port of the interface's address that no other program uses, and at which the kernel is silent.
///
/// A socket that takes nothing in stands there: without it the kernel would answer what comes from
/// a VIP with a reset or an ICMP error of its own.
final class ReservedPort {
    /// The protocol it is a port of.
    enum Transport {
        case tcp
        case udp

        /// That of a probe through a tunnel; `nil` for a kind that has no ports.
        init?(of kind: HealthConfiguration.Kind) {
            switch kind {
            case .icmp: return nil
            case .dns: self = .udp
            case .tcp, .http, .https, .none: self = .tcp
            }
        }
    }

    let transport: Transport
    let address: IPAddress
    let number: UInt16
    private let socket: ProbeSocket

    /// Reserves a port that is free.
    init(_ address: IPAddress, _ transport: Transport) throws(SocketError) {
        self.address = address
        self.transport = transport
        let isTCP = transport == .tcp
        socket = try ProbeSocket(address.family, isTCP ? SOCK_STREAM : SOCK_DGRAM)
        let refusal = cplatform_reject_all(socket.descriptor)
        guard refusal == 0 else { throw SocketError(refusal) }
        try socket.bind(address)
        if isTCP { _ = listen(socket.descriptor, 1) }
        number = socket.localPort
    }

    /// Where answers to it belong.
    var inbox: TunnelInbox {
        transport == .tcp ? .tcp(address.family, number) : .udp(address.family, number)
    }
}
