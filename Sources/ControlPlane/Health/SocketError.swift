// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Why a socket did not do what it was asked.
struct SocketError: Error, Equatable {
    /// An `errno` value.
    let number: Int32

    init(_ number: Int32) { self.number = number }

    /// That of the call that has just failed on this thread.
    static var last: SocketError { SocketError(errno) }

    /// In the words of the C library.
    var text: String { unsafe String(cString: strerror(number)) }

    /// How a probe ends by it.
    var outcome: (result: ProbeResult, detail: String) {
        switch number {
        case ECONNREFUSED: (.refused, "refused")
        case ECONNRESET, EPIPE: (.badReply, "reset")
        case ETIMEDOUT, EHOSTUNREACH, EHOSTDOWN: (.timeout, text)
        default: (.error, text)
        }
    }
}
