# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format, as far as tests look at it."""
import re

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Family:
    """A metric family: its type, its HELP text, and its samples as (suffix, labels, value)."""

    def __init__(self):
        self.type = self.help = None
        self.samples = []

    def label_names(self):
        return {name for _, labels, _ in self.samples for name in labels if name != "le"}

    def label_values(self, name):
        return {labels[name] for _, labels, _ in self.samples if name in labels}


def parse(text):
    """Families by name, in order."""
    families = {}
    for line in text.splitlines():
        if line.startswith("# "):
            _, keyword, name, rest = line.split(" ", 3)
            assert getattr(families.setdefault(name, Family()), keyword.lower()) is None, f"{name} is there twice"
            setattr(families[name], keyword.lower(), rest)
            continue
        name, labels, value = SAMPLE.match(line).groups()
        base = next(part for part in (name, re.sub("_(bucket|sum|count)$", "", name)) if part in families)
        families[base].samples.append((name[len(base):], dict(LABEL.findall(labels or "")), float(value)))
    return families
