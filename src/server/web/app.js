// The page: a conversation, its composer and its settings.

import {listModels, streamChat} from "/web/api.js";
import {markdown} from "/web/markdown.js";
import {attachmentOf, contentPart, startRecording} from "/web/media.js";

const $ = (id) => document.getElementById(id);
const scroller = $("scroller");
const list = $("messages");
const prompt = $("prompt");
const composer = $("composer");

// {role: "user", text, attachments} | {role: "assistant", text, thought, calls, figures} | {role: "tool", id, name, text}
let conversation = [];
let attachments = [];
let answering = null;  // the AbortController of the answer that is being made
let recording = null;  // a promise of the recording, from when the button is pressed until it is pressed again

// ---- Settings ------------------------------------------------------------------------------------------------------

const form = $("settings").querySelector("form");
const NUMBERS = ["temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "thinking_budget", "max_soft_tokens"];

function loadSettings() {
  const saved = JSON.parse(localStorage.getItem("carat.settings") || "{}");
  for (const [name, value] of Object.entries(saved)) if (form.elements[name]) form.elements[name].value = value;
  form.elements.key.value = sessionStorage.getItem("carat.key") || "";
  setThinking(localStorage.getItem("carat.think") === "on");
  applyTheme();
}

function saveSettings() {
  const values = Object.fromEntries([...new FormData(form)].filter(([name]) => name !== "key"));
  localStorage.setItem("carat.settings", JSON.stringify(values));
  sessionStorage.setItem("carat.key", form.elements.key.value);
  applyTheme();
  try {
    toolsOf();
    $("tools-problem").textContent = "";
  } catch (error) {
    $("tools-problem").textContent = error.message;
  }
}

const apiKey = () => form.elements.key.value.trim();

function applyTheme() {
  const theme = form.elements.theme.value;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function setThinking(on) {
  $("think").setAttribute("aria-pressed", on);
  localStorage.setItem("carat.think", on ? "on" : "off");
}

const isThinking = () => $("think").getAttribute("aria-pressed") === "true";

// [{name, …}], or OpenAI's [{type, function}].
function toolsOf() {
  const text = form.elements.tools.value.trim();
  if (!text) return [];
  let tools;
  try {
    tools = JSON.parse(text);
  } catch (error) {
    throw new Error(`The tools are not valid JSON: ${error.message}`);
  }
  if (!Array.isArray(tools)) throw new Error("The tools must be a list: [{\"name\": …}]");
  return tools.map((tool) => (tool.function ? tool : {type: "function", function: tool}));
}

// ---- Requests ------------------------------------------------------------------------------------------------------

function apiMessages() {
  const softTokens = Number(form.elements.max_soft_tokens.value) || 0;
  const messages = conversation.map((message) => {
    if (message.role === "tool") return {role: "tool", tool_call_id: message.id, name: message.name, content: message.text};
    if (message.role === "assistant") {
      return {
        role: "assistant",
        content: message.text || null,
        ...(message.calls.length ? {
          reasoning_content: message.thought,
          tool_calls: message.calls.map((call) => ({
            id: call.id, type: "function", function: {name: call.name, arguments: call.arguments || "{}"},
          })),
        } : {}),
      };
    }
    if (!message.attachments.length) return {role: "user", content: message.text};
    // Gemma wants pictures before the words about them, and sound behind.
    const part = (attachment) => contentPart(attachment, softTokens);
    return {
      role: "user",
      content: [
        ...message.attachments.filter((a) => a.kind === "image").map(part),
        ...(message.text ? [{type: "text", text: message.text}] : []),
        ...message.attachments.filter((a) => a.kind === "audio").map(part),
      ],
    };
  });
  const system = form.elements.system.value.trim();
  return system ? [{role: "system", content: system}, ...messages] : messages;
}

function requestBody(messages) {
  const body = {
    model: $("model").value,
    messages,
    chat_template_kwargs: {enable_thinking: isThinking()},
  };
  for (const name of NUMBERS) {
    const value = form.elements[name].value;
    if (value !== "" && name !== "max_soft_tokens") body[name] = Number(value);
  }
  const tools = toolsOf();
  if (tools.length) body.tools = tools;
  return body;
}

// Asks for the next message of the conversation and shows it as it comes.
async function answer() {
  const messages = apiMessages();
  const message = {role: "assistant", text: "", thought: "", calls: [], figures: "", problem: "", isBusy: true};
  conversation.push(message);
  render(message);
  setBusy(true);
  answering = new AbortController();
  const began = performance.now();
  let firstToken = 0;
  try {
    for await (const chunk of streamChat(requestBody(messages), apiKey(), answering.signal)) {
      const choice = chunk.choices[0];
      if (choice) {
        if (!firstToken && (choice.delta.content || choice.delta.reasoning_content)) firstToken = performance.now();
        take(message, choice.delta);
        if (choice.finish_reason === "length") {
          message.figures = choice.stop_reason === "loop" ? "stopped: it repeated itself" : "stopped at the limit";
        }
      }
      if (chunk.usage) message.figures = figures(chunk, firstToken - began, message.figures);
      update(message);
    }
  } catch (error) {
    if (error.name === "AbortError") message.figures = "stopped";
    else message.problem = error.message;
  }
  message.isBusy = false;
  answering = null;
  setBusy(false);
  update(message, true);
  prompt.focus();
}

function take(message, delta) {
  message.text += (delta.content || "") + (delta.unparsed || "");
  message.thought += delta.reasoning_content || "";
  for (const piece of delta.tool_calls || []) {
    const call = (message.calls[piece.index] ||= {id: "", name: "", arguments: ""});
    call.id ||= piece.id || "";
    call.name ||= piece.function.name || "";
    call.arguments += piece.function.arguments || "";
  }
}

function figures(chunk, firstTokenMs, note) {
  const rate = chunk.timings ? chunk.timings.predicted_per_second : 0;
  const parts = [`${chunk.usage.completion_tokens} tokens`];
  if (rate > 0) parts.push(`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`);
  if (firstTokenMs > 0) parts.push(`first after ${(firstTokenMs / 1000).toFixed(2)} s`);
  const cached = chunk.usage.prompt_tokens_details?.cached_tokens || 0;
  if (cached) parts.push(`${cached} of ${chunk.usage.prompt_tokens} prompt tokens cached`);
  if (note) parts.push(note);
  return parts.join(" · ");
}

// ---- Messages on the page ------------------------------------------------------------------------------------------

function render(message) {
  const node = $("message-template").content.firstElementChild.cloneNode(true);
  message.node = node;
  node.classList.add(message.role);
  node.setAttribute("aria-label", {user: "You", assistant: "Answer", tool: "Result of a tool"}[message.role]);
  for (const attachment of message.attachments || []) {
    const media = document.createElement(attachment.kind === "image" ? "img" : "audio");
    media.src = attachment.url;
    if (attachment.kind === "image") media.alt = attachment.name;
    else media.controls = true;
    node.querySelector(".media").append(media);
  }
  node.querySelector(".copy").onclick = (event) => copy(message.text, event.currentTarget);
  node.querySelector(".edit").onclick = () => edit(message);
  node.querySelector(".retry").onclick = () => retry(message);
  list.append(node);
  document.body.classList.add("has-messages");
  update(message, true);
  scroller.scrollTop = scroller.scrollHeight;
}

let pending = null;  // messages to be drawn at the next frame

function update(message, isNow = false) {
  if (isNow) return draw(message);
  if (pending) return pending.add(message);
  pending = new Set([message]);
  requestAnimationFrame(() => {
    const messages = pending;
    pending = null;
    messages.forEach(draw);
  });
}

function draw(message) {
  const {node} = message;
  const isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  node.classList.toggle("busy", !!message.isBusy);
  const text = node.querySelector(".text");
  if (message.role === "assistant") text.replaceChildren(...markdown(message.text));
  else text.textContent = message.role === "tool" ? `${message.name} → ${message.text}` : message.text;
  text.classList.toggle("cursor", !!message.isBusy);
  const thought = node.querySelector(".thought");
  thought.hidden = !message.thought;
  if (message.thought) {
    thought.querySelector("summary").textContent = message.isBusy && !message.text ? "Thinking" : "Thought";
    thought.querySelector(".thought-text").textContent = message.thought.trim();
  }
  node.querySelector(".calls").replaceChildren(...(message.calls || []).map((call) => callCard(message, call)));
  const problem = node.querySelector(".problem");
  problem.hidden = !message.problem;
  problem.textContent = message.problem || "";
  node.querySelector(".figures").textContent = message.figures || "";
  node.querySelector(".below").hidden = !!message.isBusy;
  if (isAtEnd) scroller.scrollTop = scroller.scrollHeight;
}

// A call, and a field for what the tool answers.
function callCard(message, call) {
  const card = document.createElement("section");
  card.className = "call";
  const title = document.createElement("h3");
  title.textContent = `Calls ${call.name}`;
  const code = document.createElement("pre");
  code.textContent = pretty(call.arguments);
  card.append(title, code);
  const isOpen = !message.isBusy && !resultOf(call) && isLastAssistant(message);
  if (isOpen) {
    const reply = document.createElement("form");
    const field = document.createElement("input");
    field.placeholder = "What the tool answers";
    field.setAttribute("aria-label", `What ${call.name} answers`);
    const button = document.createElement("button");
    button.className = "primary";
    button.textContent = "Answer";
    reply.append(field, button);
    reply.onsubmit = (event) => {
      event.preventDefault();
      giveResult(message, call, field.value);
    };
    card.append(reply);
  }
  return card;
}

const resultOf = (call) => conversation.find((message) => message.role === "tool" && message.id === call.id);
const isLastAssistant = (message) => conversation.findLast((other) => other.role !== "tool") === message;

function giveResult(message, call, text) {
  const result = {role: "tool", id: call.id, name: call.name, text};
  conversation.push(result);
  render(result);
  update(message, true);
  if (message.calls.every(resultOf)) answer();
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function copy(text, button) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = words; }, 1500);
}

