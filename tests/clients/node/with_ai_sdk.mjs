// Vercel's AI SDK with its openai-compatible provider.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, jsonSchema, streamText, tool } from "ai";

import { all, main, told } from "./both.mjs";

// It names the customer by a header: its embeddings drop fields that they do not know.
const provider = (url, apiKey, customer, options = {}) =>
  createOpenAICompatible({
    name: "farebox",
    baseURL: `${url}/v1`,
    apiKey,
    headers: { "x-farebox-customer": customer },
    ...options,
  });

const HELLO = { prompt: "Größe 日本 🎉?", maxRetries: 0 };
const TOOLS = Object.fromEntries(
  ["weather", "time"].map((name) => [
    name,
    tool({ description: name, inputSchema: jsonSchema({ type: "object", properties: {} }) }),
  ]),
);

const told_ = (result) => ({
  text: result.text,
  reasoning: result.reasoningText,
  calls: result.toolCalls?.map(({ toolName, input, toolCallId }) => [toolName, input, toolCallId]),
  usage: result.usage,
  finish: result.finishReason,
  headers: result.response?.headers ? told(result.response.headers) : null,
  body: result.response?.body,
});

const generated = (model, more = {}) => async (url, token, customer) =>
  told_(await generateText({ model: provider(url, token, customer)(model), ...HELLO, ...more }));

const streamed = (model, more = {}, options = {}) => async (url, token, customer) => {
  let failed;
  const result = streamText({
    model: provider(url, token, customer, options)(model),
    ...HELLO,
    ...more,
    onError: ({ error }) => { failed = error; },
  });
  const parts = await all(result.fullStream);
  if (failed) throw failed;
  return parts.map(({ response, id, ...part }) => part);
};

const scenarios = {
  "chat: generateText": generated("chat"),
  "chat: generateText, own fields": async (url, token, customer) =>
    told_(await generateText({
      model: provider(url, token, customer)("chat"),
      providerOptions: { farebox: { customer_params: { customer_identifier: customer } } },
      ...HELLO,
    })),
  "chat: streamText": streamed("chat"),
  "chat: streamText with usage": streamed("chat", {}, { includeUsage: true }),
  "chat: tools": generated("tools", { tools: TOOLS }),
  "chat: tools, streamed": streamed("tools", { tools: TOOLS }),
  "chat: reasoning, streamed": streamed("thinks"),
  "chat: generateObject": async (url, token, customer) => {
    const { object, usage } = await generateObject({
      model: provider(url, token, customer)("profile"),
      schema: jsonSchema({
        type: "object",
        properties: { name: { type: "string" }, age: { type: "number" } },
      }),
      ...HELLO,
    });
    return { object, usage };
  },
  "chat: retried": generated("busy-once", { maxRetries: 2 }),
  "embeddings: embedMany": async (url, token, customer) => {
    const { embeddings, usage } = await embedMany({
      model: provider(url, token, customer).embeddingModel("m"),
      values: ["a", "b"],
      maxRetries: 0,
    });
    return { embeddings, usage };
  },
};
for (const odd of ["azure", "comments", "counted", "crlf", "bytewise"]) {
  scenarios[`chat ${odd}: streamText`] = streamed(odd);
}
for (const status of [400, 402, 404, 429, 500, 503]) {
  scenarios[`error ${status}: generateText`] = generated(`status-${status}`);
}
scenarios["error 402: streamText"] = streamed("status-402");
scenarios["error cut: streamText"] = streamed("cut");

globalThis.AI_SDK_LOG_WARNINGS = false;
await main(scenarios);
