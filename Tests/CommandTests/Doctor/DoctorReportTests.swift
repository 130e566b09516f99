// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation
import Testing
import XSKRing

@testable import xdplb

/// How findings are told: as text, as a script, and as an exit code.
@Suite struct DoctorReportTests {
    private static let ok = Finding.ok("driver", "lo: ice, native XDP")
    private static let failed = Finding.fail(
        "offloads", "large-receive-offload is on", "merged frames cannot be forwarded",
        Remedy("ethtool -K lo lro off"))
    private static let warned = Finding.warn(
        "mtu", "1500, the tunnel adds 20", "full-size segments draw ICMP too big",
        Remedy("ip link set lo mtu 1520", or: "advmss 1440 on the backends"))
    private static let elsewhere = Finding.fail(
        "backend", "web-3 is silent", "no decapsulation there",
        Remedy("xdplb decap attach", on: "web-3"))

    private static func report(_ findings: Finding...) throws -> DoctorReport {
        var configuration = Configuration(interface: InterfaceConfiguration(name: "lo"))
        configuration.nodeName = "lb1"
        let subject = DoctorSubject(
            interface: try InterfaceFacts(name: "lo"), configuration: configuration,
            source: .file("/etc/xdplb/xdplb.yaml"), running: nil, holder: nil)
        return DoctorReport(
            subject: subject, findings: findings, time: Date(timeIntervalSince1970: 1_795_416_600))
    }

    @Test func `each line has level, check, fact, consequence and remedy`() throws {
        let text = try Self.report(Self.ok, Self.failed, Self.elsewhere, Self.warned).text
        #expect(
            text == """
                xdplb doctor, lb1, 2026-11-23 06:50 UTC, lo, /etc/xdplb/xdplb.yaml
                  ok    driver      lo: ice, native XDP
                  FAIL  offloads    large-receive-offload is on: merged frames cannot be forwarded  -> ethtool -K lo lro off
                  FAIL  backend     web-3 is silent: no decapsulation there
                                    -> on web-3: xdplb decap attach
                  warn  mtu         1500, the tunnel adds 20: full-size segments draw ICMP too big
                                    -> ip link set lo mtu 1520, or advmss 1440 on the backends
                2 failures, 1 warning; nothing was changed. `xdplb doctor --fix` prints a script.
                """)
    }

    @Test func `nothing to mend needs no script`() throws {
        let report = try Self.report(Self.ok)
        #expect(report.text.hasSuffix("0 failures, 0 warnings; nothing was changed."))
        #expect(report.script.hasSuffix("# Nothing to mend."))
    }

    @Test func `the script does what is this host's, and names what is not`() throws {
        let script = try Self.report(Self.failed, Self.elsewhere, Self.warned, Self.failed).script
        #expect(
            script == """
                #!/bin/sh
                # What 'xdplb doctor' found on lo; read it before running it.
                set -eu

                # FAIL offloads: large-receive-offload is on: merged frames cannot be forwarded
                ethtool -K lo lro off

                # FAIL backend: web-3 is silent: no decapsulation there
                # by hand, on web-3: xdplb decap attach

                # warn mtu: 1500, the tunnel adds 20: full-size segments draw ICMP too big
                ip link set lo mtu 1520

                # FAIL offloads: large-receive-offload is on: merged frames cannot be forwarded
                """)
    }

    @Test func `the exit code is the worst level's`() throws {
        #expect(try Self.report(Self.ok).failure(isStrict: true) == nil)
        #expect(try Self.report(Self.warned).failure(isStrict: false) == nil)
        #expect(try Self.report(Self.warned).failure(isStrict: true)?.code == .findings)
        #expect(try Self.report(Self.warned, Self.failed).failure(isStrict: true)?.code == .invalid)
    }

    @Test func `the document has every finding with its remedy`() throws {
        let report = try Self.report(Self.ok, Self.elsewhere)
        let document = try AdminJSON.decode(
            DoctorDocument.self, from: AdminJSON.encode(report.document))
        #expect(document.schema == "xdplb.doctor/1")
        #expect(document.failures == 1 && document.warnings == 0)
        #expect(document.findings.map(\.level) == ["ok", "fail"])
        #expect(document.findings[1].host == "web-3" && document.findings[1].commands.isEmpty)
        #expect(document.findings[0].remedy == nil)
    }
}
