// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The maps that the steering program matches by, and the rules that are in them.
struct MatchMaps: Sendable {
    /// The rules in force.
    private(set) var rules = SteeringRules()
    private var config: MatchMap
    private var ports: MatchMap
    private var vips: MatchMap
    private var pool: MatchMap
    private var backends: MatchMap
    private var tunnels: MatchMap
    /// Number of each VIP: the same for as long as the VIP is in the map, as its ports refer to it.
    private var numbers: [SteeringRules.Prefix: UInt32] = [:]

    /// The maps of a loaded program; `nil` when it lacks one.
    init?(_ object: borrowing BPFObject) {
        guard let config = object.map("config"), let ports = object.map("ports"),
            let vips = object.map("vips"), let pool = object.map("pool"),
            let backends = object.map("backends"), let tunnels = object.map("tunnels")
        else { return nil }
        self.config = MatchMap(descriptor: config, noun: "interface")
        self.ports = MatchMap(descriptor: ports, noun: "service port")
        self.vips = MatchMap(descriptor: vips, noun: "VIP")
        self.pool = MatchMap(descriptor: pool, noun: "SNAT address")
        self.backends = MatchMap(descriptor: backends, noun: "SNAT backend")
        self.tunnels = MatchMap(descriptor: tunnels, noun: "backend")
    }

    /// Changes the maps to other rules.
    ///
    /// What both sets of rules match is matched at every moment: the maps first have both, and
    /// then only the new ones. A VIP appears after its ports, and disappears before them.
    ///
    /// - Throws: When a map is full; the rules before stay in force.
    mutating func change(to new: SteeringRules) throws(XSKError) {
        guard new != rules else { return }
        let both = rules.merging(new)
        number(both.vips)
        do throws(XSKError) {
            try add(contents(of: both))
        } catch {
            settle(contents(of: rules))
            throw error
        }
        rules = new
        settle(contents(of: new))
    }

    /// What is to be in the maps, key by key.
    private struct Contents {
        var config: [[UInt8]: [UInt8]] = [:]
        var ports: [[UInt8]: [UInt8]] = [:]
        var vips: [[UInt8]: [UInt8]] = [:]
        var pool: [[UInt8]: [UInt8]] = [:]
        var backends: [[UInt8]: [UInt8]] = [:]
        var tunnels: [[UInt8]: [UInt8]] = [:]
    }

    private mutating func add(_ contents: Contents) throws(XSKError) {
        try config.add(contents.config)
        try ports.add(contents.ports)
        try vips.add(contents.vips)
        try pool.add(contents.pool)
        try backends.add(contents.backends)
        try tunnels.add(contents.tunnels)
    }

    private mutating func settle(_ contents: Contents) {
        config.settle(contents.config)
        vips.settle(contents.vips)
        ports.settle(contents.ports)
        pool.settle(contents.pool)
        backends.settle(contents.backends)
        tunnels.settle(contents.tunnels)
        numbers = numbers.filter { vips.entries[$0.key.mapKey] != nil }
    }

    /// Gives numbers to VIPs that have none, the lowest ones that are free.
    private mutating func number(_ prefixes: [SteeringRules.Prefix: Set<SteeringRules.Ports>]) {
        let used = Set(numbers.values)
        var next: UInt32 = 0
        for prefix in prefixes.keys where numbers[prefix] == nil {
            while used.contains(next) { next += 1 }
            numbers[prefix] = next
            next += 1
        }
    }

    private func contents(of rules: SteeringRules) -> Contents {
        var contents = Contents()
        contents.config[bytes(of: UInt32(0))] = rules.config
        for (prefix, offered) in rules.vips {
            guard let number = numbers[prefix] else { continue }
            contents.vips[prefix.mapKey] = bytes(of: number)
            for (key, bits) in Self.blocks(offered, number) {
                contents.ports[bytes(of: key)] = bytes(of: bits)
            }
        }
        for (address, ranges) in rules.pool { contents.pool[address] = Self.value(of: ranges) }
        for endpoint in rules.backends {
            contents.backends[endpoint.mapKey] = [1]
            let host = SteeringRules.Endpoint(address: endpoint.address, port: 0, transport: 0)
            contents.backends[host.mapKey] = [1]
        }
        for address in rules.tunnelEnds { contents.tunnels[address] = [1] }
        return contents
    }

