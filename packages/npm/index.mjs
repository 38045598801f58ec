export { start } from "./index.cjs";
