// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import DataPlane
internal import Foundation
internal import XSKRing

/// The maps of a decapsulation program: what it trusts, what it takes apart, what it counted.
///
/// Owns the three descriptors for the life of the process, which a command's is short.
struct DecapMaps {
    private let trusted: Int32
    private let vips: Int32
    private let counts: Int32

    /// struct address of decap.bpf.c: the family in host order, then four words in network order,
    /// of which IPv4 uses the first.
    private struct AddressKey: Hashable, BitwiseCopyable {
        private var family: UInt32
        private var first: UInt32
        private var second: UInt32 = 0
        private var third: UInt32 = 0
        private var fourth: UInt32 = 0

        init(_ address: IPAddress) {
            switch address.family {
            case .ipv4:
                family = 4
                first = address.lowWord.bigEndian
            case .ipv6:
                family = 6
                first = UInt32(truncatingIfNeeded: address.high >> 32).bigEndian
                second = UInt32(truncatingIfNeeded: address.high).bigEndian
                third = UInt32(truncatingIfNeeded: address.low >> 32).bigEndian
                fourth = UInt32(truncatingIfNeeded: address.low).bigEndian
            }
        }

        var address: IPAddress {
            func pair(_ high: UInt32, _ low: UInt32) -> UInt64 {
                UInt64(UInt32(bigEndian: high)) << 32 | UInt64(UInt32(bigEndian: low))
            }
            return family == 4
                ? IPAddress(IPv4Address(UInt32(bigEndian: first)))
                : IPAddress(high: pair(first, second), low: pair(third, fourth))
        }
    }

    /// struct trusted_prefix of decap.bpf.c: the bits of the family count, too.
    private struct TrustedKey: Hashable, BitwiseCopyable {
        private static let familyBits = 32
        private var bits: UInt32
        private var network: AddressKey

        init(_ prefix: IPPrefix) {
            bits = UInt32(Self.familyBits + prefix.length)
            network = AddressKey(prefix.network)
        }

        var prefix: IPPrefix? { IPPrefix(network.address, length: Int(bits) - Self.familyBits) }
    }

    /// Counters of decap.bpf.c, in its order.
    private static let counterCount: UInt32 = 5

    /// The maps of an object that was just loaded.
    ///
    /// - Throws: ``CommandFailure`` when the embedded object is not ours.
    init(of object: borrowing BPFObject) throws {
        guard let trusted = object.map("decap_trusted"), let vips = object.map("decap_vips"),
            let counts = object.map("decap_counts")
        else { throw CommandFailure(.refused, "the embedded decapsulation program lacks a map") }
        self.trusted = trusted
        self.vips = vips
        self.counts = counts
    }

    /// The maps of a program that is loaded already; `nil` when they are not ours, or of a version
    /// that had other keys.
    init?(ofProgram program: DecapProgramInfo) {
        var found: [String: Int32] = [:]
        var keySizes: [String: Int] = [:]
        for identifier in program.maps {
            let descriptor = bpf_map_get_fd_by_id(identifier)
            guard descriptor >= 0 else { continue }
            var info = bpf_map_info()
            var length = UInt32(MemoryLayout<bpf_map_info>.size)
            guard unsafe bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0 else { continue }
            let name = unsafe withUnsafeBytes(of: &info.name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            found[name] = descriptor
            keySizes[name] = Int(info.key_size)
        }
        guard let trusted = found["decap_trusted"], let vips = found["decap_vips"],
            let counts = found["decap_counts"],
            keySizes["decap_trusted"] == MemoryLayout<TrustedKey>.size,
            keySizes["decap_vips"] == MemoryLayout<AddressKey>.size
        else { return nil }
        self.trusted = trusted
        self.vips = vips
        self.counts = counts
    }

    // MARK: Content

    /// The VIPs, in order.
    var vipAddresses: [IPAddress] {
        keys(of: vips, AddressKey.self).map(\.address).sorted()
    }

    /// The trusted prefixes, in order.
    var trustedPrefixes: [IPPrefix] {
        keys(of: trusted, TrustedKey.self)
            .compactMap(\.prefix)
            .sorted { ($0.network, $0.length) < ($1.network, $1.length) }
    }

    /// Makes the content what is given: adds first, removes last, so that no tunnel that both
    /// allow is refused in between.
    func set(vips wanted: [IPAddress], trusted prefixes: [IPPrefix]) throws {
        try replace(vips, with: Set(wanted.map(AddressKey.init)), "VIPs")
        try replace(trusted, with: Set(prefixes.map(TrustedKey.init)), "trusted prefixes")
    }

    private func replace<Key: Hashable & BitwiseCopyable>(
        _ map: Int32, with wanted: Set<Key>, _ noun: String
    ) throws {
        let present = Set(keys(of: map, Key.self))
        var one: UInt8 = 1
        for key in wanted.subtracting(present) {
            var key = key
            let result = unsafe bpf_map_update_elem(map, &key, &one, UInt64(BPF_ANY))
            guard result == 0 else {
                throw CommandFailure(
                    .refused,
                    XSKError(
                        "cannot add to the \(noun)", errno: -result,
                        remedy: "ENOSPC and E2BIG mean that there are too many"
                    ).description)
            }
        }
        for key in present.subtracting(wanted) {
            var key = key
            _ = unsafe bpf_map_delete_elem(map, &key)
        }
    }

    private func keys<Key: Hashable & BitwiseCopyable>(of map: Int32, _ type: Key.Type) -> [Key] {
        var keys: [Key] = []
        let buffer = UnsafeMutablePointer<Key>.allocate(capacity: 1)
        defer { unsafe buffer.deallocate() }
        var result = unsafe bpf_map_get_next_key(map, nil, buffer)
        while result == 0 {
            keys.append(unsafe buffer.pointee)
            result = unsafe bpf_map_get_next_key(map, buffer, buffer)
        }
        return keys
    }

    /// The counters, summed over all CPUs.
    var counters: DecapCounters {
        let sums = (0..<Self.counterCount).map(sum)
        return DecapCounters(
            decapsulated: sums[0], notTunnelled: sums[1], untrusted: sums[2], notVIP: sums[3],
            malformed: sums[4])
    }

    private func sum(_ index: UInt32) -> UInt64 {
        var key = index
        var values = [UInt64](repeating: 0, count: Int(max(1, libbpf_num_possible_cpus())))
        guard unsafe bpf_map_lookup_elem(counts, &key, &values) == 0 else { return 0 }
        return values.reduce(0, &+)
    }
}
