// SPDX-License-Identifier: Apache-2.0

/// A question in one datagram, and what its answer must be.
enum DatagramDialogue {
    /// `dns`: asks for the name servers of a name (RFC 1035 §4).
    case dns(id: UInt16, name: String)

    /// The question.
    var question: [UInt8] {
        switch self {
        case .dns(let id, let name):
            var bytes = WireBytes()
            bytes.put(id)
            // A query, recursion not desired: what a server itself knows is enough.
            bytes.put(UInt16(0))
            for count in [1, 0, 0, 0] as [UInt16] { bytes.put(count) }
            for label in name.split(separator: ".") {
                bytes.put(UInt8(label.utf8.count))
                bytes.bytes += label.utf8
            }
            bytes.put(UInt8(0))
            let nameServers: UInt16 = 2
            bytes.put(nameServers)
            bytes.put(UInt16(1))
            return bytes.bytes
        }
    }

    /// What an answer says; `nil` when it is none to this question.
    ///
    /// Any answer that is no failure of the server's own (SERVFAIL, REFUSED, NOTIMP) shows that it
    /// serves; whether the name exists is not the probe's business.
    func judge(_ answer: [UInt8]) -> ProbeMove.Verdict? {
        switch self {
        case .dns(let id, _):
            guard answer.count >= 12, UInt16(answer[0]) << 8 | UInt16(answer[1]) == id,
                answer[2] & 0x80 != 0
            else { return nil }
            let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
            let code = Int(answer[3] & 0x0f)
            let name = code < names.count ? names[code] : "code \(code)"
            return [0, 3].contains(code) ? .success : .badReply(name)
        }
    }
}
