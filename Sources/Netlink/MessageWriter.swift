// SPDX-License-Identifier: Apache-2.0

/// Builds one netlink message: header, fixed part, attributes (rtnetlink(7)).
struct MessageWriter {
    private(set) var bytes: [UInt8]

    /// A message of a kind with its fixed part.
    ///
    /// - Parameters:
    ///   - type: One of ``RouteMessageType``.
    ///   - flags: Of ``NetlinkHeader``; a request is always one.
    ///   - sequence: By which the answer is told from others.
    ///   - fixed: The part that every message of the kind has, of a multiple of four bytes.
    init(type: UInt16, flags: UInt16, sequence: UInt32, fixed: [UInt8]) {
        bytes = []
        bytes.reserveCapacity(128)
        Self.append(UInt32(0), to: &bytes)
        Self.append(type, to: &bytes)
        Self.append(flags | NetlinkHeader.request, to: &bytes)
        Self.append(sequence, to: &bytes)
        Self.append(UInt32(0), to: &bytes)
        bytes += fixed
        setLength()
    }

    /// Adds an attribute and pads it to four bytes.
    mutating func add(_ type: UInt16, _ value: [UInt8]) {
        Self.append(UInt16(4 + value.count), to: &bytes)
        Self.append(type, to: &bytes)
        bytes += value
        while bytes.count % 4 != 0 { bytes.append(0) }
        setLength()
    }

    /// Appends an integer in host byte order, as netlink has it.
    static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value.littleEndian >> T(shift)))
        }
    }

    private mutating func setLength() {
        let length = UInt32(bytes.count)
        for index in 0..<4 {
            bytes[index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index)))
        }
    }
}
