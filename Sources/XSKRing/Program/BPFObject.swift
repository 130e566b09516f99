// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc
internal import Synchronization

/// Owner of an opened and loaded BPF object: its programs and maps live as long as it does.
@safe
public struct BPFObject: ~Copyable, @unchecked Sendable {
    private let object: OpaquePointer

    /// Opens an embedded object and loads it into the kernel.
    ///
    /// - Parameters:
    ///   - embedded: What to load.
    ///   - mapSizes: Entries of maps that differ from what the source says, by the map's name.
    /// - Throws: With the verifier's words when the kernel refuses the program.
    public init(_ embedded: EmbeddedBPF, mapSizes: [String: Int] = [:]) throws(XSKError) {
        let log = BPFLog.capture()
        let image = embedded.image()
        guard
            let object = unsafe image.withUnsafeBytes({ bytes in
                unsafe bpf_object__open_mem(bytes.baseAddress, bytes.count, nil)
            })
        else {
            throw XSKError("cannot open the BPF object '\(embedded.name)'", errno: Glibc.errno)
        }
        for (name, size) in mapSizes {
            let map = unsafe bpf_object__find_map_by_name(object, name)
            _ = unsafe bpf_map__set_max_entries(map, UInt32(size))
        }
        let loaded = unsafe bpf_object__load(object)
        guard loaded == 0 else {
            unsafe bpf_object__close(object)
            throw XSKError(
                "cannot load the BPF program '\(embedded.name)'", errno: -loaded,
                remedy: Self.remedy(-loaded) + log.text())
        }
        unsafe self.object = object
    }

    deinit { unsafe bpf_object__close(object) }

    private static func remedy(_ error: Int32) -> String {
        error == EPERM || error == EACCES
            ? "It needs CAP_BPF and CAP_NET_ADMIN, or root. " : "The kernel said: "
    }

    /// Descriptor of a program, by the name of its function; `nil` when there is none.
    public func program(_ name: String) -> Int32? {
        guard let program = unsafe bpf_object__find_program_by_name(object, name) else {
            return nil
        }
        return unsafe bpf_program__fd(program)
    }

    /// The program itself, for libbpf's own attach functions; valid as long as this object.
    func programPointer(_ name: String) -> OpaquePointer? {
        unsafe bpf_object__find_program_by_name(object, name)
    }

    /// Descriptor of a map, by name; `nil` when there is none.
    public func map(_ name: String) -> Int32? {
        let descriptor = unsafe bpf_object__find_map_fd_by_name(object, name)
        return descriptor >= 0 ? descriptor : nil
    }
}

/// What libbpf prints while a program is loaded: kept for the error, shown to nobody otherwise.
struct BPFLog {
    private static let lines = Mutex<[String]>([])
    private static let kept = 12

    static func capture() -> BPFLog {
        lines.withLock { $0 = [] }
        unsafe _ = libbpf_set_print { level, format, arguments in
            guard level != LIBBPF_DEBUG, let format = unsafe format,
                let arguments = unsafe arguments
            else { return 0 }
            // One message holds the verifier's whole log, whose end says what it refuses.
            var buffer = [CChar](repeating: 0, count: 1 << 20)
            let length = unsafe vsnprintf(&buffer, buffer.count, format, arguments)
            let bytes = buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }
            BPFLog.add(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
            return length
        }
        return BPFLog()
    }

    private static func add(_ text: String) {
        lines.withLock { lines in
            lines += text.split(separator: "\n").map(String.init)
            if lines.count > kept { lines.removeFirst(lines.count - kept) }
        }
    }

    func text() -> String { Self.lines.withLock { $0.joined(separator: "\n") } }
}
