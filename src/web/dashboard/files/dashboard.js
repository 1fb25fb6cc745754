// What the pages do beyond being read: local times, parts that stay fresh, keys, copying. Without it everything is there all the same.
// It puts text into elements and moves elements of pages that this server rendered; it never makes markup out of text.
"use strict";

const find = (selector) => document.querySelector(selector);
const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];

// Times in the reader's zone; the exact one, as it is stored, on hover.
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
function showTimes(within) {
  for (const time of findAll("time[datetime]", within)) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.textContent = format.format(at);
    time.title = time.dateTime;
  }
}

// A page is parsed by the request itself, in a document that runs nothing.
function freshPage() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.timeout = 20000;
    request.onload = () => (request.status === 200 && request.response ? resolve(request.response) : reject());
    request.onerror = request.ontimeout = reject;
    request.send();
  });
}

// Elements with `data-fresh` are replaced by what the server says of them now. Not while somebody types or selects in one.
async function refresh() {
  const parts = findAll("[data-fresh]");
  const isBusy = (part) => part.contains(document.activeElement) || !getSelection().isCollapsed;
  if (document.hidden || parts.length === 0 || parts.some(isBusy)) return;
  const page = await freshPage();
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (!fresh) throw new Error("this is another page");
    showTimes(fresh);
    part.replaceWith(document.adoptNode(fresh));
  }
  mark();
}
function keepFresh() {
  const seconds = Number(document.body.dataset.every);
  if (!seconds) return;
  const stale = find("#stale");
  const turn = () =>
    refresh()
      .then(() => (stale.hidden = true))
      .catch(() => (stale.hidden = false))
      .finally(() => setTimeout(turn, seconds * 1000));
  setTimeout(turn, seconds * 1000);
}

function offerCopies() {
  for (const button of findAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}

// Rows of a list: `j` and `k` go down and up, Enter opens, `r` tries again.
let current = null;
const currentRow = () => findAll("tr[data-row]").find((row) => row.dataset.row === current);
function mark() {
  for (const row of findAll("tr.current")) row.classList.remove("current");
  currentRow()?.classList.add("current");
}
function go(step) {
  const rows = findAll("tr[data-row]");
  if (rows.length === 0) return;
  const at = rows.indexOf(currentRow());
  const row = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
  current = row.dataset.row;
  mark();
  row.scrollIntoView({ block: "nearest" });
}
const keys = {
  "/": () => find("#search")?.focus(),
  j: () => go(1),
  k: () => go(-1),
  Enter: () => currentRow()?.querySelector("a")?.click(),
  r: () => (currentRow() ?? find("main")).querySelector("form[data-key=r]")?.requestSubmit(),
  "?": () => (find("#keys").open ? find("#keys").close() : find("#keys").showModal()),
};
document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
  if (event.key === "Enter" && !currentRow()) return;
  if (event.key === "Enter" && /^(A|BUTTON|SUMMARY)$/.test(event.target.tagName)) return;
  event.preventDefault();
  keys[event.key]();
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

showTimes(document);
offerCopies();
keepFresh();
