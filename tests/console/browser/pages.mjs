import assert from "node:assert/strict";
import { facts, isAccessible, screenshot, signIn, tell, text, visit } from "./browser.mjs";

const DARK = { colorScheme: "dark" };
const links = (page) => page.locator("tbody th a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));

await tell(async (open) => {
  const page = await open();
  await signIn(page);
  await overview(page);
  await enclaves(page);
  await keys(page);
  await audit(page);
  await inspector(page);
  assert.equal(await visit(page, "/no-such-page"), 404);
  assert.equal(await visit(page, "/keys/no-such-key"), 404);
  assert.equal(await visit(page, "/audit/no-such-record"), 404);

  await everyPageIsAccessible(open, { colorScheme: "light" });
  await everyPageIsAccessible(open, DARK);
});

async function overview(page) {
  // The log is read by a thread of its own.
  await page.getByText(`${facts.records} records since`).waitFor();
  await visit(page, "/");
  const shown = await text(page);
  for (const part of ["Decisions", `chain intact ${facts.records} records`, "Not allowed", "document: stale", "policy: nothing allows it", "role/enclave-parent"]) {
    assert.ok(shown.includes(part), `${part} is not in ${shown}`);
  }
  assert.match(await page.locator("aside").innerText(), /Development: evidence under CONFIGURED root development\/root\.pem/);
  const plot = page.getByRole("img", { name: "Decisions in the last 24 hours" });
  assert.ok((await plot.locator(".bar").count()) > 30);
  assert.match(await plot.locator("desc").textContent(), /\d+ allowed, \d+ denied, \d+ malformed, 0 failed\./);
  await screenshot(page, "console-overview", { fullPage: true });

  // The table has the numbers of the plot.
  await page.getByText("The same as a table").click();
  const cells = await page.locator(".numbers td:nth-child(2)").allInnerTexts();
  const legend = await page.locator(".legend li").first().innerText();
  const sum = cells.reduce((sum, cell) => sum + Number(cell), 0);
  assert.equal(legend.trim(), `allowed ${sum}`);

  for (const range of ["1h", "7d", "30d"]) {
    await page.getByRole("link", { name: range, exact: true }).click();
    assert.equal(await page.getByRole("link", { name: range, exact: true }).getAttribute("aria-current"), "true");
    assert.ok((await page.locator(".bar").count()) > 0);
  }
}

async function enclaves(page) {
  await page.getByRole("link", { name: "Enclaves" }).click();
  const shown = await text(page);
  for (const part of ["2 images", facts.pcr0, facts.otherPcr0, facts.moduleId, "not that of AWS"]) {
    assert.ok(shown.includes(part), `${part} is not in ${shown}`);
  }
  const used = page.locator("section", { hasText: facts.pcr0 });
  assert.ok((await used.innerText()).includes("alias/payments"), "the key that the image used");
  const other = page.locator("section", { hasText: facts.otherPcr0 });
  assert.ok(!(await other.innerText()).includes("alias/payments"), "the other image used no key");
  await screenshot(page, "console-enclaves", { fullPage: true });
}

async function keys(page) {
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  const careless = page.getByRole("row", { name: "alias/trial" });
  assert.match(await careless.innerText(), /✕ \d+ errors?/);
  await screenshot(page, "console-keys");

  await careless.getByRole("link", { name: "alias/trial" }).click();
  assert.ok((await page.locator(".remark").count()) > 0, "findings of the lint");
  const line = page.locator(".line.has-finding").first();
  assert.ok(await line.isVisible());
  await screenshot(page, "console-key", { fullPage: true });

  await visit(page, `/keys/${facts.payments}`);
  const shown = await text(page);
  for (const part of ["alias/payments", "Enabled", "SYMMETRIC_DEFAULT", "EnclaveOnly", facts.pcr0, "current"]) {
    assert.ok(shown.includes(part), `${part} is not in ${shown}`);
  }
  await page.getByRole("link", { name: "Who can use this key" }).click();
  const parent = page.locator("tbody tr", { hasText: "role/enclave-parent" });
  assert.equal(await parent.count(), 1, "from one of the images");
  assert.match(await parent.innerText(), /✓ allowed Decrypt, GenerateDataKey\s+by Statement\[0\] "EnclaveOnly"/);
  assert.ok((await parent.innerText()).includes(facts.pcr0.slice(0, 12)));
  assert.match(await text(page), /Nothing, from at least one image or without attestation: .*role\/deployer/);
  await screenshot(page, "console-access");

  await visit(page, `/keys/${facts.payments}`);
  await page.getByRole("link", { name: "GenerateDataKey" }).click();
  await page.getByRole("heading", { name: "GenerateDataKey", level: 1 }).waitFor();
}

async function audit(page) {
  await page.getByRole("link", { name: "Audit log" }).click();
  assert.equal(await page.locator("tbody tr").count(), 50);
  const seen = new Set(await links(page));
  await screenshot(page, "console-audit", { clip: { x: 0, y: 0, width: 1280, height: 760 } });
  while (await page.getByRole("link", { name: "Older" }).count()) {
    await page.getByRole("link", { name: "Older" }).click();
    for (const link of await links(page)) assert.ok(!seen.has(link) && seen.add(link), `${link} comes twice`);
  }
  assert.equal(seen.size, facts.records, "every record is on one page");

  await visit(page, "/audit");
  await page.locator("summary", { hasText: "Filter" }).click();
  await page.getByLabel("Decision").selectOption("denied");
  await page.getByLabel("PCR0").fill(facts.otherPcr0.slice(0, 12));
  await page.getByRole("button", { name: "Filter" }).click();
  const rows = await page.locator("tbody tr").allInnerTexts();
  assert.equal(rows.length, 10);
  for (const row of rows) assert.match(row, /denied[^]*GenerateDataKey[^]*nothing allows it/);
  assert.equal(await page.getByLabel("Decision").inputValue(), "denied");

  await page.locator("tbody th a").first().click();
  const record = await text(page);
  for (const part of ["denied", facts.otherPcr0, facts.principal, "aws-sdk-rust", '"eventName": "GenerateDataKey"']) {
    assert.ok(record.includes(part), `${part} is not in ${record}`);
  }
  await screenshot(page, "console-record", { fullPage: true, clip: { x: 0, y: 0, width: 1280, height: 960 } });

  assert.equal(await visit(page, "/audit?from=yesterday"), 422);
  assert.match(await page.getByRole("alert").innerText(), /from is no time/);
  await visit(page, "/audit?operation=Sign");
  assert.match(await text(page), /No record is asked for/);
}

async function inspector(page) {
  await page.getByRole("link", { name: "Inspector" }).click();
  await page.getByLabel("Attestation document in base64").fill(facts.document);
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  const shown = await text(page);
  for (const part of ["Verified", "freshness ✓ passed", facts.pcr0, facts.moduleId, "ticket 4711", "cabundle[0]"]) {
    assert.ok(shown.includes(part), `${part} is not in ${shown}`);
  }
  const { y } = await page.getByRole("heading", { name: "Verdict" }).boundingBox();
  await screenshot(page, "console-inspector", { fullPage: true, clip: { x: 0, y: y - 40, width: 1280, height: 1000 } });

  // The same document ten minutes later.
  await page.getByLabel("Judge it at").fill("2026-01-03T20:51:07Z");
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  assert.match(await text(page), /Genuine, and refused Refused at the step freshness/);

  await simulator(page);

  // A file that is dropped, in binary.
  await visit(page, "/inspector");
  await page.locator("input[type=file]").setInputFiles({
    name: "document.bin",
    mimeType: "application/octet-stream",
    buffer: Buffer.from(facts.document, "base64"),
  });
  await page.waitForFunction(() => document.querySelector("textarea").value !== "");
  assert.equal(await page.getByLabel("Attestation document in base64").inputValue(), facts.document);

  await page.getByLabel("Attestation document in base64").fill("no document");
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  assert.match(await text(page), /Not verified Refused at the step cose/);
}

async function simulator(page) {
  await visit(page, "/inspector");
  await page.getByLabel("Attestation document in base64").fill(facts.document);
  await page.getByLabel("Key", { exact: true }).selectOption({ label: "alias/payments" });
  await page.getByLabel("Operation").selectOption("Decrypt");
  await page.getByLabel("Principal").fill(facts.principal);
  await page.getByLabel("Encryption context").fill("tenant=t-007");
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  const decision = page.locator("section", { has: page.getByRole("heading", { name: "Simulated decision" }) });
  assert.match(await decision.innerText(), /allowed[^]*EnclaveOnly[^]*allows[^]*Administration[^]*does not apply/);
  await screenshot(decision, "console-simulator");

  // Another principal, and then none of the key's: each element says why.
  await page.getByLabel("Principal").fill("arn:aws:iam::111122223333:role/deployer");
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  assert.match(await decision.innerText(), /denied/);
  const mismatch = decision.getByRole("row", { name: /^Principal/ }).first();
  assert.match(await mismatch.innerText(), /✕ no[^]*role\/enclave-parent[^]*role\/deployer/);

  await page.getByLabel("Principal").fill("nobody in particular");
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  assert.match(await page.getByRole("alert").innerText(), /nobody in particular/);
  assert.equal(await page.getByLabel("Encryption context").inputValue(), "tenant=t-007");
}

async function everyPageIsAccessible(open, options) {
  // What judges the page is not part of it.
  const page = await open({ ...options, bypassCSP: true });
  await page.goto(process.env.CONSOLE);
  await isAccessible(page, `sign-in ${options.colorScheme}`);
  await screenshot(page, `console-sign-in-${options.colorScheme}`);
  await signIn(page);
  const audit = "/audit?outcome=denied";
  for (const path of ["/", "/enclaves", "/keys", `/keys/${facts.trial}`, `/keys/${facts.payments}/access`, "/audit", audit, "/inspector", "/none"]) {
    await visit(page, path);
    await isAccessible(page, `${path} ${options.colorScheme}`);
    if (path === "/" && options.colorScheme === "dark") await screenshot(page, "console-overview-dark", { fullPage: true });
    if (path === `/keys/${facts.trial}`) await screenshot(page, `key-${options.colorScheme}`, { fullPage: true });
  }
  await visit(page, audit);
  await page.locator("tbody th a").first().click();
  await isAccessible(page, `a record ${options.colorScheme}`);
  await visit(page, "/inspector");
  await page.getByLabel("Attestation document in base64").fill(facts.document);
  await page.getByLabel("Key", { exact: true }).selectOption({ label: "alias/payments" });
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  await isAccessible(page, `a document ${options.colorScheme}`);
  await page.setViewportSize({ width: 420, height: 800 });
  await visit(page, "/");
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} pixels wider than a phone`);
  await screenshot(page, `narrow-${options.colorScheme}`);
}
