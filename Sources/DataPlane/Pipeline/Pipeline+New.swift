// SPDX-License-Identifier: Apache-2.0

/// What a connection would have if its packet began one, found out a pass before it does.
struct SNATProposal: BitwiseCopyable {
    /// Hash of the packets a backend would answer with.
    var replyHash: UInt64 = 0
    /// The port, counted from the first one of the worker's slice.
    var offset: UInt32 = 0
    /// Number of the SNAT address.
    var address: UInt16 = 0
    /// The port; 0 when nothing is proposed.
    var port: UInt16 = 0
}

/// The way of most packets that begin a connection: floods are made of them.
///
/// As with ``Pipeline/carry(_:_:from:_:_:)``, what is not as usual is left to
/// ``Pipeline/forwardToBackend(_:_:_:_:)``, which would do the same with what is.
extension Pipeline {
    /// Begins a connection and sends its packet on; `false`, with nothing done, when that is not as
    /// usual.
    @inline(never)
    mutating func begin(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let frames = batch.frames
        let hash = frames[index].hash
        let service = unsafe snapshot.services.table.mutableAddress(
            of: Int(frames[index].service))
        let backend = unsafe service.pointee.maglev.backend(for: hash.slotWord)
        guard unsafe service.pointee.choosesPlainly, backend != MaglevTable.nobody,
            Int(backend) < snapshot.backends.table.count, snapshot.newPerSource == nil,
            // An earlier packet of the batch may have begun it.
            connections.buckets.candidate(hash) == 0,
            !isOwn(frames[index].flow.source, snapshot)
        else { return false }
        let frame = memory.acceptedFrame(
            at: batch.address(at: index), length: batch.length(at: index))
        let parties = unsafe Parties(backend: backend, service: service.pointee.id)
        let packet =
            unsafe service.pointee.mode == .dsr
            ? beginDSR(frame, frames, index, parties, snapshot, tick)
            : beginSNAT(frame, frames, index, parties, snapshot, tick)
        guard let packet else { return false }
        batch.transmit(index, as: packet, insteadOf: frame)
        batch[index].parties = parties
        batch[index].missed = true
        counters.add(1, to: .lookupMisses)
        counters.addIn(bytes: UInt64(frames[index].layout.packetLength), of: parties)
        return true
    }

