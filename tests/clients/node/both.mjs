// For the programs beside it: do the same calls both ways, print what the client made of them.
//
//     node with_openai.mjs <provider's URL> <gateway's URL> <token> <customer>
//
// One JSON object: scenario -> [outcome of the direct call, outcome through the gateway].

import { createHash } from "node:crypto";

const FRAMING = new Set([
  "connection", "content-length", "date", "keep-alive", "server", "transfer-encoding",
]);

/** Headers without those that each hop writes anew, and without the gateway's. */
export function told(headers) {
  const pairs = [...new Headers(headers).entries()].sort();
  return Object.fromEntries(
    pairs.filter(([name]) => !FRAMING.has(name) && !name.startsWith("x-farebox-")),
  );
}

export function bytes(buffer) {
  const content = Buffer.from(buffer);
  return { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}

export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

function failure(error) {
  return {
    error: error?.constructor?.name ?? "Error",
    name: error?.name,
    status: error?.status ?? error?.statusCode ?? null,
    body: error?.error ?? error?.responseBody ?? null,
    code: error?.code ?? null,
    requestID: error?.requestID ?? null,
    retryable: error?.isRetryable ?? null,
    headers: error?.headers ? told(error.headers)
      : error?.responseHeaders ? told(error.responseHeaders) : null,
  };
}

export async function main(scenarios) {
  const [provider, gateway, token, customer] = process.argv.slice(2);
  const results = {};
  for (const [name, run] of Object.entries(scenarios)) {
    results[name] = [];
    for (const url of [provider, gateway]) {
      let outcome;
      try {
        outcome = { value: (await run(url, token, customer)) ?? null };
      } catch (error) {
        if (process.env.VERBOSE) console.error(name, error);
        outcome = failure(error);
      }
      results[name].push(outcome);
    }
  }
  process.stdout.write(JSON.stringify(results));
}
