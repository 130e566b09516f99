// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation

/// A line of `replay --stdio` or of its events file: a frame, or a change.
enum ReplayLine {
    case frame(nanoseconds: UInt64, bytes: [UInt8])
    case action(nanoseconds: UInt64, [OfflineBackendChange])

    /// Reads a line.
    ///
    /// - Throws: ``ReplayFailure`` with what was expected.
    init(_ text: some StringProtocol) throws(ReplayFailure) {
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(text.utf8))
        } catch {
            throw ReplayFailure(
                "is not a JSON object with \"t\" and \"frame\" or \"action\": \(text.prefix(80))")
        }
        let nanoseconds = UInt64(clamping: Int64(max(0, min(document.t, 9e9)) * 1e9))
        if let frame = document.frame {
            guard let bytes = Self.bytes(hex: frame) else {
                throw ReplayFailure(
                    "has a \"frame\" that is not made of pairs of hexadecimal digits")
            }
            self = .frame(nanoseconds: nanoseconds, bytes: bytes)
        } else if let action = document.action {
            self = .action(
                nanoseconds: nanoseconds, action.set_backend.map(OfflineBackendChange.init))
        } else {
            throw ReplayFailure("has neither \"frame\" nor \"action\"")
        }
    }

    fileprivate struct Document: Decodable {
        var t: Double
        var frame: String?
        var action: Action?

        struct Action: Decodable { var set_backend: [Change] }

        struct Change: Decodable {
            var service: String
            var addr: String
            var state: String?
            var weight: Int?
            var add: Bool?
            var remove: Bool?
        }
    }

    private static func bytes(hex text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = nibble(digits[index]), let low = nibble(digits[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension OfflineBackendChange {
    fileprivate init(_ change: ReplayLine.Document.Change) {
        self.init(
            service: change.service, backend: change.addr, state: change.state,
            weight: change.weight, adds: change.add ?? false, removes: change.remove ?? false)
    }
}

/// What is wrong with an input, to be completed with its name and line.
struct ReplayFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
