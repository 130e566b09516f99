// SPDX-License-Identifier: Apache-2.0

/// The options of an IPv4 header (RFC 791 §3.1).
enum IPv4Options {
    private static let endOfList: UInt8 = 0
    private static let noOperation: UInt8 = 1
    private static let looseSourceRoute: UInt8 = 131
    private static let strictSourceRoute: UInt8 = 137

    /// Walks the options once.
    ///
    /// - Throws: `options` for a source route, which RFC 7126 §4.3 says to drop, and for a length
    ///   that leaves the header or does not move on.
    static func check(in frame: Frame, at offset: Int, headerLength: Int) throws(DropReason) {
        guard let header = frame.bytes(at: offset, count: headerLength) else { throw .malformed }
        var position = IPv4Header.byteCount
        while position < headerLength {
            let kind: UInt8 = header.load(position)
            if kind == endOfList { return }
            if kind == noOperation {
                position += 1
                continue
            }
            guard kind != looseSourceRoute, kind != strictSourceRoute, position + 1 < headerLength
            else { throw .options }
            let length = Int(header.load(position + 1, as: UInt8.self))
            guard length >= 2, position + length <= headerLength else { throw .options }
            position += length
        }
    }
}
