// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Foundation
internal import XSKRing

/// The two places of an interface where a program can be: what is there, putting ours there, and
/// taking it away.
enum DecapHook {
    /// Our filter in clsact: other people's have other numbers.
    private static let tcHandle: UInt32 = 0x7864
    private static let tcPriority: UInt32 = 0x7864

    /// Bytes of a struct up to the end of its last member of four bytes.
    ///
    /// libbpf wants all that follows to be zero, which padding of a Swift value need not be.
    private static func byteCount<Options, Member: FixedWidthInteger>(
        upTo member: KeyPath<Options, Member>
    ) -> Int {
        (MemoryLayout<Options>.offset(of: member) ?? 0) + MemoryLayout<Member>.size
    }

    // MARK: XDP

    /// The program on the XDP hook.
    static func xdpProgram(_ interface: NetworkInterface) -> UInt32? {
        var identifier: UInt32 = 0
        guard unsafe bpf_xdp_query_id(interface.index, 0, &identifier) == 0 else { return nil }
        return identifier == 0 ? nil : identifier
    }

    /// Puts a program on the XDP hook, where none is; it stays when this process ends.
    static func attachXDP(_ program: Int32, _ interface: NetworkInterface) throws {
        let flags = UInt32(XDP_FLAGS_UPDATE_IF_NOEXIST) | UInt32(XDP_FLAGS_DRV_MODE)
        let result = bpf_xdp_attach(interface.index, program, flags, nil)
        guard result == 0 else {
            let holder = xdpProgram(interface).flatMap(DecapProgramInfo.init)?.name
            let remedy =
                switch -result {
                case EBUSY, EEXIST:
                    """
                    XDP program '\(holder ?? "?")' is there already and is never replaced; use \
                    '--mode tc', or take it off: 'ip link set \(interface.name) xdp off'
                    """
                case EOPNOTSUPP: "Its driver has no XDP; use '--mode tc'"
                case EINVAL: "Its MTU may be over what the driver takes for XDP; use '--mode tc'"
                default: ""
                }
            throw CommandFailure(
                .refused,
                XSKError(
                    "cannot attach to \(interface.name)", errno: -result, remedy: remedy
                ).description)
        }
    }

    /// Takes our program off the XDP hook, and only ours.
    static func detachXDP(_ program: UInt32, _ interface: NetworkInterface) throws {
        let descriptor = bpf_prog_get_fd_by_id(program)
        defer { if descriptor >= 0 { close(descriptor) } }
        var options = bpf_xdp_attach_opts()
        options.sz = byteCount(upTo: \bpf_xdp_attach_opts.old_prog_fd)
        // The kernel compares: somebody else's program that came in between stays.
        options.old_prog_fd = descriptor
        let result = unsafe bpf_xdp_detach(
            interface.index, UInt32(XDP_FLAGS_DRV_MODE), &options)
        guard result == 0 else {
            throw CommandFailure(
                .refused,
                XSKError("cannot detach from \(interface.name)", errno: -result).description)
        }
    }

    // MARK: TC

    private static func hook(_ interface: NetworkInterface) -> bpf_tc_hook {
        var hook = bpf_tc_hook()
        hook.sz = byteCount(upTo: \bpf_tc_hook.parent)
        hook.ifindex = interface.index
        hook.attach_point = BPF_TC_INGRESS
        return hook
    }

    private static func options() -> bpf_tc_opts {
        var options = bpf_tc_opts()
        options.sz = byteCount(upTo: \bpf_tc_opts.priority)
        options.handle = tcHandle
        options.priority = tcPriority
        return options
    }

    /// The program of our filter.
    static func tcProgram(_ interface: NetworkInterface) -> UInt32? {
        var hook = hook(interface)
        var options = options()
        _ = BPFQuiet.shared
        guard unsafe bpf_tc_query(&hook, &options) == 0 else { return nil }
        return options.prog_id == 0 ? nil : options.prog_id
    }

    /// Adds our filter to clsact, which is made when there is none.
    static func attachTC(_ program: Int32, _ interface: NetworkInterface) throws {
        var hook = hook(interface)
        _ = BPFQuiet.shared
        let created = unsafe bpf_tc_hook_create(&hook)
        guard created == 0 || created == -EEXIST else {
            throw CommandFailure(
                .refused,
                XSKError(
                    "cannot make clsact on \(interface.name)", errno: -created,
                    remedy: "The kernel needs CONFIG_NET_CLS_ACT and CAP_NET_ADMIN, or root"
                ).description)
        }
        var options = options()
        options.prog_fd = program
        let result = unsafe bpf_tc_attach(&hook, &options)
        guard result == 0 else {
            throw CommandFailure(
                .refused,
                XSKError("cannot add a filter to \(interface.name)", errno: -result).description)
        }
    }

    /// Removes our filter; clsact stays, as others may use it.
    static func detachTC(_ interface: NetworkInterface) throws {
        var hook = hook(interface)
        var options = options()
        let result = unsafe bpf_tc_detach(&hook, &options)
        guard result == 0 else {
            throw CommandFailure(
                .refused,
                XSKError("cannot remove the filter of \(interface.name)", errno: -result)
                    .description)
        }
    }
}

/// Keeps libbpf from printing what the errors say anyway.
struct BPFQuiet {
    static let shared = BPFQuiet()

    private init() { unsafe _ = libbpf_set_print(nil) }
}
