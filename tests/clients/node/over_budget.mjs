// What the Node clients make of a customer whose budget is used up, retrying as they like.
//
//     node over_budget.mjs <gateway's URL> <token> <customer> <another customer>

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";
import OpenAI from "openai";

const [url, apiKey, one, other] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const broke = (customer) => ({
  customer_params: { customer_identifier: customer, period_budget: 0 },
});
const told = (error) => [error.name, error.constructor.name, error.status ?? error.statusCode];

const raised = [];
try {
  await new OpenAI({ baseURL, apiKey, maxRetries: 2 }).chat.completions.create(
    { model: "demo-small", messages: [{ role: "user", content: "Hi" }], ...broke(one) });
} catch (error) {
  raised.push([...told(error), error.code]);
}
try {
  const provider = createOpenAICompatible({ name: "farebox", baseURL, apiKey });
  await generateText({
    model: provider("demo-small"),
    prompt: "Hi",
    maxRetries: 2,
    providerOptions: { farebox: broke(other) },
  });
} catch (error) {
  raised.push([...told(error), error.data.error.code]);
}
process.stdout.write(JSON.stringify(raised));
