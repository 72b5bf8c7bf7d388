import assert from "node:assert/strict";
import { facts, ready, screenshot, signIn, tell, visit } from "./browser.mjs";

await tell(async (open) => {
  const overview = await open();
  await signIn(overview);
  await overview.getByText("1 record since").waitFor();
  const log = await overview.context().newPage();
  await visit(log, "/audit");
  assert.equal(await log.locator("tbody tr").count(), 1);
  await log.evaluate(() => (window.sameDocument = true));

  ready();
  await log.getByRole("row", { name: "denied" }).waitFor();
  assert.equal(await log.locator("tbody tr").count(), 2);
  assert.equal(await log.getByRole("status").textContent(), "1 new decision");
  await overview.bringToFront();
  await overview.locator(".legend").getByText("denied 1").waitFor();
  assert.equal(await log.evaluate(() => window.sameDocument), true, "without a reload");

  // Whoever wants it to stand still, has it stand still.
  await log.bringToFront();
  const button = log.getByRole("button", { name: "Live updates" });
  await button.click();
  assert.equal(await button.getAttribute("aria-pressed"), "false");
  ready();
  await overview.bringToFront();
  await overview.locator(".legend").getByText("allowed 2").waitFor();
  await log.bringToFront();
  await log.waitForTimeout(5000);
  assert.equal(await log.locator("tbody tr").count(), 2);
  await button.click();
  await log.locator("tbody tr").nth(2).waitFor();
});
