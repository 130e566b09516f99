// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

/// Which host a request asks for.
@Suite struct AdminHostCheckTests {
    @Test(arguments: [
        ("lb1", "lb1"), ("LB1:9660", "lb1"), ("lb1.:9660", "lb1"), ("localhost:9660", "localhost"),
        ("[::1]:9660", "::1"), ("[2001:DB8::1]", "2001:db8::1"), ("127.0.0.1:9660", "127.0.0.1"),
        ("", ""), ("[", "["), ("evil.example:9660", "evil.example"),
    ])
    func `the host is without port and brackets, in lower case`(authority: String, host: String) {
        #expect(AdminHostCheck.host(of: authority) == host)
    }

    @Test func `an address is one, whatever is near to one is a name`() {
        for address in ["127.0.0.1", "::1", "2001:db8::1"] {
            #expect(AdminHostCheck.isAddress(address))
        }
        for name in ["127.0.0.1.evil.example", "2130706433", "", "localhost", "0x7f.1"] {
            #expect(!AdminHostCheck.isAddress(name))
        }
    }
}
