"""K-06: the document at /openapi.json is true: schemathesis makes requests from it, good and bad ones."""

import re
import subprocess
import sys

import pytest


def test_schemathesis(strict, tmp_path):
    checks = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
              "unsupported_method", "negative_data_rejection"]
    done = subprocess.run([sys.executable, "-m", "schemathesis.cli", "run", f"{strict.url}/openapi.json", "--url",
                           strict.url, "--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing",
                           "--max-examples", "8", "--seed", "1", "--workers", "2", "--continue-on-failure",
                           "--suppress-health-check", "all"],
                          capture_output=True, encoding="utf-8", timeout=600, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
