"""K-06: the document at /openapi.json is true: schemathesis makes requests from it, good and bad ones."""

import re
import subprocess
import sys

import pytest

from test_http import request


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


# Fields of one interface are unknown to another: read there or passed over, but never a reason for 500.
FIELDS = ["temperature", "top_p", "min_p", "top_k", "repeat_penalty", "presence_penalty", "frequency_penalty", "repeat_last_n",
          "seed", "logit_bias", "stop", "stop_sequences", "min_tokens", "ignore_eos", "loop_guard", "cache_prompt",
          "cache_salt", "chat_template_kwargs", "reasoning_effort", "thinking_budget", "num_predict", "num_ctx"]
VALUES = ["x", [1], {"5": "x"}, 2**32 + 5, -5, 1.5, True, [{}], {"a": []}]
MESSAGES = [{"role": "user", "content": "hi"}]
BODIES = {"/v1/chat/completions": {"max_tokens": 2, "messages": MESSAGES},
          "/v1/completions": {"max_tokens": 2, "prompt": "hi"},
          "/v1/responses": {"max_output_tokens": 16, "input": "hi"},
          "/v1/messages": {"max_tokens": 2, "messages": MESSAGES},
          "/api/chat": {"stream": False, "messages": MESSAGES, "options": {"num_predict": 2}},
          "/api/generate": {"stream": False, "prompt": "hi", "options": {"num_predict": 2}}}


@pytest.mark.parametrize("path", BODIES)
def test_fields_of_other_interfaces(strict, path):
    for field in FIELDS:
        for value in VALUES:
            body = {"model": "scripted", **BODIES[path], field: value}
            if "options" in body:
                body = {**body, "options": {**body["options"], field: value}}
            response, text = request(strict, "POST", path, body)
            assert response.status in (200, 400), (field, value, response.status, text)
