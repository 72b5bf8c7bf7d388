import assert from "node:assert/strict";
import { CONSOLE, ready, signIn, tell } from "./browser.mjs";

await tell(async (open) => {
  const page = await open();
  await signIn(page);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  // Half an hour passes. The page finds out by itself, though it kept asking: that is no use.
  ready();
  await page.waitForURL(`${CONSOLE}/sign-in`);

  await signIn(page);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  // The operator is removed.
  ready();
  await page.waitForURL(`${CONSOLE}/sign-in`);
  await signIn(page);
  assert.equal(await page.getByRole("alert").innerText(), "The name or the password is wrong.");
});
