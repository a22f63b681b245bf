// What the pages of the console need a script for. Everything else works without.
"use strict";

// The reader's own kind of the page's language: en-GB writes dates as en-US does not.
const lang = document.documentElement.lang;
const locale = navigator.languages.find((own) => own.split("-")[0] === lang) ?? lang;

// Times stand in UTC in the page; here they get the reader's zone.
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    time.title = time.dateTime;
    time.textContent = moment.format(at);
    time.dataset.shown = "";
  }
}

// A button with `data-dialog` opens that dialog, for its own action and subject.
function openDialog(button) {
  const dialog = document.getElementById(button.dataset.dialog);
  if (button.dataset.action) dialog.querySelector("form").setAttribute("action", button.dataset.action);
  const subject = dialog.querySelector("[data-subject]");
  if (subject) subject.textContent = button.dataset.subject ?? "";
  dialog.showModal();
}

// A `datetime-local` stands in UTC in the page and is sent in UTC; the reader sees and types his zone.
function useOwnZone(input) {
  const sent = document.createElement("input");
  sent.type = "hidden";
  sent.name = input.name;
  const given = new Date(`${input.getAttribute("value")}Z`);
  if (!isNaN(given)) {
    sent.value = given.toISOString();
    const here = new Date(given.getTime() - given.getTimezoneOffset() * 60000);
    input.value = here.toISOString().slice(0, 16);
  }
  input.removeAttribute("name");
  input.after(sent);
  input.addEventListener("input", () => {
    const typed = new Date(input.value);
    sent.value = isNaN(typed) ? "" : typed.toISOString();
  });
}

async function copy(button) {
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.textContent = button.dataset.copied;
}

const THEMES = ["auto", "light", "dark"];
function setTheme(button, theme) {
  document.documentElement.dataset.theme = theme;
  button.title = button.dataset[theme];
  button.setAttribute("aria-label", button.dataset[theme]);
}
function nextTheme(button) {
  const now = THEMES.indexOf(document.documentElement.dataset.theme);
  const theme = THEMES[(now + 1) % THEMES.length];
  document.cookie = `hearth-theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  setTheme(button, theme);
}

// Columns of a table that the reader has switched off, kept by the browser; before he chooses, the spare ones.
function hiddenColumns(table) {
  const numbers = (table.dataset.spare ?? "").split(" ").filter(Boolean);
  const spare = numbers.map((number) => table.tHead.rows[0].cells[number].textContent);
  try {
    return new Set(JSON.parse(localStorage.getItem(`columns-${table.dataset.columns}`)) ?? spare);
  } catch {
    return new Set(spare);
  }
}
function showColumns(table) {
  const hidden = hiddenColumns(table);
  const heads = [...table.tHead.rows[0].cells];
  for (const row of table.rows) {
    [...row.cells].forEach((cell, at) => (cell.hidden = hidden.has(heads[at]?.textContent)));
  }
}
function columnMenu(table, place) {
  const menu = document.createElement("details");
  menu.className = "menu columns-menu";
  const summary = document.createElement("summary");
  summary.textContent = place.dataset.columnsLabel;
  const list = document.createElement("div");
  list.className = "drop";
  const hidden = hiddenColumns(table);
  for (const head of [...table.tHead.rows[0].cells].slice(1)) {
    const name = head.textContent;
    if (head.querySelector(".unseen")) continue;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(name);
    box.addEventListener("change", () => {
      box.checked ? hidden.delete(name) : hidden.add(name);
      localStorage.setItem(`columns-${table.dataset.columns}`, JSON.stringify([...hidden]));
      showColumns(table);
    });
    label.append(box, ` ${name}`);
    list.append(label);
  }
  menu.append(summary, list);
  place.replaceChildren(menu);
}

// The end of the log is in sight, unless the reader looks elsewhere; it keeps so many lines.
const LINES = 1000;
function follow(log) {
  while (log.children.length > LINES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}
function pauseTail(button) {
  const log = document.getElementById("log");
  if ("paused" in log.dataset) return location.reload();
  log.dataset.paused = "";
  button.textContent = button.dataset.goOn;
}
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  if (event.target.closest?.("[data-paused]")) event.preventDefault();
});
document.addEventListener("htmx:sseMessage", (event) => {
  const log = event.target.closest?.(".log");
  if (!log) return;
  showTimes(log);
  follow(log);
});

// Runs over the page, and over each part that htmx puts into it.
function enliven(root) {
  showTimes(root);
  for (const button of root.querySelectorAll("[data-theme-switch]")) {
    button.hidden = false;
    setTheme(button, document.documentElement.dataset.theme);
  }
  for (const input of root.querySelectorAll('input[type="datetime-local"][name]')) useOwnZone(input);
  for (const table of root.querySelectorAll("table[data-columns]")) {
    showColumns(table);
    const place = root.querySelector("[data-columns-label]");
    if (place) columnMenu(table, place);
  }
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  for (const button of root.querySelectorAll("[data-tail-pause]")) button.hidden = false;
  for (const log of root.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  if (!button) return;
  if (button.dataset.dialog) openDialog(button);
  else if ("closeDialog" in button.dataset) button.closest("dialog").close();
  else if ("close" in button.dataset) button.parentElement.remove();
  else if ("copy" in button.dataset) copy(button);
  else if ("tailPause" in button.dataset) pauseTail(button);
  else if ("themeSwitch" in button.dataset) nextTheme(button);
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.activeElement.closest("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
// What a request will replace is busy until its answer is here.
document.addEventListener("htmx:beforeRequest", (event) => event.detail.target.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => event.detail.target.removeAttribute("aria-busy"));
document.addEventListener("htmx:load", (event) => enliven(event.detail.elt.parentElement ?? document));

// On a narrow screen the tabs and the pages are lines that scroll: where one is must be seen.
function showWhere() {
  for (const here of document.querySelectorAll(":is(.tabs, .sidebar, .subtabs) [aria-current]")) {
    const line = here.parentElement;
    line.scrollLeft = here.offsetLeft - line.offsetLeft - (line.clientWidth - here.offsetWidth) / 2;
  }
}
addEventListener("resize", showWhere);

// Where a form was refused one goes on.
function showWrong() {
  document.querySelector("main [aria-invalid]")?.focus();
}

enliven(document);
showWhere();
showWrong();

// The same form, shown again because it was refused, has what was chosen in the one before.
function keepChosen(before) {
  const again = document.querySelector("form[data-upload]");
  if (again?.action !== before.action) return;
  for (const input of before.querySelectorAll("input[type=checkbox]")) again.elements[input.name].checked = input.checked;
  for (const input of before.querySelectorAll("input[type=file]")) again.elements[input.name].files = input.files;
}

// A form with a file shows how far its upload is; what comes back takes the place of the page.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-upload]");
  if (!form) return;
  event.preventDefault();
  const bar = form.querySelector("progress");
  bar.hidden = false;
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (at) => Object.assign(bar, { max: at.total, value: at.loaded }));
  request.addEventListener("error", () => form.submit());
  request.addEventListener("load", () => {
    // With its tabs: a plugin may bring some.
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    document.body.replaceWith(document.adoptNode(page.body));
    if (request.status < 400) history.pushState(null, "", request.responseURL);
    document.title = page.title;
    keepChosen(form);
    htmx.process(document.body);
    enliven(document);
    showWhere();
    showWrong();
  });
  request.open("POST", form.action);
  request.send(new FormData(form));
});
