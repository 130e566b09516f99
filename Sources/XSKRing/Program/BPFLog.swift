// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc
internal import Synchronization

/// What libbpf prints while an object is loaded: kept for the error, shown to nobody otherwise.
///
/// libbpf has one print function for the process and calls it on the thread that loads, so the
/// lines are kept by thread.
enum BPFLog {
    private static let lines = Mutex<[pthread_t: [String]]>([:])
    /// Enough for the end of the verifier's log, where it says what it refuses.
    private static let keptCount = 12
    /// The whole log comes as one message.
    private static let byteCount = 1 << 20

    /// Keeps what is printed on this thread until ``end()``.
    static func begin() {
        lines.withLock { $0[pthread_self()] = [] }
        unsafe _ = libbpf_set_print { level, format, arguments in
            guard level != LIBBPF_DEBUG, let format = unsafe format,
                let arguments = unsafe arguments
            else { return 0 }
            var buffer = [CChar](repeating: 0, count: BPFLog.byteCount)
            let length = unsafe vsnprintf(&buffer, buffer.count, format, arguments)
            let bytes = buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }
            BPFLog.add(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
            return length
        }
    }

    /// The last lines printed on this thread.
    static func text() -> String {
        lines.withLock { ($0[pthread_self()] ?? []).joined(separator: "\n") }
    }

    /// Forgets this thread's lines.
    static func end() { lines.withLock { $0[pthread_self()] = nil } }

    private static func add(_ text: String) {
        lines.withLock { lines in
            guard let before = lines[pthread_self()] else { return }
            let all = before + text.split(separator: "\n").map(String.init)
            lines[pthread_self()] = all.suffix(keptCount)
        }
    }
}
