// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc

/// The steering program, loaded and run once, and attached to nothing.
public struct SteeringRehearsal: Equatable, Sendable {
    /// Whether the kernel compiled it to machine code (`net.core.bpf_jit_enable`).
    public let isCompiled: Bool
    /// Whether a frame that concerns nobody was left to the kernel.
    public let isHarmless: Bool

    /// An outcome of its parts.
    public init(isCompiled: Bool, isHarmless: Bool) {
        self.isCompiled = isCompiled
        self.isHarmless = isHarmless
    }

    /// Loads the real program and runs it on a frame (BPF_PROG_TEST_RUN).
    ///
    /// - Throws: What the kernel refused, with the verifier's words.
    public static func run() throws(XSKError) -> SteeringRehearsal {
        var access = FrameAccess.direct
        let object = try SteeringProgram.load([.direct, .copying], [:], &access)
        guard let program = object.program(access.rawValue) else {
            throw XSKError("the embedded steering program is not there: the build is broken")
        }
        // As long as the shortest frame of Ethernet, and of no protocol.
        let action = try SteeringProgram.testRun(program, [UInt8](repeating: 0, count: 60))
        return SteeringRehearsal(
            isCompiled: isCompiled(program), isHarmless: action == XDP_PASS.rawValue)
    }

    private static func isCompiled(_ program: Int32) -> Bool {
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        return unsafe bpf_obj_get_info_by_fd(program, &info, &length) == 0
            && info.jited_prog_len > 0
    }
}
