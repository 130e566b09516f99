// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// Frames that are ready but for the hardware address of their next hop.
///
/// Bounded in frames, in next hops, in frames for each of them, and in time, so that an address
/// that never answers holds neither chunks nor other traffic. A frame that finds no room is
/// dropped as `no_neighbour`.
struct WaitingFrames: ~Copyable {
    static let capacity = 512
    static let hopCapacity = 32
    static let capacityPerHop = 64
    /// Milliseconds a frame waits at most: the kernel asks three times, a second apart.
    static let patience: UInt32 = 3000
    /// Milliseconds until the kernel is asked again.
    static let askInterval: UInt32 = 500

    struct Hop: BitwiseCopyable {
        var address: IPAddress
        var count: Int
        var asked: Tick
    }

    struct Slot: BitwiseCopyable {
        var descriptor: xdp_desc
        var hop: Int
        var since: Tick
    }

    private let hops: OwnedTable<Hop>
    private let slots: OwnedTable<Slot>
    private(set) var count = 0

    init() {
        let now = Tick(milliseconds: 0)
        hops = OwnedTable(
            repeating: Hop(address: FiveTuple.zero.source, count: 0, asked: now),
            count: Self.hopCapacity)
        slots = OwnedTable(
            repeating: Slot(descriptor: xdp_desc(), hop: 0, since: now), count: Self.capacity)
    }

    /// What came of ``keep(_:for:at:)``.
    enum Outcome {
        case kept
        /// Kept, and the kernel is to be asked for the address.
        case keptAsking
        case noRoom
    }

    mutating func keep(_ descriptor: xdp_desc, for address: IPAddress, at tick: Tick) -> Outcome {
        guard count < Self.capacity else { return .noRoom }
        var vacant: Int?
        var found: Int?
        for index in 0..<Self.hopCapacity {
            if hops.table[index].count == 0 {
                vacant = vacant ?? index
            } else if hops.table[index].address == address {
                found = index
                break
            }
        }
        var asks = false
        guard let hop = found ?? vacant else { return .noRoom }
        if found == nil {
            hops.table[hop] = Hop(address: address, count: 0, asked: tick)
            asks = true
        } else if tick.elapsed(since: hops.table[hop].asked) >= Self.askInterval {
            hops.table[hop].asked = tick
            asks = true
        }
        guard hops.table[hop].count < Self.capacityPerHop else { return .noRoom }
        hops.table[hop].count += 1
        slots.table[count] = Slot(descriptor: descriptor, hop: hop, since: tick)
        count += 1
        return asks ? .keptAsking : .kept
    }

    /// What is to be done with a frame that waits.
    enum Decision {
        case keep
        case send
        case drop
    }

    /// Looks at every waiting frame once, oldest first, and forgets those that are not kept.
    ///
    /// - Parameter decide: called with the frame, the address it waits for and since when.
    mutating func review(_ decide: (xdp_desc, IPAddress, Tick) -> Decision) {
        var kept = 0
        for index in 0..<count {
            let slot = slots.table[index]
            switch decide(slot.descriptor, hops.table[slot.hop].address, slot.since) {
            case .keep:
                slots.table[kept] = slot
                kept += 1
            case .send, .drop:
                hops.table[slot.hop].count -= 1
            }
        }
        count = kept
    }
}
