"""Agent frameworks against the server (K-10, K-11): they run tools by themselves, over several requests."""

import asyncio

import agents
import openai
import pydantic
import pydantic_ai
import pytest
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

agents.set_tracing_disabled(True)
QUESTION = "the weather in Oslo"
ANSWER = "It is 18 degrees in Oslo."


def weather(city: str) -> str:
    """Tells the weather."""
    return f"18 degrees in {city}"


@pytest.mark.parametrize("model", [agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel])
def test_openai_agents(strict, model):
    async def ask(is_streamed):
        async with openai.AsyncOpenAI(base_url=f"{strict.url}/v1", api_key="none", max_retries=0) as client:
            agent = agents.Agent(name="helper", instructions="Be brief.", tools=[agents.function_tool(weather)],
                                 model=model(model="scripted", openai_client=client))
            if not is_streamed:
                return (await agents.Runner.run(agent, QUESTION)).final_output
            result = agents.Runner.run_streamed(agent, QUESTION)
            kinds = [event.type async for event in result.stream_events()]
            assert "raw_response_event" in kinds and "run_item_stream_event" in kinds
            return result.final_output

    assert asyncio.run(ask(False)) == ANSWER
    assert asyncio.run(ask(True)) == ANSWER


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.mark.parametrize("model", [OpenAIChatModel, OpenAIResponsesModel])
def test_pydantic_ai(strict, model):
    over = model("scripted", provider=OpenAIProvider(base_url=f"{strict.url}/v1", api_key="none"))
    result = pydantic_ai.Agent(over, tools=[weather]).run_sync(QUESTION)
    assert result.output == ANSWER and result.usage.requests == 2 and result.usage.tool_calls == 1
    person = pydantic_ai.Agent(over, output_type=pydantic_ai.NativeOutput(Person)).run_sync("a person as JSON").output
    assert person == Person(name="Ada", age=36)
