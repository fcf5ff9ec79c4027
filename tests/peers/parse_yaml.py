"""Reads YAML documents from standard input; fails with the reason where they are none."""

import sys

import yaml

documents = list(yaml.safe_load_all(sys.stdin))
if not all(isinstance(document, (dict, list)) for document in documents):
    sys.exit("not a mapping or a list")
