# SPDX-License-Identifier: Apache-2.0
"""From the neutral configuration of the conformance vectors to the product's YAML."""
import json

STATES = {"up": "active", "down": "disabled", "drain": "draining"}
AFFINITIES = {
    "5-tuple": "five_tuple", "source-ip": "client_address", "dport": "destination_port",
}


def quoted(value):
    """A YAML scalar that is taken as it is written."""
    return json.dumps(str(value))


def flow(pairs):
    """A YAML mapping on one line."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in pairs if value is not None) + "}"


def convert(config):
    """The name and the text of the file that says the same as `config`."""
    lines = ["version: 1"]
    lines += interface(config)
    lines += ["connections: {entries_per_worker: 65536}"]
    lines += [f"icmp: {{echo_reply: {str(config.get('icmp_echo_reply', True)).lower()}}}"]
    lines += defaults(config.get("timeouts"))
    lines += pool(config.get("snat"))
    lines += ["services:"]
    for service in config["services"]:
        lines += services(service, config.get("snat"))
    return "xdplb.yaml", "\n".join(lines) + "\n"


def interface(config):
    link = config["interface"]
    source = config.get("encap_source", {})
    for family in ("ipv4", "ipv6"):
        if source.get(family, link.get(family)) != link.get(family):
            raise ValueError(f"encap_source.{family} differs from the interface's address")
    facts = [(key, quoted(link[key])) for key in ("mac",)] + [("mtu", link["mtu"])]
    facts += [(key, quoted(link[key])) for key in ("ipv4", "ipv6") if link.get(key)]
    facts += [("next_hop_mac", quoted(config["gateway"]["mac"]))]
    return [
        "interfaces:",
        "  - name: replay0",
        f"    vlan: {link.get('vlan', 'none')}",
        f"    offline: {flow(facts)}",
    ]


def defaults(timeouts):
    if not timeouts:
        return []
    return [f"defaults: {{timeouts: {flow((key, f'{value}s') for key, value in timeouts.items())}}}"]


def pool(snat):
    """The pool; a port may be used again at once, as the vectors reopen tuples."""
    if not snat:
        return []
    addresses = ", ".join(quoted(a) for a in snat.get("ipv4", []) + snat.get("ipv6", []))
    first, last = snat["ports"]
    return [
        "snat_pools:",
        f"  - {{name: pool, addresses: [{addresses}], ports: {first}-{last}, reuse_after: 0s}}",
    ]


def services(service, snat):
    vip = service["vip"]
    if "prefix_len" in service:
        vip = f"{vip}/{service['prefix_len']}"
    port = str(service["port"])
    if "port_end" in service:
        port = f"{port}-{service['port_end']}"
    is_snat = service["mode"] == "snat"
    lines = [
        f"  - name: {quoted(service['id'])}",
        f"    vips: [{quoted(vip)}]",
        f"    ports: [{port}/{service['proto']}]",
        f"    mode: {'snat' if is_snat else 'dsr'}",
        f"    affinity: {AFFINITIES[service.get('hash', '5-tuple')]}",
    ]
    if is_snat and snat:
        lines.append("    snat_pool: pool")
    if service.get("source_ranges"):
        lines.append(f"    source_ranges: [{', '.join(map(quoted, service['source_ranges']))}]")
    lines.append("    backends:" if service["backends"] else "    backends: []")
    for backend in service["backends"]:
        lines.append(f"      - {backend_text(backend, is_snat)}")
    return lines


def backend_text(backend, is_snat):
    address = backend["addr"]
    if is_snat and backend.get("port"):
        host = f"[{address}]" if ":" in address else address
        address = f"{host}:{backend['port']}"
    return flow([
        ("address", quoted(address)), ("weight", backend["weight"]),
        ("admin_state", STATES[backend["state"]]),
    ])