// Forgets the conversation from a message on.
function cutAt(message) {
  const at = conversation.indexOf(message);
  for (const gone of conversation.splice(at)) gone.node.remove();
  document.body.classList.toggle("has-messages", conversation.length > 0);
}

function edit(message) {
  if (answering) return;
  cutAt(message);
  prompt.value = message.text;
  attachments = message.attachments;
  drawAttachments();
  grow();
  prompt.focus();
}

function retry(message) {
  if (answering) return;
  cutAt(message);
  answer();
}

// ---- Composer ------------------------------------------------------------------------------------------------------

function setBusy(isBusy) {
  composer.classList.toggle("busy", isBusy);
  $("send").setAttribute("aria-label", isBusy ? "Stop" : "Send");
  $("send").title = isBusy ? "Stop (Esc)" : "Send";
  $("status").textContent = "";
}

function say(text) {
  $("status").textContent = text;
}

function grow() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

async function submit() {
  if (answering) return answering.abort();
  if (recording) await endRecording();
  if (answering) return;  // sent meanwhile
  const text = prompt.value.trim();
  if (!text && !attachments.length) return;
  const message = {role: "user", text, attachments};
  conversation.push(message);
  attachments = [];
  prompt.value = "";
  drawAttachments();
  grow();
  render(message);
  answer();
}

