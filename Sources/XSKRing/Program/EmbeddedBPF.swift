// SPDX-License-Identifier: Apache-2.0

/// A BPF object that the build compiled from a `.bpf.c` file and put into this binary.
///
/// The EmbedBPF plugin generates one member for each file, in the target the file belongs to.
public struct EmbeddedBPF: Sendable {
    /// The file's name without its endings.
    public let name: StaticString
    private let base64: StaticString

    /// An object in base64, as generated.
    public init(name: StaticString, base64: StaticString) {
        self.name = name
        self.base64 = base64
    }

    /// The ELF image, decoded anew each time (RFC 4648 §4).
    public func image() -> [UInt8] {
        base64.withUTF8Buffer { text in
            var image: [UInt8] = []
            image.reserveCapacity(text.count / 4 * 3)
            var bits: UInt32 = 0
            var bitCount: UInt32 = 0
            for index in 0..<text.count {
                guard let digit = unsafe Self.digit(text[index]) else { continue }
                bits = bits << 6 | digit
                bitCount += 6
                if bitCount >= 8 {
                    bitCount -= 8
                    image.append(UInt8(truncatingIfNeeded: bits >> bitCount))
                }
            }
            return image
        }
    }

    private static func digit(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
