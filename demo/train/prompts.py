"""Samples → prompts, by the chat template of the Gemma 4 family that carat carries."""
from functools import cache
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE = Path(__file__).parents[2] / "src/chat/templates/gemma4.jinja"


@cache
def _template():
    # As transformers sets it up (utils/chat_template_utils.py).
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                extensions=[jinja2.ext.loopcontrols])
    environment.globals["raise_exception"] = _refuse
    return environment.from_string(TEMPLATE.read_text())


def _refuse(message):
    raise jinja2.TemplateError(message)


def render(sample) -> str:
    """The prompt, from <bos> to where the answer begins; placeholders of media stand in it once."""
    return _template().render(messages=sample.messages, tools=sample.tools, enable_thinking=sample.thinking,
                              add_generation_prompt=True, bos_token="<bos>")
