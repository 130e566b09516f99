# SPDX-License-Identifier: Apache-2.0
"""Real answers of the admin API, and what commands print as JSON, are as their schemas say."""
import json
import subprocess
import unittest

import jsonschema

from api import TCP, ApiLab, quoted
from lab import ROOT, WEB, XDPLB, BACKENDS

COMMITTED = ROOT / "docs/operate/openapi.json"
COMMANDS = ROOT / "docs/operate/commands.schema.json"


def closed(schema):
    """The schema, but with no other members than it names: an answer must have none that is not described."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
        return schema
    return [closed(item) for item in schema] if isinstance(schema, list) else schema


class Described(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ApiLab())
        cls.lab.serve()
        cls.lab.requests(50).finish()
        cls.lab.upload(5)
        cls.description = cls.lab.document("/api/v1/openapi.json")
        cls.schemas = closed(cls.description["components"])

    def is_valid(self, document, schema):
        checker = jsonschema.FormatChecker()
        jsonschema.Draft202012Validator({**schema, "components": self.schemas}, format_checker=checker).validate(document)

    def answer_is_described(self, method, template, path, body=None, status=200):
        """Asks, and compares with what the description says of that status."""
        given, headers, text = self.lab.ask(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        self.assertEqual(given, status, (method, path, text))
        responses = self.description["paths"][template][method.lower()]["responses"]
        self.assertIn(str(status), responses)
        (media, content), = responses[str(status)]["content"].items()
        self.assertEqual(headers["Content-Type"].split(";")[0], media)
        if "schema" in content and media == "application/json":
            self.is_valid(json.loads(text), closed(content["schema"]))
        return text

    def test_the_committed_description_is_what_is_served(self):
        committed = json.loads(COMMITTED.read_text())
        self.assertEqual(self.description, committed, f"curl {TCP}/api/v1/openapi.json > {COMMITTED.relative_to(ROOT)} when that is meant")

    def test_every_read_answers_as_described(self):
        for template, methods in self.description["paths"].items():
            # A stream has no end to be waited for; test_events reads it.
            if "get" in methods and template != "/api/v1/events":
                with self.subTest(template):
                    self.answer_is_described("GET", template, template.replace("{service}", "web"))
                    if "{service}" in template:
                        self.answer_is_described("GET", template, template.replace("{service}", "none"), status=404)

    def test_every_change_and_its_refusal_answer_as_described(self):
        service = "/api/v1/services/{service}"
        backend = f"{service}/backends/{{backend}}"
        key = quoted("40.1.1.1:8081/udp")
        for method, template, path, body, status in [
                ("PUT", service, f"/api/v1/services/{key}?dry_run=true", {"backends": ["20.1.1.10"], "mode": "snat"}, 200),
                ("PUT", service, f"/api/v1/services/{key}", {"backends": ["20.1.1.10"], "mode": "snat"}, 200),
                ("PUT", service, "/api/v1/services/none", {"backends": ["20.1.1.10"]}, 404),
                ("PUT", service, "/api/v1/services/web", {"backends": ["x"]}, 400),
                ("PUT", service, "/api/v1/services/web", {"backends": [], "weigth": 1}, 400),
                ("PUT", service, "/api/v1/services/web", {"backends": ["1" * (64 << 10)]}, 413),
                ("PUT", f"{service}/mode", "/api/v1/services/web/mode", {"mode": "snat"}, 200),
                ("PUT", f"{service}/mode", "/api/v1/services/web/mode", {"mode": "nat"}, 400),
                ("PATCH", backend, "/api/v1/services/web/backends/20.1.1.10", {"weight": 50}, 200),
                ("PATCH", backend, "/api/v1/services/web/backends/20.1.1.10", {"weight": 65536}, 400),
                ("PATCH", backend, "/api/v1/services/web/backends/none", {"weight": 1}, 404),
                ("DELETE", "/api/v1/connections", "/api/v1/connections?service=sink", None, 200),
                ("DELETE", "/api/v1/connections", "/api/v1/connections", None, 400),
                ("POST", "/api/v1/trace", "/api/v1/trace", {"flow": "tcp 20.1.1.100:1025 > 40.1.1.1:80"}, 200),
                ("POST", "/api/v1/trace", "/api/v1/trace", {"flow": "tcp"}, 400),
                ("DELETE", service, f"/api/v1/services/{key}", None, 200),
                ("DELETE", service, f"/api/v1/services/{key}", None, 404)]:
            with self.subTest(f"{method} {path} {status}"):
                self.answer_is_described(method, template, path, body, status)

    def test_a_change_for_another_generation_is_refused_as_described(self):
        status, _, text = self.lab.ask("PATCH", "/api/v1/services/web/backends/20.1.1.20", '{"weight": 7}', {"If-Match": "1"})
        self.assertEqual(status, 412)
        self.is_valid(json.loads(text), {"$ref": "#/components/schemas/ErrorDocument"})
        weights = {b["address"]: b["weight"] for b in self.lab.document("/api/v1/services/web/backends")["backends"]}
        self.assertEqual(weights["20.1.1.20"], 100)

    def test_what_is_served_with_another_method_says_with_which(self):
        for method, path, allowed in [("POST", "/api/v1/status", "GET, HEAD"), ("GET", "/api/v1/trace", "POST"),
                                      ("PATCH", "/api/v1/services/web", "DELETE, GET, HEAD, PUT")]:
            status, headers, text = self.lab.ask(method, path)
            self.assertEqual((status, headers["Allow"]), (405, allowed), text)

    def test_what_commands_print_as_json_is_as_their_schemas_say(self):
        by_name = {schema["properties"]["schema"]["const"]: name for name, schema in self.schemas["schemas"].items()
                   if "const" in schema.get("properties", {}).get("schema", {})}
        for arguments in [
                ["status"], ["service", "list"], ["service", "show", "web"], ["backend", "list"], ["backend", "list", "sink"],
                ["connections", "list"], ["connections", "count", "--service", "sink"], ["maglev", "show", "web"],
                ["neighbours", "list"], ["trace", "tcp 20.1.1.100:1025 > 40.1.1.1:80"],
                ["service", "update", "--vip", WEB, "--backends", ",".join(BACKENDS.values()), "--dry-run"],
                ["backend", "drain", "web/20.1.1.40"], ["backend", "undrain", "web/20.1.1.40"],
                ["backend", "weight", "web/20.1.1.40", "100"], ["mode", "set", "web", "dsr", "--dry-run"],
                ["service", "delete", "web", "--dry-run"], ["connections", "flush", "--service", "sink", "--dry-run"]]:
            with self.subTest(" ".join(arguments)):
                document = self.lab.json(*arguments)
                self.is_valid(document, {"$ref": f"#/components/schemas/{by_name[document['schema']]}"})

    def test_commands_without_a_daemon_print_what_their_schemas_say(self):
        schemas = closed(json.loads(COMMANDS.read_text())["$defs"])
        fixtures = ROOT / "Tests/ControlPlaneTests/Fixtures"
        bad = next(iter(sorted((fixtures / "bad").glob("*.yaml"))))
        good = next(iter(sorted((fixtures / "good").glob("*.yaml"))))
        documents = [self.lab.run("b1", XDPLB, "decap", "status", "--interface", "eth0", "-o", "json").stdout,
                     self.lab.run("client", XDPLB, "decap", "status", "--interface", "eth0", "-o", "json").stdout]
        for arguments in (["version"], ["check", "--offline", str(bad)], ["check", "--offline", str(good)]):
            documents.append(subprocess.run([XDPLB, *arguments, "-o", "json"], text=True, stdout=subprocess.PIPE).stdout)
        for text in documents:
            document = json.loads(text)
            name = document["schema"].removeprefix("xdplb.").removesuffix("/1")
            jsonschema.Draft202012Validator(schemas[name]).validate(document)


if __name__ == "__main__":
    unittest.main()
