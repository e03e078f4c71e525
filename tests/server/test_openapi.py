"""K-06: the document at /openapi.json is true: schemathesis makes requests from it, good and bad ones."""

import re
import subprocess
import sys

import pytest


def test_schemathesis(strict, tmp_path):
    checks = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
              "unsupported_method", "negative_data_rejection"]
    # One worker: hypothesis changes the interpreter's recursion limit, and where a second thread parses Python at that
    # moment, Python 3.11 takes it for an error of its own ("AST constructor recursion depth mismatch").
    done = subprocess.run([sys.executable, "-m", "schemathesis.cli", "run", f"{strict.url}/openapi.json", "--url",
                           strict.url, "--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing",
                           "--max-examples", "8", "--seed", "1", "--workers", "1", "--continue-on-failure",
                           "--suppress-health-check", "all"],
                          capture_output=True, encoding="utf-8", timeout=600, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
