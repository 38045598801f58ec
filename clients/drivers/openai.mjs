// npm's openai: its own request, which is tried again at some failures, and its own parser.
import OpenAI from "openai";
import { _iterSSEMessages } from "openai/core/streaming";
import { reading, suite } from "./suite.mjs";

const client = new OpenAI({ apiKey: "none" });
const read = async function* (url, closing) {
  const response = await client.get(url, { signal: closing.signal }).asResponse();
  for await (const { event, data } of _iterSSEMessages(response, closing)) yield [event ?? "message", data];
};
await suite(reading(read), process.argv[2]);
