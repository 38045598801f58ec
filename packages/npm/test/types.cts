// The types of the package in CommonJS.
import sseClock = require("sse-clock");

async function requests(server: sseClock.Server): Promise<number> {
  return (await server.stats("mine")).requests.length;
}
sseClock.start({ tls: true }).then(async (server) => {
  const sum: number = await requests(server);
  await server.stop();
  return sum;
});