async function attach(files) {
  for (const file of files) {
    try {
      attachments.push(await attachmentOf(file));
    } catch (error) {
      say(error.message);
    }
  }
  drawAttachments();
}

function drawAttachments() {
  $("attachments").replaceChildren(...attachments.map((attachment) => {
    const chip = document.createElement("div");
    chip.className = "chip";
    if (attachment.kind === "image") {
      const image = document.createElement("img");
      image.src = attachment.url;
      image.alt = attachment.name;
      chip.append(image);
    } else {
      const name = document.createElement("span");
      name.textContent = attachment.name;
      chip.append(name);
    }
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Remove ${attachment.name}`);
    remove.onclick = () => {
      attachments = attachments.filter((other) => other !== attachment);
      drawAttachments();
    };
    chip.append(remove);
    return chip;
  }));
}

function setRecording(promise) {
  recording = promise;
  $("record").setAttribute("aria-pressed", promise !== null);
}

async function beginRecording() {
  const begun = startRecording();
  setRecording(begun);
  try {
    await begun;
    if (recording === begun) say("Recording: press again to end");
  } catch (error) {
    if (recording === begun) setRecording(null);
    say(`No microphone: ${error.message}`);
  }
}

async function endRecording() {
  const begun = recording;
  setRecording(null);
  let file = null;
  try {
    file = await (await begun).stop();
  } catch {
    return;  // it never began, and beginRecording() says why
  }
  say(file ? "" : "Nothing was recorded.");
  if (file) await attach([file]);
}

// ---- Beginning -----------------------------------------------------------------------------------------------------

const IDEAS = [
  ["Explain", "how a sourdough starter works"],
  ["Write", "a haiku about the first frost"],
  ["Compare", "two ways to sort a list, with code"],
];

function drawIdeas() {
  $("ideas").replaceChildren(...IDEAS.map(([verb, rest]) => {
    const button = document.createElement("button");
    button.type = "button";
    const small = document.createElement("small");
    small.textContent = rest;
    button.append(verb, small);
    button.onclick = () => {
      prompt.value = `${verb} ${rest}.`;
      submit();
    };
    return button;
  }));
}

async function loadModels() {
  try {
    const models = await listModels(apiKey());
    $("model").replaceChildren(...models.map((id) => new Option(id, id)));
    say("");
  } catch (error) {
    say(error.message);
  }
}

composer.onsubmit = (event) => {
  event.preventDefault();
  submit();
};
prompt.oninput = grow;
prompt.onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!answering) submit();
  }
};
document.onkeydown = (event) => {
  if (event.key === "Escape" && answering && !$("settings").open) answering.abort();
};
prompt.onpaste = (event) => {
  if (event.clipboardData.files.length) {
    event.preventDefault();
    attach(event.clipboardData.files);
  }
};
document.ondragover = (event) => {
  event.preventDefault();
  composer.classList.add("dragging");
};
document.ondragleave = () => composer.classList.remove("dragging");
document.ondrop = (event) => {
  event.preventDefault();
  composer.classList.remove("dragging");
  attach(event.dataTransfer.files);
};
list.onclick = (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button.closest(".code").querySelector("code").textContent, button);
};
$("attach").onclick = () => $("files").click();
$("files").onchange = (event) => {
  attach([...event.target.files]);
  event.target.value = "";
};
$("record").onclick = () => (recording ? endRecording() : beginRecording());
$("think").onclick = () => setThinking(!isThinking());
$("new-chat").onclick = () => {
  if (answering) answering.abort();
  if (conversation.length) cutAt(conversation[0]);
  prompt.focus();
};
$("open-settings").onclick = () => $("settings").showModal();
form.oninput = saveSettings;
$("settings").onclose = loadModels;

loadSettings();
drawIdeas();
loadModels();
