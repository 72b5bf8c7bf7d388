// Chromium, a person who looks at the console, and what must be so on every page.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Installed under target/, away from this file.
const require = createRequire(`${process.env.NODE_PACKAGES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const { CONSOLE, OPERATOR, PASSWORD } = process.env;
export const facts = JSON.parse(process.env.FACTS);

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// Runs `story` with a function that opens pages, and ends the browser whatever happens.
export async function tell(story) {
  const profile = await mkdtemp(join(tmpdir(), "console-test-"));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  const watched = [];
  try {
    const open = async (options = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      watched.push(watch(page));
      await context.exposeBinding("reportViolation", (_, violation) => watched.at(-1).violations.push(violation));
      await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => {
          window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
        });
      });
      return page;
    };
    await story(open);
    for (const { problems, violations } of watched) {
      assert.deepEqual(problems, [], "the browser complains");
      assert.deepEqual(violations, [], "the content security policy is violated");
    }
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
}

function watch(page) {
  const problems = [];
  page.on("console", (message) => {
    const isExpected = /status of (401|404|405|421|422|429)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isExpected) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(CONSOLE)) problems.push(`request to ${request.url()}`);
  });
  return { problems, violations: [] };
}

export async function signIn(page, name = OPERATOR, password = PASSWORD) {
  await page.goto(`${CONSOLE}/sign-in`);
  await page.getByLabel("Operator").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

// Goes to a page and holds what must be so on every one.
export async function visit(page, path) {
  const answer = await page.goto(`${CONSOLE}${path}`);
  await isWellFormed(page);
  return answer.status();
}

export async function isWellFormed(page) {
  assert.equal(await page.locator("h1").count(), 1, "one first heading");
  assert.equal(await page.locator("main").count(), 1, "one main part");
  assert.match(await page.title(), / · nitro-key-broker$/);
  const inline = await page.locator("[style], style, script:not([src]), [onclick], [onload], [onerror]").count();
  assert.equal(inline, 0, "no inline script or style");
  const levels = await page.locator("h1, h2, h3, h4").evaluateAll((all) => all.map((one) => Number(one.tagName[1])));
  levels.reduce((before, level) => (assert.ok(level <= before + 1, `headings jump: ${levels}`), level), 0);
}

// The text of the main part, in one line.
export async function text(page) {
  return (await page.locator("main").innerText()).replace(/\s+/g, " ");
}

// No finding of axe-core, which computes contrast, too.
export async function isAccessible(page, what) {
  await page.evaluate(axe);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations, passes } = await page.evaluate((values) => window.axe.run(document, { runOnly: values }), tags);
  assert.ok(passes.length > 10, "axe looked at the page");
  const found = violations.map(({ id, help, nodes }) => ({
    id,
    help,
    nodes: nodes.slice(0, 4).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`),
  }));
  assert.deepEqual(found, [], `axe finds on ${what}`);
}

export async function screenshot(page, name, options = {}) {
  writeFileSync(join(process.env.SCREENSHOTS, `${name}.png`), await page.screenshot(options));
}

// Tells the test that what comes next is its turn.
export function ready() {
  console.log("ready");
}
