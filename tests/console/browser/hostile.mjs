import assert from "node:assert/strict";
import { facts, isWellFormed, signIn, tell, text, visit } from "./browser.mjs";

await tell(async (open) => {
  const page = await open();
  await signIn(page, facts.attack.slice(0, 64), facts.attack);
  await isWellFormed(page);
  await signIn(page);

  await page.getByText("that are no record").waitFor();
  await holds(page, "/", ["principal", "check"]);
  assert.match(await page.getByRole("alert").innerText(), /^The audit log is not as the broker wrote it\. ✕ chain broken/);
  await holds(page, "/enclaves", ["pcr0", "pcr8", "moduleid"]);
  await holds(page, "/keys", ["description"]);
  await holds(page, `/keys/${facts.key}`, [
    "description", "tag", "value", "policyid", "sid", "grantname", "grantcontext", "grantvalue",
  ]);
  await holds(page, `/keys/${facts.key}/access`, ["sid"]);
  await holds(page, "/audit", ["operation", "eventname", "principal", "arn:aws:kms:key/", "check"]);
  await holds(page, "/audit/poisoned", [
    "eventname", "principal", "accesskey", "source", "agent", "errorcode", "errormessage", "name", "value", "reason",
    "anchor", "moduleid", "pcr0", "pcr8", "root", "arn:aws:kms:key/", "requestid",
  ]);

  // Every record has a page of its own, also that of the request.
  await visit(page, "/audit");
  const links = await page.locator("tbody th a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  for (const link of links) await visit(page, link);
  await holds(page, links.at(-1), ["contextname", "contextvalue", "useragent"]);

  // What comes back from a form, into attributes and text.
  const query = new URLSearchParams({ operation: `op${facts.attack}`, from: `time${facts.attack}`, outcome: facts.attack });
  await holds(page, `/audit?${query}`, []);
  assert.equal(await page.getByLabel("Operation").inputValue(), `op${facts.attack}`);
  await visit(page, `/?range=${encodeURIComponent(facts.attack)}`);
  await visit(page, `/keys?after=${encodeURIComponent(facts.attack)}`);
  await visit(page, `/keys/${encodeURIComponent(facts.attack)}`);

  await inspect(page, facts.document, ["userdata"]);
  await inspect(page, facts.refusedDocument, []);
  await inspect(page, `typed${facts.attack}`, []);
  assert.equal(await page.getByLabel("Attestation document in base64").inputValue(), `typed${facts.attack}`);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

// The page shows each attack as the text that it is, and nothing of it ran or became an element.
async function holds(page, path, places) {
  await visit(page, path);
  await isHarmless(page, path, places);
}

async function isHarmless(page, where, places) {
  await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
  // JSON has its own way to write a quotation mark.
  const shown = (await text(page)).replaceAll('\\"', '"');
  for (const place of places) {
    assert.ok(shown.includes(`${place}"'><script>window.hacked=1</script>`), `${place} is not on ${where}: ${shown}`);
  }
  assert.equal(await page.evaluate(() => window.hacked), undefined, where);
  assert.equal(await page.locator("img, [href^='javascript:'], main script, main svg[onload]").count(), 0, where);
}

async function inspect(page, document, places) {
  await visit(page, "/inspector");
  await page.getByLabel("Attestation document in base64").fill(document);
  await page.getByRole("button", { name: "Inspect", exact: true }).click();
  await isWellFormed(page);
  await isHarmless(page, "the inspector", places);
}
