import assert from "node:assert/strict";
import { CONSOLE, OPERATOR, PASSWORD, facts, tell, text } from "./browser.mjs";

await tell(async (open) => {
  await byKeyboard(await open());
  await withoutScripts(await open({ javaScriptEnabled: false }));
});

// Nothing but keys: what has the focus is visible, and says what it is.
async function byKeyboard(page) {
  const { keyboard } = page;
  await page.goto(CONSOLE);
  await keyboard.type(OPERATOR);
  await keyboard.press("Tab");
  await keyboard.type(PASSWORD);
  await keyboard.press("Enter");
  await page.waitForURL(`${CONSOLE}/`);

  await keyboard.press("Tab");
  assert.equal((await focused(page)).text, "Skip to the content");
  await keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");

  await tabTo(page, "Inspector");
  await keyboard.press("Enter");
  await page.waitForURL(`${CONSOLE}/inspector`);
  await tabTo(page, "document");
  await keyboard.insertText(facts.document);
  await tabTo(page, "Inspect");
  await keyboard.press("Enter");
  await page.getByRole("heading", { name: "Verdict" }).waitFor();
  assert.match(await text(page), /Verified/);

  await tabTo(page, "Audit log");
  await keyboard.press("Enter");
  await page.waitForURL(`${CONSOLE}/audit`);
  await tabTo(page, "Filter");
  await keyboard.press("Space");
  await tabTo(page, "operation");
  await keyboard.type("GenerateDataKey");
  await keyboard.press("Enter");
  await page.waitForURL(/operation=GenerateDataKey/);
  await tabTo(page, /^2026-01-03/);
  await keyboard.press("Enter");
  await page.getByRole("heading", { name: "GenerateDataKey", level: 1 }).waitFor();

  await tabTo(page, "Sign out");
  await keyboard.press("Enter");
  await page.waitForURL(`${CONSOLE}/sign-in`);
}

async function tabTo(page, wanted) {
  const passed = [];
  for (let press = 0; press < 60; press += 1) {
    await page.keyboard.press("Tab");
    const found = await focused(page);
    // Behind the last comes the browser's own frame, and then the first.
    if (found.tag === "BODY") continue;
    assert.ok(found.visible, `what has the focus is not seen: ${JSON.stringify(found)}`);
    passed.push(found.text);
    // What scrolls has the focus, too, with all that is in it.
    if (found.tag === "DIV") continue;
    if (wanted instanceof RegExp ? wanted.test(found.text) : found.text === wanted || found.id === wanted) return;
  }
  assert.fail(`${wanted} is not reached by Tab: ${passed}`);
}

function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const visible = style.outlineStyle !== "none" && box.width > 0 && box.bottom > 0 && box.top < innerHeight;
    return { id: element.id, text: element.innerText?.trim() ?? "", tag: element.tagName, visible };
  });
}

// The pages are whole without the script: forms, links and numbers.
async function withoutScripts(page) {
  await page.goto(CONSOLE);
  await page.getByLabel("Operator").fill(OPERATOR);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await text(page), /1 record since/);
  for (const name of ["Enclaves", "Keys", "Audit log", "Inspector"]) {
    await page.getByRole("link", { name, exact: true }).first().click();
    assert.equal(await page.locator("h1").count(), 1);
  }
  await page.getByLabel("Attestation document in base64").fill(facts.document);
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  assert.match(await text(page), /Verified/);
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.equal(page.url(), `${CONSOLE}/sign-in`);
}
