import assert from "node:assert/strict";
import { CONSOLE, OPERATOR, isWellFormed, signIn, tell, text, visit } from "./browser.mjs";

await tell(async (open) => {
  const page = await open();
  for (const path of ["/", "/keys", "/audit", "/enclaves", "/inspector"]) {
    await visit(page, path);
    assert.equal(page.url(), `${CONSOLE}/sign-in`, path);
  }

  // A wrong password and a name that is nobody's read alike.
  await signIn(page, OPERATOR, "not the password");
  const wrong = await page.getByRole("alert").innerText();
  assert.equal(wrong, "The name or the password is wrong.");
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  assert.equal(await page.getByLabel("Operator").inputValue(), OPERATOR);
  await isWellFormed(page);
  await signIn(page, "nobody", "not the password");
  assert.equal(await page.getByRole("alert").innerText(), wrong);

  await signIn(page);
  assert.equal(page.url(), `${CONSOLE}/`);
  const [cookie] = await page.context().cookies();
  const { name, httpOnly, sameSite, expires, path } = cookie;
  assert.deepEqual(
    { name, httpOnly, sameSite, expires, path },
    { name: "nitro-key-broker-console", httpOnly: true, sameSite: "Strict", expires: -1, path: "/" },
  );
  assert.equal(await page.evaluate(() => document.cookie), "");

  // Whoever is signed in is not asked again.
  await page.goto(`${CONSOLE}/sign-in`);
  assert.equal(page.url(), `${CONSOLE}/`);

  await page.getByRole("button", { name: "Sign out" }).click();
  assert.equal(page.url(), `${CONSOLE}/sign-in`);
  assert.deepEqual(await page.context().cookies(), []);
  // The session is gone, not only its cookie.
  await page.context().addCookies([cookie]);
  await page.goto(`${CONSOLE}/`);
  assert.equal(page.url(), `${CONSOLE}/sign-in`);

  // Guessing becomes slow, for the name and for where it comes from.
  for (let guess = 0; guess < 5; guess += 1) await signIn(page, "mallory", `guess ${guess}`);
  assert.match(await page.getByRole("alert").innerText(), /^Too many sign-ins failed\. Try again in \d+ seconds\.$/);
  await signIn(page);
  assert.match(await page.getByRole("alert").innerText(), /^Too many sign-ins failed/);
  assert.match(await text(page), /Sign in/);
});
