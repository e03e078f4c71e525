// The server's OpenAI interface: models, and answers as they come.

export class ApiProblem extends Error {}

function headers(key) {
  return {"Content-Type": "application/json", ...(key ? {Authorization: `Bearer ${key}`} : {})};
}

async function failure(response) {
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.json()).error.message;
  } catch {
    // No JSON: the status has to do.
  }
  return new ApiProblem(text);
}

export async function listModels(key) {
  const response = await fetch("/v1/models", {headers: headers(key)});
  if (!response.ok) throw await failure(response);
  return (await response.json()).data.map((model) => model.id);
}

// Yields the chunks of a streamed answer until it is complete or signal aborts it.
export async function* streamChat(body, key, signal) {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: headers(key),
    body: JSON.stringify({...body, stream: true, stream_options: {include_usage: true}}),
    signal,
  });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new ApiProblem("The answer broke off.");
    buffered += value;
    let end;
    while ((end = buffered.indexOf("\n\n")) >= 0) {
      const event = buffered.slice(0, end);
      buffered = buffered.slice(end + 2);
      const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (!data) continue;  // a ping
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ApiProblem(chunk.error.message);
      yield chunk;
    }
  }
}