    @inline(__always)
    private mutating func beginDSR(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int, _ parties: Parties,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Frame? {
        let hash = frames[index].hash
        let state = initialState(of: frames[index])
        let isTracked = state != nil && (state != .opening || openingCount < openingBudget)
        let epoch = unsafe snapshot.backends.table.mutableAddress(ofValid: Int(parties.backend))
            .pointee.epoch
        guard !isTracked || connections.hasRoom(for: hash), !snapshot.link.clampsMSS,
            let packet = wrap(frame, frames, index, to: parties.backend, epoch, snapshot)
        else { return nil }
        if isTracked, let state {
            let entry = connections.allocate()
            connections[entry] = ConnectionEntry(
                key: frames[index].flow, service: parties.service, backend: parties.backend,
                backendEpoch: epoch, mode: .dsr, state: state, snatAddress: 0, snatPort: 0,
                tick: tick)
            insert(entry, hash)
        }
        return packet
    }

    @inline(__always)
    private mutating func beginSNAT(
        _ frame: Frame, _ frames: BatchFrames, _ index: Int, _ parties: Parties,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Frame? {
        let hash = frames[index].hash
        let proposal = frames[index].proposal
        let backend = unsafe snapshot.backends.table.mutableAddress(ofValid: Int(parties.backend))
        guard proposal.port != 0, let state = initialState(of: frames[index]),
            state != .established, connections.hasRoom(for: hash),
            connections.hasRoom(inBucketOf: proposal.replyHash)
        else { return nil }
        let key = unsafe SNATPorts.Key(
            portSpace: backend.pointee.portSpace, address: proposal.address,
            isUDP: state == .datagram)
        let count = snapshot.snat.sliceCount(of: proposal.address, worker)
        guard ports.take(Int(proposal.offset), key, of: count) else { return nil }

        let entry = connections.allocate()
        connections[entry] = unsafe ConnectionEntry(
            key: frames[index].flow, service: parties.service, backend: parties.backend,
            backendEpoch: backend.pointee.epoch, mode: .snat, state: state,
            snatAddress: proposal.address, snatPort: proposal.port, tick: tick)
        prepareRewrite(of: entry, replyFlow(of: entry, snapshot))
        guard
            let packet = unsafe translate(
                frame, frames, index, connections.entries.mutableAddress(ofValid: Int(entry)),
                isIPv6: frames[index].layout.isIPv6, snapshot)
        else {
            connections.release(entry)
            ports.free(key, Int(proposal.offset))
            return nil
        }
        insert(entry, hash)
        _ = connections.link(entry, by: proposal.replyHash)
        return packet
    }

    /// Makes an entry findable by the client's flow, and counts it.
    ///
    /// - Precondition: its bucket has room.
    @inline(__always)
    private mutating func insert(_ entry: UInt32, _ hash: UInt64) {
        _ = connections.link(entry, by: hash)
        connections[entry].packets = 1
        if connections[entry].state == .opening { openingCount &+= 1 }
        counters.add(1, to: .insertions)
        let parties = connections[entry].parties
        counters.beginConnection(service: parties.service, backend: parties.backend)
    }

    /// Chooses a port for a connection that may begin, and asks for the bucket that the replies
    /// would be found by.
    ///
    /// The first of the service's addresses, and the client's own port if possible: what
    /// ``admit(_:_:_:_:_:_:)`` would take. Other packets of the batch may take it first.
    @inline(__always)
    func propose(
        for packet: inout PacketState, _ service: UnsafePointer<ServiceRecord>,
        _ snapshot: borrowing ForwardingSnapshot
    ) {
        packet.proposal.port = 0
        let id = unsafe service.pointee.maglev.backend(for: packet.hash.slotWord)
        guard unsafe service.pointee.choosesPlainly, service.pointee.snatAddressCount > 0,
            Int(id) < snapshot.backends.table.count
        else { return }
        let backend = unsafe snapshot.backends.table.mutableAddress(ofValid: Int(id))
        let number = unsafe snapshot.snat.choices[Int(service.pointee.firstSNATAddress)]
        let record = unsafe snapshot.snat.recordAddress(number)
        let slice = unsafe record.pointee.slice(of: worker)
        let own = unsafe record.pointee.index(of: packet.flow.sourcePort)
        let isUDP = packet.flow.transportNumber == TransportProtocol.udp.rawValue
        let key = unsafe SNATPorts.Key(
            portSpace: backend.pointee.portSpace, address: number, isUDP: isUDP)
        let preferred = own.flatMap { slice.contains($0) ? Int($0 &- slice.lowerBound) : nil }
        guard unsafe record.pointee.address.isIPv4 == backend.pointee.address.isIPv4,
            let offset = ports.peek(key, of: slice.count, preferring: preferred)
        else { return }
        let port = unsafe record.pointee.port(
            at: slice.lowerBound &+ UInt32(truncatingIfNeeded: offset))
        let serverPort = unsafe backend.pointee.port
        let reply = unsafe FiveTuple(
            source: backend.pointee.address, destination: record.pointee.address,
            ports: UInt32(serverPort == 0 ? packet.flow.destinationPort : serverPort) << 16
                | UInt32(port),
            transport: packet.flow.transportNumber)
        packet.proposal = SNATProposal(
            replyHash: snapshot.flowHash.hash(reply),
            offset: UInt32(truncatingIfNeeded: offset), address: number, port: port)
        connections.prefetchBucket(packet.proposal.replyHash)
    }
}
