// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc

/// Owner of an opened and loaded BPF object: its programs and maps live as long as it does.
@safe
public struct BPFObject: ~Copyable, @unchecked Sendable {
    private let object: OpaquePointer

    /// Opens an embedded object and loads it into the kernel.
    ///
    /// - Parameters:
    ///   - embedded: What to load.
    ///   - only: The one program of it to load; `nil` for all.
    ///   - mapSizes: Entries of maps that differ from what the source says, by the map's name.
    /// - Throws: With the verifier's words when the kernel refuses the program.
    public init(
        _ embedded: EmbeddedBPF, only: String? = nil, mapSizes: [String: Int] = [:]
    ) throws(XSKError) {
        BPFLog.begin()
        defer { BPFLog.end() }
        let image = embedded.image()
        var options = unsafe bpf_object_open_opts()
        unsafe options.sz = optionSize(through: \bpf_object_open_opts.kernel_log_level)
        unsafe options.object_name = UnsafeRawPointer(embedded.name.utf8Start)
            .assumingMemoryBound(to: CChar.self)
        guard
            let object = unsafe image.withUnsafeBytes({ bytes in
                unsafe bpf_object__open_mem(bytes.baseAddress, bytes.count, &options)
            })
        else {
            throw XSKError("cannot open the BPF object '\(embedded.name)'", errno: Glibc.errno)
        }
        for (name, size) in mapSizes {
            let map = unsafe bpf_object__find_map_by_name(object, name)
            _ = unsafe bpf_map__set_max_entries(map, UInt32(size))
        }
        if let only { unsafe Self.leaveOut(allBut: only, of: object) }
        let loaded = unsafe bpf_object__load(object)
        guard loaded == 0 else {
            unsafe bpf_object__close(object)
            throw XSKError(
                "cannot load the BPF program '\(embedded.name)'", errno: -loaded,
                remedy: Self.remedy(-loaded) + BPFLog.text())
        }
        unsafe self.object = object
    }

    deinit { unsafe bpf_object__close(object) }

    private static func leaveOut(allBut name: String, of object: OpaquePointer) {
        var program = unsafe bpf_object__next_program(object, nil)
        while let current = unsafe program {
            let isMeant = unsafe String(cString: bpf_program__name(current)) == name
            _ = unsafe bpf_program__set_autoload(current, isMeant)
            unsafe program = bpf_object__next_program(object, current)
        }
    }

    private static func remedy(_ error: Int32) -> String {
        // The verifier refuses with EACCES, whoever asks.
        error == EPERM
            ? "It needs CAP_BPF and CAP_NET_ADMIN, or root. " : "The kernel said: "
    }

    /// Descriptor of a program, by the name of its function; `nil` when there is none.
    public func program(_ name: String) -> Int32? {
        guard let program = unsafe bpf_object__find_program_by_name(object, name) else {
            return nil
        }
        return unsafe bpf_program__fd(program)
    }

    /// Descriptor of a map, by name; `nil` when there is none.
    public func map(_ name: String) -> Int32? {
        let descriptor = unsafe bpf_object__find_map_fd_by_name(object, name)
        return descriptor >= 0 ? descriptor : nil
    }
}
