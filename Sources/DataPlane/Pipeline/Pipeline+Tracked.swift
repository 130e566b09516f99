// SPDX-License-Identifier: Apache-2.0

/// The way of nearly every packet: of a tracked connection that goes on as it is.
///
/// Decides nothing that ``Pipeline/decide(_:_:_:_:)`` would decide otherwise; what is not as usual
/// is left to it. The tables are used where they lie: a copy of a record would be most of the work.
extension Pipeline {
    /// Sends clients' packets of one mode on, from one on, until one is not as usual.
    ///
    /// A function for each mode, which the compiler so has in view by itself. What the loop needs of
    /// the batch and of the tables is kept at hand: written to, it could change under way for all
    /// that the compiler knows.
    ///
    /// - Parameters:
    ///   - mode: Of their connections.
    ///   - batch: After the second pass.
    ///   - start: The first of them.
    ///   - snapshot: Where they go.
    ///   - tick: When that is.
    /// - Returns: The one that is not as usual, with which nothing was done; the batch's count when
    ///   there is none.
    @inline(never)
    mutating func carry<Mode: CarryingMode>(
        _ mode: Mode.Type, _ batch: inout Batch, from start: Int,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Int {
        let frames = batch.frames
        let count = batch.count
        let memory = memory
        let entries = connections.entries
        let counters = counters
        var outgoing = batch.outgoing.room(for: count &- start)
        var index = start
        while index < count {
            let ahead = index &+ Self.lookahead
            if ahead < count { memory.prefetchForWriting(frames.address(at: ahead)) }
            // Without a candidate it is the entry that no connection ever has.
            let entry = unsafe entries.mutableAddress(ofValid: Int(frames[index].candidate))
            guard unsafe FiveTuple.same(entry.pointee.key, frames[index].flow),
                unsafe Mode.takes(entry, isIPv6: frames[index].layout.isIPv6),
                unsafe entry.pointee.goesOn(with: frames[index].layout.tcpFlags),
                !snapshot.judgesPackets
                    || Self.isUnjudged(unsafe entry.pointee.service, frames[index].flow, snapshot),
                unsafe Int(entry.pointee.backend) < snapshot.backends.table.count
            else { break }
            let address = frames.address(at: index)
            let frame = memory.acceptedFrame(at: address, length: frames.length(at: index))
            guard let packet = unsafe Mode.put(frame, frames, index, entry, &self, snapshot)
            else { break }
            outgoing.append(
                address: packet.address(insteadOf: frame, at: address), length: packet.length)
            let parties = unsafe entry.pointee.parties
            frames[index].parties = parties
            frames[index].verdict = .transmit
            unsafe entry.pointee.lastSeen = tick.milliseconds
            unsafe entry.pointee.packets &+= 1
            counters.addIn(bytes: UInt64(frames[index].layout.packetLength), of: parties)
            index &+= 1
        }
        batch.outgoing.take(outgoing)
        counters.add(UInt64(index &- start), to: .lookupHits)
        return index
    }

    /// Puts a packet into the tunnel to a backend; `nil`, with nothing done, when that is not as
    /// usual.
    ///
    /// - Precondition: there is a backend of that number.
    @inline(__always)
    mutating func wrap(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int, to backend: UInt16,
        _ epoch: UInt16, _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        let header = unsafe snapshot.tunnels.table.mutableAddress(ofValid: Int(backend))
        guard unsafe header.pointee.carriedEpoch == UInt32(epoch) else { return nil }
        return unsafe TunnelHeader.wrap(
            frame, frames[index].layout, hash: frames[index].hash,
            identification: &identification, in: header, with: snapshot)
    }

    /// Makes a client's packet one to the backend of its connection, from the connection's SNAT
    /// port; `nil`, with nothing done, when that is not as usual.
    ///
    /// - Precondition: there is a backend of the entry's number.
    @inline(__always)
    mutating func translate(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int,
        _ entry: UnsafeMutablePointer<ConnectionEntry>, isIPv6: Bool,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        let backend = unsafe snapshot.backends.table.mutableAddress(
            ofValid: Int(entry.pointee.backend))
        guard unsafe backend.pointee.carriedEpoch == UInt32(entry.pointee.backendEpoch) else {
            return nil
        }
        let isUDP = frames[index].flow.transportNumber == TransportProtocol.udp.rawValue
        let translated =
            isIPv6
            ? unsafe Self.translateIPv6(frame, frames, index, entry, backend, snapshot)
            : unsafe entry.pointee.rewrite.apply(
                to: frame, frames[index].layout, isUDP: isUDP, on: snapshot.link)
        unsafe translated?.setAddresses(
            destination: backend.pointee.mac, source: snapshot.link.mac)
        return translated
    }

    @inline(__always)
    private static func translateIPv6(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int,
        _ entry: UnsafeMutablePointer<ConnectionEntry>,
        _ backend: UnsafeMutablePointer<BackendRecord>, _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        let port = unsafe backend.pointee.port
        let rewrite = unsafe SNATRewrite(
            source: snapshot.snat.address(entry.pointee.snatAddress),
            sourcePort: entry.pointee.snatPort, destination: backend.pointee.address,
            destinationPort: port == 0 ? frames[index].flow.destinationPort : port)
        return rewrite.applyPlainIPv6(
            to: frame, frames[index].layout,
            isUDP: frames[index].flow.transportNumber == TransportProtocol.udp.rawValue,
            on: snapshot.link)
    }

    /// Whether the service that a packet is for is the connection's, and lets its packets go on
    /// without looking at each.
    @inline(never)
    private static func isUnjudged(
        _ service: UInt16, _ flow: FiveTuple, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        guard snapshot.serviceTable.service(for: flow) == service,
            let record = snapshot.service(service)
        else { return false }
        return !record.judgesEveryPacket
    }

    /// Sends a backend's packet on if it is as usual; `false`, with nothing done, when it is not.
    @inline(never)
    mutating func carryToClient(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let packet = batch.frames[index]
        let entry = unsafe connections.entries.mutableAddress(ofValid: Int(packet.candidate))
        guard unsafe entry.pointee.mode == .snat,
            unsafe entry.pointee.goesOn(with: packet.layout.tcpFlags),
            unsafe entry.pointee.flags & ConnectionEntry.Flag.replied != 0,
            isReply(packet.flow, to: packet.candidate, snapshot),
            admitsTracked(packet.candidate, snapshot),
            case .resolved(let mac) = snapshot.nextHops.hop(
                towards: unsafe entry.pointee.key.source)
        else { return false }
        let frame = memory.acceptedFrame(
            at: batch.address(at: index), length: batch.length(at: index))
        let isUDP = packet.flow.transportNumber == TransportProtocol.udp.rawValue
        let key = unsafe entry.pointee.key
        let translated =
            key.isIPv4
            ? unsafe entry.pointee.rewrite.backwards(to: key).apply(
                to: frame, packet.layout, isUDP: isUDP, on: snapshot.link)
            : SNATRewrite(
                source: key.destination, sourcePort: key.destinationPort,
                destination: key.source, destinationPort: key.sourcePort
            ).applyPlainIPv6(to: frame, packet.layout, isUDP: isUDP, on: snapshot.link)
        guard let translated else { return false }
        translated.setAddresses(destination: mac, source: snapshot.link.mac)
        batch.transmit(index, as: translated, insteadOf: frame)
        unsafe entry.pointee.lastSeen = tick.milliseconds
        unsafe entry.pointee.packets &+= 1
        batch[index].parties = unsafe entry.pointee.parties
        counters.add(1, to: .lookupHits)
        let service = batch[index].service
        counters.add(1, to: .packetsOut, ofService: service)
        counters.add(UInt64(packet.layout.packetLength), to: .bytesOut, ofService: service)
        return true
    }
}

/// How clients' packets of tracked connections are made packets to their backends.
protocol CarryingMode {
    /// Whether a connection's packets are made so.
    static func takes(_ entry: UnsafePointer<ConnectionEntry>, isIPv6: Bool) -> Bool

