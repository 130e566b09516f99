// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport

/// Frames of all kinds that steering tells apart, whole and then damaged; the same in every run.
struct HostileFrames {
    private var random: SeededGenerator
    private let vlan: UInt16?
    private let isDamaged: Bool

    /// Frames for an interface in `vlan`.
    static func make(
        _ count: Int, seed: UInt64, vlan: UInt16?, isDamaged: Bool = true
    ) -> [[UInt8]] {
        var frames = HostileFrames(seed: seed, vlan: vlan, isDamaged: isDamaged)
        return (0..<count).map { _ in frames.next() }
    }

    private init(seed: UInt64, vlan: UInt16?, isDamaged: Bool) {
        random = SeededGenerator(state: seed)
        self.vlan = vlan
        self.isDamaged = isDamaged
    }

    private mutating func next() -> [UInt8] {
        var frame = frame()
        guard isDamaged else { return frame }
        while chance(2) { damage(&frame) }
        return frame.count < 14 ? frame + [UInt8](repeating: 0, count: 14 - frame.count) : frame
    }

    /// Every prefix of a frame that the kernel takes.
    static func truncations(of frame: [UInt8]) -> [[UInt8]] {
        (14...frame.count).map { Array(frame[..<$0]) }
    }

    /// A frame with each bit of its first hundred and some bytes inverted, one at a time.
    static func flips(of frame: [UInt8]) -> [[UInt8]] {
        (0..<min(frame.count, 130) * 8).map { bit in
            var copy = frame
            copy[bit / 8] ^= 1 << UInt8(bit % 8)
            return copy
        }
    }

    private mutating func damage(_ frame: inout [UInt8]) {
        guard !frame.isEmpty else { return }
        // Headers are at the front: so is most of the damage.
        let place = Int(byte()) * Int(byte()) % min(frame.count, 140)
        switch byte() % 8 {
        case 0: frame.removeLast(Int(byte()) % frame.count)
        case 1: frame.remove(at: place)
        case 2: frame.insert(byte(), at: place)
        case 3: frame[place] = pick([0, 1, 4, 6, 17, 41, 43, 44, 51, 58, 60, 0x45, 0x60, 0xff])
        case 4: frame[place] = byte()
        default: frame[place] ^= 1 << (byte() % 8)
        }
    }

    // MARK: Layers, from the outside in

    private mutating func frame() -> [UInt8] {
        let isIPv6 = chance(2)
        let type: [UInt8] = isIPv6 ? [0x86, 0xdd] : [8, 0]
        var mac = VethPair.nearMAC
        if chance(64) { mac[Int(byte() % 6)] ^= 1 }
        return mac + VethPair.farMAC + tags() + type + packet(isIPv6, depth: 0)
    }

    /// Mostly what the interface wants.
    private mutating func tags() -> [UInt8] {
        var wanted: [UInt8] = []
        if let vlan { wanted = [0x81, 0, byte() & 0xf0 | UInt8(vlan >> 8), UInt8(vlan & 255)] }
        switch byte() % 32 {
        case 0: return []
        case 1: return [0x81, 0, 0, byte()]
        case 2: return [0x88, 0xa8, 0, 100] + wanted
        case 3: return wanted + wanted
        default: return wanted
        }
    }

    private enum Direction { case toVIP, reply, error, request, tunnel, any }

    private mutating func packet(_ isIPv6: Bool, depth: Int) -> [UInt8] {
        // What an error quotes went the other way.
        let directions: [Direction] =
            depth == 0 ? [.toVIP, .toVIP, .reply, .error, .any] : [.request, .tunnel, .any]
        let direction = pick(directions)
        let source: String
        let destination: String
        switch direction {
        case .toVIP: (source, destination) = (pick(clients(isIPv6)), pick(vips(isIPv6)))
        case .reply: (source, destination) = (pick(backends(isIPv6)), pick(pool(isIPv6)))
        case .error: (source, destination) = (pick(clients(isIPv6)), pick(pool(isIPv6)))
        case .request: (source, destination) = (pick(pool(isIPv6)), pick(backends(isIPv6)))
        case .tunnel:
            (source, destination) = (pick(pool(isIPv6)), pick(backends(isIPv6) + clients(isIPv6)))
        case .any:
            let all = clients(isIPv6) + vips(isIPv6) + backends(isIPv6) + pool(isIPv6)
            (source, destination) = (pick(all), pick(all))
        }
        let addresses = Self.bytes(source, isIPv6) + Self.bytes(destination, isIPv6)
        let transport = transportNumber(isIPv6, direction)
        let data = self.data(transport, direction, depth: depth)
        return isIPv6
            ? ipv6(addresses, transport, data, depth) : ipv4(addresses, transport, data)
    }

    private mutating func ipv4(
        _ addresses: [UInt8], _ transport: UInt8, _ data: [UInt8]
    ) -> [UInt8] {
        let words = chance(6) ? byte() % 11 : 0
        let length = chance(40) ? byte() & 15 : 5 + words
        let fragment: UInt16 =
            chance(6) ? pick([0x2000, 0x00b9, 0x1fff, 0x3fff, 0x0001, 0x8000, 0x1000]) : 0x4000
        let total = 20 + Int(words) * 4 + data.count
        return [0x40 | length, 0] + Self.bytes(UInt16(total)) + [0, 1] + Self.bytes(fragment)
            + [64, transport, 0, 0] + addresses + [UInt8](repeating: 1, count: Int(words) * 4)
            + data
    }

