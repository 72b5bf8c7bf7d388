import assert from "node:assert/strict";
import { CONSOLE, OPERATOR, facts, signIn, tell, text, visit } from "./browser.mjs";

await tell(async (open) => {
  // The certificate is of a CA that only the data directory has.
  const page = await open({ ignoreHTTPSErrors: true });
  await signIn(page, OPERATOR, "another password");
  await page.getByRole("alert").waitFor();
  await signIn(page);
  await page.waitForURL(`${CONSOLE}/`);
  assert.match(await text(page), /0 records/);
  const [{ name, secure, httpOnly, sameSite }] = await page.context().cookies();
  assert.deepEqual(
    { name, secure, httpOnly, sameSite },
    {
      name: `${facts.secure ? "__Host-" : ""}nitro-key-broker-console`,
      secure: facts.secure,
      httpOnly: true,
      sameSite: "Strict",
    },
  );
  const answer = await page.goto(`${CONSOLE}/keys`);
  const insists = answer.headers()["strict-transport-security"];
  assert.equal(insists, facts.secure ? "max-age=31536000" : undefined);
  assert.match(await text(page), /There is no key/);
  await visit(page, "/audit");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${CONSOLE}/sign-in`);
});
