// Plays the suite in a page of a browser, through puppeteer. The page is from the server's origin and
// opens no streams of its own.
import puppeteer from "puppeteer-core";

export const chromium = {
  browser: "chrome",
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
};

export const firefox = { browser: "firefox", executablePath: "/usr/bin/firefox-esr" };

/** Plays the cases that `url` lists with the client in `pages/CLIENT.mjs`. */
export async function inPage(browser, url, client) {
  const opened = await puppeteer.launch({ ...browser, headless: true, protocolTimeout: 1_200_000 });
  try {
    const { cases } = await (await fetch(url)).json();
    const page = await opened.newPage();
    await page.goto(new URL("/an-empty-page", cases[0].url).href);
    await page.evaluate(play, url, client);
  } finally {
    await opened.close();
  }
}

/** Runs in the page, so it cannot use anything else in this file. */
export async function play(url, client) {
  const { suite } = await import(new URL("/drivers/suite.mjs", url));
  const { open } = await import(new URL(`/drivers/pages/${client}.mjs`, url));
  await suite(open, url);
}
