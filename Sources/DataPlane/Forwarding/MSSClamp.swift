// SPDX-License-Identifier: Apache-2.0

/// Lowers the maximum segment size that a SYN announces (RFC 9293 §3.7.1).
enum MSSClamp {
    private static let endOfList: UInt8 = 0
    private static let noOperation: UInt8 = 1
    private static let maximumSegmentSize: UInt8 = 2

    /// Sets the option to `most` bytes if it says more; a SYN without the option stays as it is.
    ///
    /// - Precondition: the frame is a TCP segment that ``FlowParser`` accepted.
    static func apply(to frame: Frame, at offset: Int, most: UInt16) {
        guard let tcp = TCPHeader(in: frame, at: offset),
            let header = frame.bytes(at: offset, count: tcp.headerLength)
        else { return }
        var position = TCPHeader.byteCount
        while position &+ 1 < tcp.headerLength {
            let kind: UInt8 = header.load(position)
            if kind == endOfList { return }
            if kind == noOperation {
                position &+= 1
                continue
            }
            let length = Int(header.load(position &+ 1, as: UInt8.self))
            guard length >= 2, position &+ length <= tcp.headerLength else { return }
            if kind == maximumSegmentSize, length == 4 {
                lower(header, tcp, at: position &+ 2, most)
                return
            }
            position &+= length
        }
    }

    private static func lower(
        _ header: HeaderBytes, _ tcp: TCPHeader, at position: Int, _ most: UInt16
    ) {
        let old: UInt16 = header.load(position)
        guard old > most else { return }
        header.store(most, at: position)
        var delta = InternetChecksum.Delta()
        // At an odd place each byte counts in the other half of its word.
        if position & 1 == 0 {
            delta.replace(old, with: most)
        } else {
            delta.replace(old.byteSwapped, with: most.byteSwapped)
        }
        tcp.checksum = tcp.checksum.applying(delta)
    }
}