    private mutating func ipv6(
        _ addresses: [UInt8], _ transport: UInt8, _ data: [UInt8], _ depth: Int
    ) -> [UInt8] {
        var rest = data
        var next = transport
        // From the innermost header outwards; around the walk's limit as well.
        let count = chance(3) ? pick([1, 1, 1, 2, 2, 3, 7, 8, 9, 12]) : 0
        for _ in 0..<(depth == 0 ? count : min(count, 1)) {
            let type: UInt8 = pick([0, 43, 44, 51, 60, 60, 0, 135])
            rest = extensionHeader(type, next) + rest
            next = type
        }
        return [0x60, 0, 0, 0] + Self.bytes(UInt16(rest.count)) + [next, 64] + addresses + rest
    }

    private mutating func extensionHeader(_ type: UInt8, _ next: UInt8) -> [UInt8] {
        if type == 44 {
            let word: UInt16 =
                chance(2) ? pick([0x0001, 0x0008, 0xfff8, 0xc000, 0x2001]) : pick([0, 6])
            return [next, byte()] + Self.bytes(word) + [0, 0, 0, 7]
        }
        let length = chance(40) ? byte() : byte() % 3
        let present = type == 51 ? (min(Int(length), 3) + 2) * 4 : (min(Int(length), 3) + 1) * 8
        return [next, length] + [UInt8](repeating: 0, count: max(present, 8) - 2)
    }

    private mutating func transportNumber(_ isIPv6: Bool, _ direction: Direction) -> UInt8 {
        if direction == .tunnel { return pick([4, 41]) }
        if direction == .error { return isIPv6 ? 58 : 1 }
        if chance(24) { return pick([132, 47, 1, 58, 50, 0, 59]) }
        return pick([6, 6, 17, 17, isIPv6 ? 58 : 1])
    }

    private mutating func data(
        _ transport: UInt8, _ direction: Direction, depth: Int
    ) -> [UInt8] {
        switch transport {
        case 4, 41: return depth > 2 ? [0x45] : packet(transport == 41, depth: depth + 1)
        case 1: return icmp([0, 3, 3, 3, 4, 5, 8, 11, 12, 135], depth, false)
        case 58: return icmp([1, 2, 2, 2, 3, 4, 5, 128, 129, 130, 135, 137, 138, 143], depth, true)
        default:
            let service: UInt16 = pick([8080, 53, pick(SteeringPlans.ports)])
            let client = pick(SteeringPlans.ports)
            let ports = direction == .reply ? [service, client] : [client, service]
            let flipped = direction == .toVIP || chance(2)
            let header = (flipped ? ports : ports.reversed()).flatMap(Self.bytes)
            return header + [UInt8](repeating: 0, count: pick([4, 16, 20]))
        }
    }

    private mutating func icmp(_ types: [UInt8], _ depth: Int, _ isIPv6: Bool) -> [UInt8] {
        let header = [pick(types), pick([4, 4, 0, 1]), 0, 0, 0, 0, 5, byte()]
        return depth > 1 ? header : header + packet(isIPv6, depth: depth + 1)
    }

    // MARK: Choices

    private func vips(_ isIPv6: Bool) -> [String] {
        isIPv6 ? SteeringPlans.vips.ipv6 : SteeringPlans.vips.ipv4
    }
    private func backends(_ isIPv6: Bool) -> [String] {
        isIPv6 ? SteeringPlans.backends.ipv6 : SteeringPlans.backends.ipv4
    }
    private func pool(_ isIPv6: Bool) -> [String] {
        isIPv6 ? SteeringPlans.pool.ipv6 : SteeringPlans.pool.ipv4
    }
    private func clients(_ isIPv6: Bool) -> [String] {
        isIPv6 ? SteeringPlans.clients.ipv6 : SteeringPlans.clients.ipv4
    }

    private mutating func chance(_ count: UInt64) -> Bool { random.next() % count == 0 }
    private mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: random.next() >> 7) }
    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int(random.next() % UInt64(choices.count))]
    }

    private static func bytes(_ value: UInt16) -> [UInt8] {
        [UInt8(value >> 8), UInt8(value & 255)]
    }
    private static func bytes(_ address: String, _ isIPv6: Bool) -> [UInt8] {
        let bytes = addresses[address] ?? []
        return isIPv6 ? bytes : Array(bytes.suffix(4))
    }

    /// Read once: most of the time would go there.
    private static let addresses: [String: [UInt8]] = {
        let plans = [
            SteeringPlans.vips, SteeringPlans.backends, SteeringPlans.pool, SteeringPlans.clients,
        ]
        let all = plans.flatMap { $0.ipv4 + $0.ipv6 }
        return Dictionary(
            all.map { ($0, PlanFixture.address($0).mappedBytes) }, uniquingKeysWith: { $1 })
    }()
}
