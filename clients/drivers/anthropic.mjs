// npm's @anthropic-ai/sdk: its own request, which is tried again at some failures, and its own parser.
import Anthropic from "@anthropic-ai/sdk";
import { Stream } from "@anthropic-ai/sdk/core/streaming";
import { reading, suite } from "./suite.mjs";

const client = new Anthropic({ apiKey: "none" });
const read = async function* (url, closing) {
  const response = await client.get(url, { signal: closing.signal }).asResponse();
  for await (const { event, data } of Stream.rawEvents(response, closing)) yield [event ?? "message", data];
};
await suite(reading(read), process.argv[2]);