    /// Writes the packet; `nil`, with nothing done, when that is not as usual.
    ///
    /// - Precondition: there is a backend of the entry's number.
    static func put(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int,
        _ entry: UnsafeMutablePointer<ConnectionEntry>, _ pipeline: inout Pipeline,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame?
}

/// Into the tunnel.
enum CarryingDSR: CarryingMode {
    @inline(__always)
    static func takes(_ entry: UnsafePointer<ConnectionEntry>, isIPv6: Bool) -> Bool {
        unsafe entry.pointee.mode == .dsr
    }

    @inline(__always)
    static func put(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int,
        _ entry: UnsafeMutablePointer<ConnectionEntry>, _ pipeline: inout Pipeline,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        unsafe pipeline.wrap(
            frame, frames, index, to: entry.pointee.backend, entry.pointee.backendEpoch, snapshot)
    }
}

/// With other addresses and ports, of IPv4.
enum CarryingSNATIPv4: CarryingMode {
    @inline(__always)
    static func takes(_ entry: UnsafePointer<ConnectionEntry>, isIPv6: Bool) -> Bool {
        unsafe entry.pointee.mode == .snat && !isIPv6
    }

    @inline(__always)
    static func put(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int,
        _ entry: UnsafeMutablePointer<ConnectionEntry>, _ pipeline: inout Pipeline,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        unsafe pipeline.translate(frame, frames, index, entry, isIPv6: false, snapshot)
    }
}

/// With other addresses and ports, of IPv6.
enum CarryingSNATIPv6: CarryingMode {
    @inline(__always)
    static func takes(_ entry: UnsafePointer<ConnectionEntry>, isIPv6: Bool) -> Bool {
        unsafe entry.pointee.mode == .snat && isIPv6
    }

    @inline(__always)
    static func put(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int,
        _ entry: UnsafeMutablePointer<ConnectionEntry>, _ pipeline: inout Pipeline,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        unsafe pipeline.translate(frame, frames, index, entry, isIPv6: true, snapshot)
    }
}
