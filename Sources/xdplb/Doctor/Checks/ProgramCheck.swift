// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import XSKRing

/// Whether the kernel takes the steering program, and it does what it should.
struct ProgramCheck: DoctorCheck {
    /// What a trial run of the real program came to.
    var rehearsal: Result<SteeringRehearsal, XSKError>

    private static let check = "program"

    var findings: [Finding] {
        switch rehearsal {
        // Which privileges are missing has been said.
        case .failure(let error) where error.errno == EPERM:
            return [.info(Self.check, "not tried: it needs CAP_BPF and CAP_NET_ADMIN")]
        case .failure(let error):
            return [
                .fail(
                    Self.check, error.description, "no frame can be steered to xdplb",
                    Remedy(words: "report it with these words, and with the kernel's version"))
            ]
        case .success(let rehearsal) where !rehearsal.isHarmless:
            return [
                .fail(
                    Self.check, "the steering program takes a frame that concerns nobody",
                    "the host would lose its own traffic",
                    Remedy(words: "report it, with the kernel's version"))
            ]
        case .success(let rehearsal) where !rehearsal.isCompiled:
            return [
                .warn(
                    Self.check, "the steering program loads and runs, interpreted",
                    "every frame costs several times as much",
                    Remedy("sysctl -w net.core.bpf_jit_enable=1"))
            ]
        case .success:
            return [.ok(Self.check, "the steering program loads, runs and is compiled")]
        }
    }
}

extension ProgramCheck {
    init(reading subject: DoctorSubject) {
        do throws(XSKError) {
            rehearsal = .success(try SteeringRehearsal.run())
        } catch {
            rehearsal = .failure(error)
        }
    }
}
