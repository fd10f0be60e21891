// Anthropic's SDK for Node: `/v1/messages`.

import Anthropic from "@anthropic-ai/sdk";

import { all, main } from "./both.mjs";

const HELLO = { max_tokens: 100, messages: [{ role: "user", content: "Größe 日本 🎉?" }] };
const client = (baseURL, apiKey) =>
  new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const paid = (customer) => ({ customer_params: { customer_identifier: customer } });

const scenarios = {
  "messages: create": async (url, token, customer) =>
    client(url, token).messages.create({ model: "m", ...HELLO, ...paid(customer) }),
  "messages: stream": async (url, token, customer) =>
    all(await client(url, token).messages.create(
      { model: "m", stream: true, ...HELLO, ...paid(customer) })),
  "messages: stream helper": async (url, token, customer) =>
    client(url, token).messages.stream({ model: "m", ...HELLO, ...paid(customer) }).finalMessage(),
};
for (const status of [400, 402, 429, 529]) {
  scenarios[`error ${status}: create`] = async (url, token, customer) =>
    client(url, token).messages.create({ model: `status-${status}`, ...HELLO, ...paid(customer) });
}
scenarios["error cut: stream"] = async (url, token, customer) =>
  all(await client(url, token).messages.create(
    { model: "cut", stream: true, ...HELLO, ...paid(customer) }));

await main(scenarios);
