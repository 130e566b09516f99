// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Glibc
import Testing
import XSKRing

@testable import xdplb

/// What the doctor says to facts of kernel, privileges and processors.
@Suite struct HostJudgementTests {
    private static func kernel(
        _ release: String = "6.18.44", _ sockets: KernelCheck.Sockets = .present,
        compiles: Bool? = true, hasQuery: Bool = true
    ) -> KernelCheck {
        KernelCheck(
            release: release, sockets: sockets, compilesPrograms: compiles,
            hasFeatureQuery: hasQuery)
    }

    @Test(arguments: [
        JudgementCase(
            "all is there", kernel(), "ok kernel 6.18.44: AF_XDP, BPF JIT, netdev feature query"),
        JudgementCase(
            "what cannot be seen in a namespace is not claimed", kernel(compiles: nil),
            "ok kernel 6.18.44: AF_XDP, netdev feature query"),
        JudgementCase(
            "Debian 12's own kernel has no query", kernel("6.1.0-37-amd64", hasQuery: false),
            "ok kernel 6.1.0-37-amd64: AF_XDP, BPF JIT, no netdev feature query (6.3)"),
        JudgementCase(
            "without AF_XDP nothing works", kernel("6.18.0-small", .absent),
            """
            FAIL kernel 6.18.0-small has no AF_XDP sockets: xdplb cannot run -> a kernel with \
            CONFIG_XDP_SOCKETS, as Debian's have
            """),
        JudgementCase(
            "a user without privileges is told what was not tried", kernel("6.12.1", .notAllowed),
            "ok kernel 6.12.1: AF_XDP not tried (needs CAP_NET_RAW), BPF JIT, netdev feature query"),
        JudgementCase(
            "interpreted programs are slow", kernel(compiles: false),
            """
            warn kernel net.core.bpf_jit_enable is 0: the steering program is interpreted, several \
            times slower -> sysctl -w net.core.bpf_jit_enable=1
            """),
        JudgementCase(
            "an old kernel is not tested", kernel("5.10.0-1"),
            """
            warn kernel 5.10.0-1 is older than 6.1: xdplb is not tested with it -> Debian 12 has \
            6.1, its backports newer ones
            """),
    ])
    func `the kernel is judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func privileges(
        _ missing: PrivilegesCheck.Capabilities = [], limit: UInt64? = 8 << 20,
        umem: UInt64 = 64 << 20, more: PrivilegesCheck.Capabilities = []
    ) -> PrivilegesCheck {
        PrivilegesCheck(
            capabilities: PrivilegesCheck.Capabilities.needed.subtracting(missing).union(more),
            lockedLimit: limit, umemByteCount: umem, executable: "/usr/bin/xdplb")
    }

    private static let setcap =
        "setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock=ep /usr/bin/xdplb"

    @Test(arguments: [
        JudgementCase(
            "all four are there", privileges(), "ok privileges all four capabilities are present"),
        JudgementCase(
            "each missing one is named with its cost", privileges([.netRaw, .netAdmin, .bpf]),
            """
            FAIL privileges CAP_NET_RAW is missing: no AF_XDP socket can be made -> \(setcap), or \
            run it as root
            """,
            """
            FAIL privileges CAP_NET_ADMIN is missing: no program can be attached, and no busy \
            polling -> \(setcap), or run it as root
            """,
            """
            FAIL privileges CAP_BPF is missing: no program can be loaded -> \(setcap), or run it as \
            root
            """),
        JudgementCase(
            "CAP_SYS_ADMIN has what CAP_BPF was split off", privileges(.bpf, more: .administrator),
            "ok privileges all four capabilities are present"),
        JudgementCase(
            "a UMEM over the limit cannot be registered", privileges(.lockMemory),
            """
            FAIL privileges CAP_IPC_LOCK is missing; the UMEM has 64 MiB, 8 MiB may be locked: \
            registering the UMEM fails (ENOBUFS) -> \(setcap), or LimitMEMLOCK=infinity in the unit
            """),
        JudgementCase(
            "a small UMEM fits", privileges(.lockMemory, umem: 4 << 20),
            """
            info privileges CAP_IPC_LOCK is missing; the UMEM has 4 MiB, 8 MiB may be locked: it \
            fits, if nothing else of this user locks memory
            """),
        JudgementCase(
            "without a limit CAP_IPC_LOCK is not missed", privileges(.lockMemory, limit: nil),
            "ok privileges all four capabilities are present"),
    ])
    func `privileges are judged`(_ judgement: JudgementCase) { judgement.verify() }

    @Test(arguments: [
        JudgementCase(
            "it is as it should be",
            ProgramCheck(rehearsal: .success(.init(isCompiled: true, isHarmless: true))),
            "ok program the steering program loads, runs and is compiled"),
        JudgementCase(
            "it is interpreted",
            ProgramCheck(rehearsal: .success(.init(isCompiled: false, isHarmless: true))),
            """
            warn program the steering program loads and runs, interpreted: every frame costs \
            several times as much -> sysctl -w net.core.bpf_jit_enable=1
            """),
        JudgementCase(
            "it takes what is not ours",
            ProgramCheck(rehearsal: .success(.init(isCompiled: true, isHarmless: false))),
            """
            FAIL program the steering program takes a frame that concerns nobody: the host would \
            lose its own traffic -> report it, with the kernel's version
            """),
        JudgementCase(
            "the verifier's words are told",
            ProgramCheck(rehearsal: .failure(XSKError("cannot load it: R1 invalid mem access"))),
            """
            FAIL program cannot load it: R1 invalid mem access: no frame can be steered to xdplb -> \
            report it with these words, and with the kernel's version
            """),
        JudgementCase(
            "missing privileges are told by their own check",
            ProgramCheck(rehearsal: .failure(XSKError("cannot load it", errno: EPERM))),
            "info program not tried: it needs CAP_BPF and CAP_NET_ADMIN"),
    ])
    func `the steering program is judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func processors(
        _ list: [ProcessorsCheck.Processor], workers: Int? = nil
    ) -> ProcessorsCheck {
        ProcessorsCheck(processors: list, workerCount: workers ?? list.count)
    }

