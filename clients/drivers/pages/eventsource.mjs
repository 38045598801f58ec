// Runs in a page: the browser's own EventSource.
import { opening } from "../suite.mjs";

export const open = opening(EventSource);
