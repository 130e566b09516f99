# SPDX-License-Identifier: Apache-2.0
"""An interface whose address changes, again and again: the load balancer goes on with each of them."""
import unittest

from lab import WEB, Lab, backends, wait_until


class Changing(unittest.TestCase):
    def test_snat_goes_on_with_the_twelfth_address_of_the_interface(self):
        lab = self.enterContext(Lab())
        lab.start("snat", services=[f"{WEB}={backends(80)}"])

        def service():
            return lab.json("service", "list")["services"][0]

        for last in range(201, 213):
            before = lab.status()["generation"]
            lab.run("lb", "ip", "addr", "flush", "dev", "eth0", "scope", "global")
            lab.run("lb", "ip", "addr", "add", f"20.1.1.{last}/24", "dev", "eth0")
            # There is room for eight: the ninth waits until one without connections was given back.
            wait_until(lambda: lab.status()["generation"] > before and service()["eligible"] == service()["backends"],
                       f"20.1.1.{last} is in use", seconds=30)
        lab.run("client", "ip", "route", "replace", "40.1.1.1/32", "via", "20.1.1.212")
        lab.requests(40).finish()
        self.assertNotIn("publish_failed", (lab.dir / "xdplb.log").read_text())


if __name__ == "__main__":
    unittest.main()