    @Test(arguments: [
        JudgementCase(
            "a core each",
            processors([.init(cpu: 2, siblings: [2, 6]), .init(cpu: 3, siblings: [3, 7])]),
            "ok cpu 2 workers on CPU 2-3, cores of their own"),
        JudgementCase(
            "two workers on one core",
            processors([.init(cpu: 2, siblings: [2, 6]), .init(cpu: 6, siblings: [2, 6])]),
            """
            warn cpu CPUs 2,6 are threads of one core: two workers share it -> 'workers.cores' on \
            different cores
            """),
        JudgementCase(
            "more workers than CPUs", processors([.init(cpu: 0)], workers: 4),
            """
            warn cpu 4 workers, 1 CPUs: workers share CPUs -> fewer queues (ethtool -L), or more CPUs
            """),
        JudgementCase(
            "a governor that saves", processors([.init(cpu: 1, governor: "powersave")]),
            """
            warn cpu governor powersave on CPU 1: a worker that slept runs slowly at first -> echo \
            performance > /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor
            """),
        JudgementCase(
            "time that the hypervisor took", processors([.init(cpu: 1, stolen: 0.034)]),
            """
            warn cpu CPU 1: the hypervisor took up to 3.4 % of the time: packets wait, and are lost \
            at high load -> CPUs that other guests do not share
            """),
        JudgementCase(
            "a little stolen time is an accident", processors([.init(cpu: 1, stolen: 0.009)]),
            "ok cpu 1 worker on CPU 1, a core of its own"),
    ])
    func `processors are judged`(_ judgement: JudgementCase) { judgement.verify() }

    @Test func `stolen time is a share of all time, guests counted once`() {
        let shares = ProcessorsCheck.stolenTimes(
            """
            cpu  10 0 10 60 0 0 0 20 50 0
            cpu0 5 0 5 30 0 0 0 10 25 0
            cpu1 0 0 0 0 0 0 0 0 0 0
            intr 5 0
            """)
        #expect(shares == [0: 0.2, 1: 0])
    }

    private static func interrupts(
        _ list: [InterruptsCheck.Interrupt] = [], node: [Int]? = nil, balance: Bool = false,
        deferral: (interrupts: Int, nanoseconds: Int)? = nil
    ) -> InterruptsCheck {
        InterruptsCheck(
            interface: "eth0", interrupts: list, nodeCPUs: node, hasIRQBalance: balance,
            pollsBusily: deferral != nil, deferral: deferral)
    }

    @Test(arguments: [
        JudgementCase(
            "a virtual device has none", interrupts(), "ok irq eth0 has no interrupts of its own"),
        JudgementCase(
            "on the node",
            interrupts(
                [.init(number: 30, cpus: [0]), .init(number: 31, cpus: [1])], node: [0, 1]),
            "ok irq eth0: 2 interrupts on CPUs 0-1"),
        JudgementCase(
            "on another node",
            interrupts(
                [.init(number: 30, cpus: [0]), .init(number: 31, cpus: [9])], node: [0, 1]),
            """
            warn irq eth0: 1 of 2 interrupts on another NUMA node: every frame crosses between nodes \
            -> echo 0-1 > /proc/irq/31/smp_affinity_list
            """),
        JudgementCase(
            "irqbalance moves them", interrupts(balance: true),
            """
            warn irq irqbalance runs: it moves queue interrupts among the cores -> systemctl disable \
            --now irqbalance
            """),
        JudgementCase(
            "busy polling wants interrupts put off", interrupts(deferral: (0, 200_000)),
            """
            warn irq busy_poll is on, but napi_defer_hard_irqs is 0 and gro_flush_timeout 200000: \
            interrupts interfere with polling -> echo 2 > /sys/class/net/eth0/napi_defer_hard_irqs; \
            echo 200000 > /sys/class/net/eth0/gro_flush_timeout
            """),
        JudgementCase(
            "and has it", interrupts(deferral: (2, 200_000)),
            "ok irq eth0 has no interrupts of its own"),
    ])
    func `interrupts are judged`(_ judgement: JudgementCase) { judgement.verify() }

    @Test(arguments: [
        JudgementCase(
            "one node",
            NodeCheck(interface: "eth0", node: nil, nodeCPUs: [], workerCPUs: [0]),
            "ok numa eth0 is bound to no node"),
        JudgementCase(
            "on the node",
            NodeCheck(interface: "eth0", node: 1, nodeCPUs: [8, 9], workerCPUs: [8, 9]),
            "ok numa eth0 and its workers are on node 1"),
        JudgementCase(
            "away from it",
            NodeCheck(interface: "eth0", node: 1, nodeCPUs: [8, 9, 10], workerCPUs: [3, 8]),
            """
            warn numa eth0 is on node 1, workers on CPU 3 are not: every frame crosses between nodes \
            -> 'workers.cores' among 8-10
            """),
    ])
    func `NUMA nodes are judged`(_ judgement: JudgementCase) { judgement.verify() }

    @Test func `lists of CPUs are read and written`() {
        #expect(KernelText.numbers(in: "0-3,8") == [0, 1, 2, 3, 8])
        #expect(KernelText.numbers(in: "").isEmpty && KernelText.numbers(in: "3-1").isEmpty)
        #expect(KernelText.list(of: [8, 0, 1, 3]) == "0-1,3,8")
    }
}
