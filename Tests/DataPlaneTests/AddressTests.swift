// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        "0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "2001:db8:0:1::",
        "1:2:3:4:5:6:7:8", "2001:0:0:1::1",
    ])
    func `an address in canonical form is printed as it was read`(_ text: String) throws {
        #expect(try #require(IPAddress(text)).description == text)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.+4", "1..2.3", ":", ":::",
        "1::2::3",
        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "fe80::1%eth0",
    ])
    func `what is no address is not read as one`(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0"])
    func `a prefix is printed as it was read`(_ text: String) throws {
        #expect(try #require(IPPrefix(text)).description == text)
    }

    @Test(arguments: ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "10.0.0.0/-1", "10.0.0.0/ 8"])
    func `a prefix with host bits or a wrong length is not read`(_ text: String) {
        #expect(IPPrefix(text) == nil)
    }
}
