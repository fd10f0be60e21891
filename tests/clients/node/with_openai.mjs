// openai-node: every surface, plain, streamed and by its helpers.

import OpenAI, { toFile } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { all, bytes, main, told } from "./both.mjs";

const HELLO = [{ role: "user", content: "Größe 日本 🎉 \u2028?" }];
const TOOLS = ["weather", "time"].map((name) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { city: { type: "string" } } } },
}));
const Profile = z.object({ name: z.string(), age: z.number() });

const client = (url, apiKey, maxRetries = 0) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries, timeout: 20_000 });
const paid = (customer) => ({ customer_params: { customer_identifier: customer } });
const withId = (answer) => ({ ...answer, _request_id: answer._request_id });

const chat = (model, more = {}) => async (url, token, customer) =>
  withId(await client(url, token).chat.completions.create(
    { model, messages: HELLO, ...more, ...paid(customer) }));
const streamed = (model, more = {}) => async (url, token, customer) =>
  all(await client(url, token).chat.completions.create(
    { model, messages: HELLO, stream: true, ...more, ...paid(customer) }));

const sound = () => toFile(Buffer.alloc(25_000, "0123456789abcdef"), "a b.wav", { type: "audio/wav" });

const scenarios = {
  "chat: create": chat("chat"),
  "chat: stream": streamed("chat"),
  "chat: stream with usage": streamed("chat", { stream_options: { include_usage: true } }),
  "chat: tools": chat("tools", { tools: TOOLS }),
  "chat: tools, streamed": streamed("tools", { tools: TOOLS }),
  "chat: parse": async (url, token, customer) =>
    client(url, token).chat.completions.parse({
      model: "profile", messages: HELLO, ...paid(customer),
      response_format: zodResponseFormat(Profile, "profile"),
    }),
  "chat: stream helper": async (url, token, customer) => {
    const runner = client(url, token).chat.completions.stream(
      { model: "tools", messages: HELLO, tools: TOOLS, ...paid(customer) });
    return [await all(runner), await runner.finalChatCompletion()];
  },
  "chat: raw response": async (url, token, customer) => {
    const raw = await client(url, token).chat.completions
      .create({ model: "chat", messages: HELLO, ...paid(customer) }).asResponse();
    return [raw.status, told(raw.headers), await raw.text()];
  },
  "chat: retried": async (url, token, customer) =>
    client(url, token, 2).chat.completions.create(
      { model: "busy-once", messages: HELLO, ...paid(customer) }),
  "completions: create": async (url, token, customer) =>
    client(url, token).completions.create({ model: "m", prompt: "Hi", ...paid(customer) }),
  "completions: stream": async (url, token, customer) =>
    all(await client(url, token).completions.create(
      { model: "m", prompt: "Hi", stream: true, ...paid(customer) })),
  "embeddings: base64": async (url, token, customer) =>
    client(url, token).embeddings.create({ model: "m", input: ["a", "b"], ...paid(customer) }),
  "embeddings: floats": async (url, token, customer) =>
    client(url, token).embeddings.create(
      { model: "m", input: ["a", "b"], encoding_format: "float", ...paid(customer) }),
  "responses: create": async (url, token, customer) =>
    client(url, token).responses.create({ model: "m", input: "Hi", ...paid(customer) }),
  "responses: stream": async (url, token, customer) =>
    all(await client(url, token).responses.create(
      { model: "m", input: "Hi", stream: true, ...paid(customer) })),
  "responses: stream helper": async (url, token, customer) => {
    const runner = client(url, token).responses.stream(
      { model: "m", input: "Hi", ...paid(customer) });
    return [await all(runner), await runner.finalResponse()];
  },
  "audio: speech": async (url, token, customer) => {
    const answer = await client(url, token).audio.speech.create(
      { model: "uncounted", voice: "alloy", input: "Hello", ...paid(customer) });
    return [told(answer.headers), bytes(await answer.arrayBuffer())];
  },
  "audio: transcription": async (url, token, customer) =>
    client(url, token).audio.transcriptions.create(
      { file: await sound(), model: "m", ...paid(customer) }),
  "images: generate": async (url, token, customer) =>
    client(url, token).images.generate({ model: "m", prompt: "A cat", ...paid(customer) }),
  "images: edit": async (url, token, customer) =>
    client(url, token).images.edit(
      { model: "m", image: [await sound(), await sound()], prompt: "A hat", ...paid(customer) }),
  "moderations: create": async (url, token, customer) =>
    client(url, token).moderations.create({ model: "uncounted", input: "Hi", ...paid(customer) }),
};

for (const odd of ["azure", "comments", "counted", "groq", "crlf", "bytewise", "thinks"]) {
  scenarios[`chat ${odd}: stream`] = streamed(odd);
}
for (const broken of ["error-frame", "cut"]) {
  scenarios[`error ${broken}: stream`] = streamed(broken);
}
for (const status of [400, 401, 403, 404, 409, 413, 418, 422, 429, 451, 500, 503, 529, 599]) {
  scenarios[`error ${status}: create`] = chat(`status-${status}`);
  scenarios[`error ${status}: stream`] = streamed(`status-${status}`);
}
scenarios["error html: create"] = chat("html");

await main(scenarios);