    /// The bits of a VIP's ports.
    private static func blocks(
        _ offered: Set<SteeringRules.Ports>, _ vip: UInt32
    ) -> [(steer_port_block, UInt64)] {
        let width = UInt16(STEER_BLOCK_PORTS)
        var blocks: [(steer_port_block, UInt64)] = []
        for transport in Set(offered.map(\.transport)) {
            var bits: [UInt16: UInt64] = [:]
            for ports in offered where ports.transport == transport {
                if ports.range == SteeringRules.Ports.any {
                    bits[UInt16(STEER_ANY_PORT)] = .max
                    continue
                }
                let (first, last) = (ports.range.lowerBound, ports.range.upperBound)
                for block in first / width...last / width {
                    let low = block == first / width ? UInt64(first % width) : 0
                    let high = block == last / width ? UInt64(last % width) : 63
                    bits[block, default: 0] |= UInt64.max << low & UInt64.max >> (63 - high)
                }
            }
            blocks += bits.map { block, bits in
                (steer_port_block(vip: vip, block: block, protocol: transport, padding: 0), bits)
            }
        }
        return blocks
    }

    /// Unused ranges are empty: first 1, last 0.
    private static func value(of ranges: [ClosedRange<UInt16>]) -> [UInt8] {
        let count = Int(STEER_PORT_RANGES)
        precondition((1...count).contains(ranges.count))
        let padding = [UInt16](repeating: 0, count: count - ranges.count)
        let first = ranges.map(\.lowerBound) + padding.map { _ in 1 }
        let last = ranges.map(\.upperBound) + padding
        return (first + last).flatMap { bytes(of: $0) }
    }
}

/// One map, and what is in it.
struct MatchMap: Sendable {
    let descriptor: Int32
    /// What an entry stands for.
    let noun: String
    /// Keys and values in the kernel.
    private(set) var entries: [[UInt8]: [UInt8]] = [:]

    init(descriptor: Int32, noun: String) {
        self.descriptor = descriptor
        self.noun = noun
    }

    /// Adds entries, and gives those that are there their new values.
    mutating func add(_ wanted: [[UInt8]: [UInt8]]) throws(XSKError) {
        for (key, value) in wanted where entries[key] != value {
            let result = put(key, value)
            guard result == 0 else {
                throw XSKError(
                    "cannot add a \(noun) to the steering program", errno: -result,
                    remedy: """
                        E2BIG and ENOSPC mean that its map is full: fewer \(noun)s are needed.
                        """)
            }
        }
    }

    /// Removes what is not wanted, and gives what is left the values that are.
    ///
    /// An entry that the kernel does not change stays as it is: a later change tries again.
    mutating func settle(_ wanted: [[UInt8]: [UInt8]]) {
        for (key, value) in entries where wanted[key] != value {
            if let value = wanted[key] {
                _ = put(key, value)
            } else if unsafe bpf_map_delete_elem(descriptor, key) == 0 {
                entries[key] = nil
            }
        }
    }

    private mutating func put(_ key: [UInt8], _ value: [UInt8]) -> Int32 {
        let result = unsafe bpf_map_update_elem(descriptor, key, value, UInt64(BPF_ANY))
        if result == 0 { entries[key] = value }
        return result
    }
}

extension SteeringRules {
    fileprivate var config: [UInt8] {
        var config = steer_config()
        unsafe withUnsafeMutableBytes(of: &config.mac) { unsafe $0.copyBytes(from: mac) }
        config.vlan = vlan ?? 0
        config.answers_echo = answersEcho ? 1 : 0
        return bytes(of: config)
    }
}

extension SteeringRules.Prefix {
    fileprivate var mapKey: [UInt8] {
        var key = steer_prefix()
        key.length = UInt32(length)
        unsafe withUnsafeMutableBytes(of: &key.address) { unsafe $0.copyBytes(from: address) }
        return bytes(of: key)
    }
}

extension SteeringRules.Endpoint {
    fileprivate var mapKey: [UInt8] {
        var key = steer_endpoint()
        unsafe withUnsafeMutableBytes(of: &key.address) { unsafe $0.copyBytes(from: address) }
        key.port = port.bigEndian
        key.protocol = transport
        return bytes(of: key)
    }
}

/// The bytes of a key or value as they lie in memory; none of these types has hidden padding.
private func bytes<Value: BitwiseCopyable>(of value: Value) -> [UInt8] {
    unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
}
