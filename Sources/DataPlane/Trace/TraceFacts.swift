// SPDX-License-Identifier: Apache-2.0

/// What the data path finds when it looks a frame up; nothing is changed by looking.
public struct TraceFacts: Sendable {
    /// What steering does with it.
    public var steering: Steering
    /// The five-tuple; ports are 0 where there are none.
    public var flow: FiveTuple?
    /// Why the headers are refused; `nil` when they are good.
    public var refusal: DropReason?
    /// Whether the destination is a VIP.
    public var isForVIP = false
    /// Number of the service that the packet is for.
    public var service: UInt16?
    /// Keyed hash of the flow.
    public var hash: UInt64 = 0
    /// Slot of the service's Maglev table, and slots there are.
    public var slot: (index: Int, count: Int)?
    /// Number of the backend that has the slot; `nil` when nobody is eligible.
    public var slotBackend: UInt16?
}

extension ForwardingSnapshot {
    /// Looks a frame up, stage by stage, with the code that forwards it.
    public func facts(about bytes: [UInt8]) -> TraceFacts {
        unsafe bytes.withUnsafeBytes { buffer in
            var facts = TraceFacts(steering: unsafe Steering.decide(buffer, with: self))
            guard let start = buffer.baseAddress else { return facts }
            let frame = unsafe Frame(
                start: UnsafeMutableRawPointer(mutating: start), length: buffer.count, headroom: 0)
            do throws(DropReason) {
                let parsed = try FlowParser.parse(frame, on: link)
                lookUp(parsed, &facts)
            } catch {
                facts.refusal = error
            }
            return facts
        }
    }

    private func lookUp(_ parsed: ParsedFrame, _ facts: inout TraceFacts) {
        facts.flow = parsed.flow
        facts.isForVIP = serviceTable.isVIP(parsed.flow.destination)
        facts.hash = flowHash.hash(parsed.flow)
        guard parsed.layout.kind != .icmp, parsed.layout.kind != .laterFragment,
            let id = serviceTable.service(for: parsed.flow), let service = service(id)
        else { return }
        facts.service = id
        let slot = service.maglev.slot(
            for: selectionWord(parsed.flow, facts.hash, service.affinity))
        facts.slot = (slot, service.maglev.count)
        let backend = service.maglev.backend(at: slot)
        if backend != MaglevTable.nobody { facts.slotBackend = backend }
    }
}

extension Pipeline {
    /// Takes over a copy of a connection that another pipeline tracks.
    ///
    /// The plan must be that of one worker, so that every SNAT port is its own.
    public mutating func adopt(
        _ record: ConnectionRecord, _ snapshot: borrowing ForwardingSnapshot, at tick: Tick
    ) {
        let backend = snapshot.backend(record.backend)
        var entry = ConnectionEntry(
            key: record.flow, service: record.service, backend: record.backend,
            backendEpoch: backend.epoch, mode: record.mode, state: record.state,
            snatAddress: record.snatAddress, snatPort: record.snatPort, tick: tick)
        entry.flags = ConnectionEntry.Flag.replied
        if record.mode == .snat {
            let address = snapshot.snat.record(record.snatAddress)
            let key = SNATPorts.Key(
                portSpace: backend.portSpace, address: address.id,
                isUDP: record.flow.transportNumber == TransportProtocol.udp.rawValue)
            let slice = address.slice(of: worker)
            _ = ports.take(
                key, of: slice.count, preferring: address.index(of: record.snatPort).map(Int.init))
        }
        _ = insert(entry, snapshot.flowHash.hash(record.flow), snapshot)
    }
}
