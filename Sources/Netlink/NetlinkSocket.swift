// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc

/// What has changed in the kernel's tables.
public enum NetlinkEvent: Equatable, Sendable {
    /// A device is new or has changed.
    case link(LinkMessage)
    /// A device is gone.
    case linkGone(LinkMessage)
    /// An address is new or has changed.
    case address(AddressMessage)
    /// An address is gone.
    case addressGone(AddressMessage)
    /// A route is new or has changed.
    case route(RouteMessage)
    /// A route is gone.
    case routeGone(RouteMessage)
    /// A neighbour is new or has changed.
    case neighbour(NeighbourMessage)
    /// A neighbour is gone.
    case neighbourGone(NeighbourMessage)
}

/// A conversation with the kernel on links, addresses, routes and neighbours (rtnetlink(7)).
///
/// One socket is for requests or for events, not for both: events would come between answers.
public struct NetlinkSocket: ~Copyable, Sendable {
    /// What a socket is for.
    public enum Purpose: Sendable {
        /// ``links()`` and the like.
        case requests
        /// ``receiveEvents(timeoutMilliseconds:)``.
        case events
        /// ``xdpFeatures(ofInterface:)``: generic netlink, another protocol.
        case genericRequests
    }

    /// The socket.
    public let fileDescriptor: Int32
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)

    /// Opens a socket in this network namespace.
    public init(for purpose: Purpose) throws(NetlinkError) {
        let descriptor = socket(
            AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            purpose == .genericRequests
                ? NetlinkHeader.protocolGeneric : NetlinkHeader.protocolRoute)
        guard descriptor >= 0 else {
            throw NetlinkError(.system(errno), "cannot open a netlink socket")
        }
        // Events go to bound sockets only: an unbound one has the kernel's own port number.
        let refusal = cplatform_netlink_bind(descriptor)
        guard refusal == 0 else {
            close(descriptor)
            throw NetlinkError(.system(refusal), "cannot bind a netlink socket")
        }
        fileDescriptor = descriptor
        setOption(NetlinkHeader.extendedAcknowledgeOption, 1)
        if purpose == .events {
            // Room for a storm of neighbour events; more than that is an overrun.
            var byteCount: Int32 = 4 << 20
            _ = unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &byteCount, socklen_t(MemoryLayout<Int32>.size))
            for group in [
                RouteMessageGroup.link, RouteMessageGroup.neighbour,
                RouteMessageGroup.ipv4Address, RouteMessageGroup.ipv4Route,
                RouteMessageGroup.ipv6Address, RouteMessageGroup.ipv6Route,
            ] {
                setOption(NetlinkHeader.addMembership, Int32(group))
            }
        }
    }

    deinit { close(fileDescriptor) }

    private func setOption(_ name: Int32, _ value: Int32) {
        var value = value
        _ = unsafe setsockopt(
            fileDescriptor, NetlinkHeader.socketLevel, name, &value,
            socklen_t(MemoryLayout<Int32>.size))
    }

    // MARK: Requests

    /// All devices.
    public mutating func links() throws(NetlinkError) -> [LinkMessage] {
        let answer = try request("cannot list links") { LinkMessage.dump($0) }
        return answer.compactMap { LinkMessage($0.payload) }
    }

    /// All addresses of all devices.
    public mutating func addresses() throws(NetlinkError) -> [AddressMessage] {
        let answer = try request("cannot list addresses") { AddressMessage.dump($0) }
        return answer.compactMap { AddressMessage($0.payload) }
    }

    /// All routes of all tables.
    public mutating func routes() throws(NetlinkError) -> [RouteMessage] {
        let answer = try request("cannot list routes") { RouteMessage.dump($0) }
        return answer.compactMap { RouteMessage($0.payload) }
    }

    /// All neighbours on all devices.
    public mutating func neighbours() throws(NetlinkError) -> [NeighbourMessage] {
        let answer = try request("cannot list neighbours") { NeighbourMessage.dump($0) }
        return answer.compactMap { NeighbourMessage($0.payload) }
    }

    /// Asks the kernel to resolve an address, as it does for packets of its own; what comes of it
    /// is an event.
    ///
    /// - Parameters:
    ///   - address: Four bytes or sixteen, in network order.
    ///   - interface: The device's number.
    /// - Throws: When the kernel refuses, as it does for a device that is gone.
    public mutating func resolve(_ address: [UInt8], interface: Int) throws(NetlinkError) {
        _ = try request("cannot ask the kernel to resolve an address") {
            NeighbourMessage.resolve(address, interface: interface, $0)
        }
    }

    /// Sends a request and collects the answer.
    mutating func request(
        _ attempt: String, _ make: (UInt32) -> MessageWriter
    ) throws(NetlinkError) -> [Message] {
        sequence &+= 1
        let message = make(sequence).bytes
        let sent = unsafe send(fileDescriptor, message, message.count, 0)
        guard sent == message.count else { throw NetlinkError(.system(errno), attempt) }
        var answer: [Message] = []
        while true {
            for message in MessageReader(try receive(attempt)) where message.sequence == sequence {
                switch message.type {
                case NetlinkHeader.done: return answer
                case NetlinkHeader.error:
                    guard let error = Self.error(in: message, attempt) else { return answer }
                    throw error
                case NetlinkHeader.overrun: throw NetlinkError(.overrun, attempt)
                default:
                    answer.append(message)
                    if message.flags & NetlinkHeader.multi == 0 { return answer }
                }
            }
        }
    }

    /// The refusal in an acknowledgement; `nil` when the kernel did as asked.
    private static func error(in message: Message, _ attempt: String) -> NetlinkError? {
        guard let code = message.payload.number(at: 0, as: Int32.self) else {
            return NetlinkError(.malformed, attempt)
        }
        if code == 0 { return nil }
        let textAttribute: UInt16 = 1
        var words: String?
        if message.flags & NetlinkHeader.extendedAcknowledge != 0,
            let request = message.payload.number(at: 4, as: UInt32.self)
        {
            // The request's header is repeated, and the request too unless the answer is capped.
            let isCapped = message.flags & NetlinkHeader.capped != 0
            let repeated = isCapped ? NetlinkHeader.byteCount : (Int(request) + 3) & ~3
            let attributes = Attribute.all(in: message.payload.dropFirst(4 + repeated))
            words = attributes.first { $0.type == textAttribute }?.text
        }
        return NetlinkError(.refused(-code), attempt, kernel: words)
    }

    // MARK: Events

    /// Waits for changes.
    ///
    /// - Parameter timeoutMilliseconds: How long to wait for the first; 0 looks, −1 waits forever.
    /// - Returns: What has changed, in order; empty when nothing did in that time.
    /// - Throws: `overrun` when the kernel dropped some: ask for everything anew.
    public mutating func receiveEvents(
        timeoutMilliseconds: Int32
    ) throws(NetlinkError) -> [NetlinkEvent] {
        var waiting = pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)
        let ready = unsafe poll(&waiting, 1, timeoutMilliseconds)
        if ready == 0 || ready < 0 && errno == EINTR { return [] }
        guard ready > 0 else { throw NetlinkError(.system(errno), "cannot wait for changes") }
        return MessageReader(try receive("cannot read changes")).compactMap(Self.event)
    }

    private static func event(_ message: Message) -> NetlinkEvent? {
        switch message.type {
        case RouteMessageType.newLink: LinkMessage(message.payload).map(NetlinkEvent.link)
        case RouteMessageType.deleteLink: LinkMessage(message.payload).map(NetlinkEvent.linkGone)
        case RouteMessageType.newAddress:
            AddressMessage(message.payload).map(NetlinkEvent.address)
        case RouteMessageType.deleteAddress:
            AddressMessage(message.payload).map(NetlinkEvent.addressGone)
        case RouteMessageType.newRoute: RouteMessage(message.payload).map(NetlinkEvent.route)
        case RouteMessageType.deleteRoute:
            RouteMessage(message.payload).map(NetlinkEvent.routeGone)
        case RouteMessageType.newNeighbour:
            NeighbourMessage(message.payload).map(NetlinkEvent.neighbour)
        case RouteMessageType.deleteNeighbour:
            NeighbourMessage(message.payload).map(NetlinkEvent.neighbourGone)
        default: nil
        }
    }

    private mutating func receive(_ attempt: String) throws(NetlinkError) -> ArraySlice<UInt8> {
        while true {
            let count = unsafe recv(fileDescriptor, &buffer, buffer.count, 0)
            if count >= 0 { return buffer[..<count] }
            if errno == EINTR { continue }
            throw NetlinkError(errno == ENOBUFS ? .overrun : .system(errno), attempt)
        }
    }
}
