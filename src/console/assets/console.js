// What pages do beyond being read: keep themselves up to date, copy whole digests, take a dropped document.
// Each works on what the server rendered; without this script the pages are complete.
"use strict";

const LIVE_PERIOD_MS = 2000;

// Fragments come from the console itself, which escapes what is not its own.
const policy = window.trustedTypes?.createPolicy("console", { createHTML: (html) => html });

for (const region of document.querySelectorAll("[data-live]")) keepUpToDate(region);
for (const form of document.querySelectorAll("form[data-drop]")) takeDocuments(form);
document.addEventListener("copy", copyWholeDigest);

function keepUpToDate(region) {
  const status = document.querySelector("[data-live-status]");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet live";
  button.setAttribute("aria-pressed", "true");
  button.textContent = "Live updates";
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  });
  document.querySelector("[data-live-control]").append(button);
  let tag = "";

  async function update() {
    // Nobody looks, or somebody is in the middle of it.
    const isBusy = region.contains(document.activeElement) || !document.getSelection().isCollapsed;
    if (document.hidden || isBusy || button.getAttribute("aria-pressed") !== "true") return true;
    const answer = await fetch(region.dataset.live, { headers: { "If-None-Match": tag }, cache: "no-store" });
    if (answer.status === 401) {
      status.textContent = "The session has ended. Sign in again.";
      location.assign("/sign-in");
      return false;
    }
    if (answer.status !== 200) return true;
    tag = answer.headers.get("ETag") ?? "";
    replace(region, await answer.text(), status);
    return true;
  }

  async function loop() {
    const goesOn = await update().catch(() => true);
    if (goesOn) setTimeout(loop, LIVE_PERIOD_MS);
  }
  setTimeout(loop, LIVE_PERIOD_MS);
}

function replace(region, html, status) {
  const count = () => Number(region.querySelector("[data-count]")?.dataset.count ?? 0);
  const open = [...region.querySelectorAll("details")].map((details) => details.open);
  const scrolled = [...region.querySelectorAll(".table-frame")].map((frame) => [frame.scrollLeft, frame.scrollTop]);
  const before = count();
  region.innerHTML = policy ? policy.createHTML(html) : html;
  region.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? details.open));
  region.querySelectorAll(".table-frame").forEach((frame, index) => frame.scrollTo(...(scrolled[index] ?? [0, 0])));
  const more = count() - before;
  if (more > 0) status.textContent = more === 1 ? "1 new decision" : `${more} new decisions`;
}

// What is shown of a digest is its start; what is copied is the whole.
function copyWholeDigest(event) {
  const selection = document.getSelection();
  const digest = selection.anchorNode?.parentElement?.closest("[data-copy]");
  if (!digest || !digest.contains(selection.focusNode)) return;
  event.clipboardData.setData("text/plain", digest.dataset.copy);
  event.preventDefault();
}

function takeDocuments(form) {
  const text = form.querySelector("textarea");
  const label = document.createElement("label");
  label.className = "file";
  label.textContent = "or a file, binary or base64; it can be dropped here, too ";
  const input = document.createElement("input");
  input.type = "file";
  label.append(input);
  text.after(label);

  async function take(file) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isText = bytes.every((byte) => byte < 0x80);
    text.value = isText ? new TextDecoder().decode(bytes) : btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }
  input.addEventListener("change", () => input.files[0] && take(input.files[0]));
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("dropping");
  });
  form.addEventListener("dragleave", () => form.classList.remove("dropping"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("dropping");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
