// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc

/// Who has an interface's XDP hook.
public struct XDPHolder: Equatable, Sendable {
    /// A process that holds the link by which a program is attached.
    public struct Process: Equatable, Sendable {
        /// Its number.
        public let identifier: Int
        /// Its name, at most 15 bytes.
        public let command: String

        /// A process of its parts.
        public init(identifier: Int, command: String) {
            self.identifier = identifier
            self.command = command
        }
    }

    /// Number of the program.
    public let program: UInt32
    /// Name of its function, at most 15 bytes; `nil` when the kernel does not tell.
    public let name: String?
    /// How it is attached; `nil` when the NIC itself runs it.
    public let mode: AttachMode?
    /// Who holds it; `nil` when it is attached without a link, or the holder cannot be seen.
    public let process: Process?

    /// A holder of its parts.
    public init(program: UInt32, name: String?, mode: AttachMode?, process: Process?) {
        self.program = program
        self.name = name
        self.mode = mode
        self.process = process
    }

    /// Finds the holder of a device's hook.
    ///
    /// - Parameter index: The device's number.
    /// - Returns: The holder; `nil` when no program is attached.
    public static func find(interface index: Int) -> XDPHolder? {
        var options = unsafe bpf_xdp_query_opts()
        unsafe options.sz = optionSize(through: \bpf_xdp_query_opts.attach_mode)
        guard unsafe bpf_xdp_query(Int32(index), 0, &options) == 0, unsafe options.prog_id != 0
        else { return nil }
        let identifier = unsafe options.prog_id
        let mode: AttachMode? =
            switch UInt32(unsafe options.attach_mode) {
            case UInt32(XDP_ATTACHED_DRV): .native
            case UInt32(XDP_ATTACHED_SKB): .generic
            default: nil
            }
        return XDPHolder(
            program: identifier, name: name(ofProgram: identifier), mode: mode,
            process: link(ofProgram: identifier, toInterface: index).flatMap(process(holdingLink:)))
    }

    /// `17 'xdp_dispatcher'`.
    public var programText: String { name.map { "\(program) '\($0)'" } ?? "\(program)" }

    /// A sentence on the program that is attached, and on the process that holds it, as far as the
    /// kernel and /proc tell.
    static func describe(interface: String, index: Int) -> String {
        guard let holder = find(interface: index) else {
            return "Another program is being attached there; try again"
        }
        guard let process = holder.process else {
            return """
                XDP program \(holder.programText) is on \(interface) already and is never replaced; \
                'ip link set \(interface) xdp off' takes it off if it is not needed
                """
        }
        return """
            XDP program \(holder.programText) is on \(interface) already, held by process \
            \(process.identifier) (\(process.command)), and is never replaced; stop that process first
            """
    }

    private static func name(ofProgram identifier: UInt32) -> String? {
        let descriptor = bpf_prog_get_fd_by_id(identifier)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        guard unsafe bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0 else { return nil }
        return unsafe withUnsafeBytes(of: &info.name) { bytes in
            unsafe String(decoding: unsafe bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// The link of a program to an interface; `nil` when it is attached without one.
    ///
    /// By both, as another network namespace may have an interface of the same number.
    private static func link(ofProgram program: UInt32, toInterface index: Int) -> UInt32? {
        var identifier: UInt32 = 0
        while unsafe bpf_link_get_next_id(identifier, &identifier) == 0 {
            let descriptor = bpf_link_get_fd_by_id(identifier)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var info = bpf_link_info()
            var length = UInt32(MemoryLayout<bpf_link_info>.size)
            guard unsafe bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0 else { continue }
            if info.type == BPF_LINK_TYPE_XDP.rawValue && info.prog_id == program
                && info.xdp.ifindex == UInt32(index)
            {
                return identifier
            }
        }
        return nil
    }

    private static func process(holdingLink link: UInt32) -> Process? {
        for entry in directory("/proc") {
            guard let identifier = Int(entry) else { continue }
            for descriptor in directory("/proc/\(entry)/fdinfo") {
                let info = FileText.read("/proc/\(entry)/fdinfo/\(descriptor)") ?? ""
                guard info.contains("link_type:\txdp"), info.contains("link_id:\t\(link)\n") else {
                    continue
                }
                let command = FileText.read("/proc/\(entry)/comm") ?? "?"
                return Process(
                    identifier: identifier, command: String(command.prefix { $0 != "\n" }))
            }
        }
        return nil
    }

    private static func directory(_ path: String) -> [String] {
        guard let stream = unsafe opendir(path) else { return [] }
        defer { unsafe _ = closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            names.append(
                unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    unsafe String(decoding: unsafe bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }
}

/// Small files of /proc and /sys.
enum FileText {
    /// The first 64 KiB; `nil` when the file cannot be read.
    static func read(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
        return count >= 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }
}
