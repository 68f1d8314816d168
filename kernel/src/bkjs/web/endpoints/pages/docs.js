import { call, caller, findSession, names, signIn, signOut } from "./docs-caller.js";
import { LANGUAGES } from "./docs-code.js";
import {
  bodySchema, example, failures, fieldsOf, isSecret, limits, outline, replySchema, resolve, spec, typeName, use,
} from "./docs-schema.js";

const byId = (id) => document.getElementById(id);
const IN_URL = ["GET", "HEAD", "DELETE"];

/** What was typed, by path and field: kept while forms come and go, in this page only. */
const drafts = new Map();
/** The form that is shown for a path. */
const forms = new Map();

// Everything that comes from the server is put in as text, never as markup.
function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

/** Text with `code` in it. */
function prose(text) {
  return (text || "").split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

/** Paragraphs, and blocks of code between lines of three backquotes. */
function paragraphs(text) {
  return (text || "").split(/\n\n+/).map((part) => (part.startsWith("```")
    ? make("pre", {}, part.replace(/^```\n|\n```$/g, "")) : make("p", {}, prose(part))));
}

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g;
const LONGEST = 100_000;

/** JSON with its parts in colours. */
function coloured(text) {
  if (text.length > LONGEST) return [text];
  const parts = [];
  let last = 0;
  for (const found of text.matchAll(TOKENS)) {
    const kind = found[1] ? (found[2] ? "key" : "text") : "value";
    parts.push(text.slice(last, found.index), make("span", { class: "json-" + kind }, found[1] || found[0]));
    last = found.index + (found[1] || found[0]).length;
  }
  return [...parts, text.slice(last)];
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

let numbers = 0;
const newId = (word) => `${word}-${++numbers}`;

/** Buttons of which one is chosen; `choose` gets its name. */
function choice(label, options, chosen, choose, classes = () => "") {
  const name = newId("choice");
  return make("fieldset", { class: "choice", "aria-label": label }, ...options.map((option) => {
    const radio = make("input", { type: "radio", name, value: option });
    radio.checked = option === chosen;
    radio.addEventListener("change", () => choose(option));
    return make("label", { class: classes(option) }, radio, option);
  }));
}

// -- the form of an endpoint --------------------------------------------------------------------

/** What the text of a field is in JSON; text that does not fit is sent as it is, to be refused. */
function valueOf(schema, text) {
  const { type } = resolve(schema);
  if (type === "string" || type === undefined) return text;
  try {
    const value = JSON.parse(text);
    return typeof value === "string" ? text : value;
  } catch {
    return text;
  }
}

/** Names of other parameters that are secrets; controls, which begin with _, are none. */
const SECRET_NAME = /^(?!_).*(secret|passw|passphrase|token|credential|signature|cookie|authorization|pwd|otp|jwt|(api|access|private|signing).?key)|^pin$/i;

/** The items of the field for other parameters. */
const others = (text) => [...new URLSearchParams(text)];

/** The method, URL and body that a form stands for; `show` leaves secrets out. */
function requestOf(form, show = false) {
  const { path, method, fields } = form;
  const inUrl = IN_URL.includes(method);
  const query = new URLSearchParams();
  const body = {};
  const ops = [];
  let target = path;
  for (const { field, input, operator } of fields) {
    const text = input.value;
    const hidden = isSecret(field.schema);
    const value = show && hidden && text ? `YOUR_${field.name.toUpperCase()}` : text;
    if (field.where === "path") {
      target = target.replace(`{${field.name}}`, () => encodeURIComponent(value));
      continue;
    }
    if (operator?.value) ops.push(field.name, operator.value);
    if (text === "" || input.disabled || field.name === "_ops") continue;
    if (field.where === "query") query.append(field.name, value);
    else body[field.name] = show && hidden ? value : valueOf(field.schema, value);
  }
  const typed = fields.find(({ field }) => field.name === "_ops");
  if (typed?.input.value) ops.push(typed.input.value);
  if (ops.length) {
    if (typed.field.where === "query") query.append("_ops", ops.join(","));
    else body._ops = ops.join(",");
  }
  for (const [name, value] of others(form.more.value)) {
    const shown = show && SECRET_NAME.test(name) ? `YOUR_${name.toUpperCase()}` : value;
    if (inUrl) query.append(name, shown);
    else body[name] = shown;
  }
  const search = String(query);
  return { method, path: search ? `${target}?${search}` : target, body: inUrl ? undefined : JSON.stringify(body) };
}

function control(field) {
  const found = resolve(field.schema);
  const choices = found.enum || (found.type === "boolean" ? [true, false] : null);
  const preset = found.default === undefined || found.default === null ? "" : found.default;
  if (choices) {
    const unset = make("option", { value: "" }, preset === "" ? "" : `${preset} (default)`);
    return make("select", {}, unset, ...choices.map((item) => make("option", {}, String(item))));
  }
  const placeholder = typeof preset === "object" ? JSON.stringify(preset) : String(preset);
  const number = ["integer", "number"].includes(found.type);
  return make("input", {
    type: isSecret(field.schema) ? "password" : "text", placeholder, autocomplete: "off", autocapitalize: "none",
    spellcheck: "false", inputmode: number ? (found.type === "integer" ? "numeric" : "decimal") : undefined,
  });
}

const OPERATORS = [
  "ne", "gt", "ge", "lt", "le", "begins_with", "contains", "like", "ilike", "in", "not in", "between", "null", "not null",
];

/** A row of the form, whose input keeps what is typed. */
function row(form, field, { operators = false } = {}) {
  const input = control(field);
  const draft = drafts.get(form.path);
  const id = newId("field");
  const about = newId("about");
  input.id = id;
  input.setAttribute("aria-describedby", about);
  if (field.required) input.setAttribute("aria-required", "true");
  const closed = field.where === "query" && isSecret(field.schema);
  if (draft.has(field.name)) input.value = draft.get(field.name);
  if (closed) {
    input.disabled = true;
    input.value = "";
  }
  const operator = operators ? make("select", { class: "operator", "aria-label": `Operator for ${field.name}` },
    make("option", { value: "" }, "equals"), ...OPERATORS.map((name) => make("option", {}, name))) : null;
  if (operator && draft.has("operator " + field.name)) operator.value = draft.get("operator " + field.name);
  operator?.addEventListener("input", () => draft.set("operator " + field.name, operator.value));
  input.addEventListener("input", () => {
    draft.set(field.name, input.value);
    unmark(item);
  });
  const words = field.label ? "" : [typeName(field.schema), ...limits(field.schema)].filter(Boolean).join(" · ");
  const note = closed ? "Not in a URL, where logs and histories keep it: choose POST." : "";
  const label = make("label", { for: id }, field.label || make("code", {}, field.name),
    field.required ? make("span", { class: "needed", "aria-hidden": "true" }, "required") : null);
  const node = make("div", { class: "field" },
    make("div", {}, label, make("small", { id: about }, words, words && field.about ? " · " : "", prose(field.about), note ? make("span", { class: "note" }, note) : null)),
    make("div", { class: "input" }, operator, input));
  const item = { field, input, operator, node, about };
  return item;
}

function unmark(item) {
  item.input.removeAttribute("aria-invalid");
  item.input.setAttribute("aria-describedby", item.about);
  item.node.querySelector(".wrong")?.remove();
}

/** Show at its field what the server says is wrong with it. */
function mark(form, reply) {
  const item = form.all.find(({ field }) => field.name === reply.field);
  if (!item) return;
  const wrong = make("p", { class: "wrong", role: "alert", id: newId("wrong") }, reply.message);
  item.input.setAttribute("aria-invalid", "true");
  item.input.setAttribute("aria-describedby", `${wrong.id} ${item.about}`);
  item.node.append(wrong);
  const folded = item.node.closest("details");
  if (folded) folded.open = true;
  item.input.focus();
}

/** What cannot be sent, and why, as the server would say it. */
function obstacle({ method, fields, more }) {
  const empty = fields.find(({ field, input }) => field.where === "path" && !input.value);
  if (empty) return { field: empty.field.name, message: "The path needs it." };
  const secret = IN_URL.includes(method) && others(more.value).find(([name]) => SECRET_NAME.test(name));
  return secret ? { field: "?", message: `${secret[0]}: not in a URL, where logs and histories keep it; choose POST.` } : null;
}

/** The form for one method of a path, and what it answers. */
function tryOut(path, method, operation) {
  const form = { path, method, operation, fields: [], answer: make("div", { class: "answer", hidden: true }) };
  const draft = drafts.get(path);
  draft.set("method", method);
  const described = fieldsOf(operation);
  const operators = described.some((field) => field.name === "_ops");
  form.fields = described.map((field) => row(form, field, { operators: operators && !field.name.startsWith("_") && field.where !== "path" }));
  const more = row(form, { name: "?", label: "other parameters", where: "more", schema: { type: "string" }, about: "as in a URL: `name=value&other=value`" });
  form.more = more.input;
  const plain = form.fields.filter(({ field }) => !field.name.startsWith("_"));
  const controls = form.fields.filter(({ field }) => field.name.startsWith("_"));
  form.all = [...form.fields, more];
  const button = make("button", {}, "Send");
  const clear = make("button", { type: "button", class: "quiet" }, "Clear");
  const node = make("form", { class: "try", novalidate: true },
    ...plain.map((item) => item.node),
    make("details", { class: "more" }, make("summary", {}, controls.length ? "Controls and other parameters" : "Other parameters"),
      ...controls.map((item) => item.node), more.node),
    make("div", { class: "buttons" }, button, clear), form.answer);
  form.send = async () => {
    form.all.forEach(unmark);
    const problem = obstacle(form);
    if (problem) {
      mark(form, problem);
      return;
    }
    button.disabled = true;
    await send(form);
    button.disabled = false;
  };
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    form.send();
  });
  clear.addEventListener("click", () => {
    draft.clear();
    node.replaceWith(tryOut(path, method, operation));
    forms.get(path).fields[0]?.input.focus();
  });
  node.addEventListener("input", () => form.changed?.());
  forms.set(path, form);
  return node;
}

async function send(form) {
  const { method, path, body } = requestOf(form);
  const shown = requestOf(form, true);
  const { answer } = form;
  const head = make("p", { role: "status" }, make("span", { class: "url" }, `${method} ${shown.path}`));
  const text = make("pre", { tabindex: "0", "aria-label": "Reply" }, "…");
  answer.replaceChildren(head, text);
  answer.hidden = false;
  const started = performance.now();
  let status = 0;
  try {
    const reply = await call(method, path, body);
    const said = await reply.text();
    const took = Math.round(performance.now() - started);
    status = reply.status;
    head.append(
      make("b", { class: reply.ok ? "good" : "bad" }, `${reply.status} ${reply.statusText}`),
      make("span", {}, `${took} ms`), make("span", {}, `${new Blob([said]).size} bytes`));
    const type = reply.headers.get("content-type") || "";
    text.replaceChildren(...(type.includes("json") && said ? coloured(pretty(said)) : [said || "(empty)"]));
    const headers = [...reply.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    answer.append(make("details", { class: "headers" }, make("summary", {}, "Headers"), make("pre", { tabindex: "0", "aria-label": "Headers of the reply" }, headers)));
    const found = type.includes("json") ? parsed(said) : null;
    if (!reply.ok && found) mark(form, found);
    if (reply.ok && found?.next_token) offerNext(form, found.next_token);
    if (reply.ok && (form.path === "/login" || form.path === "/logout")) await identify();
  } catch (error) {
    head.append(make("b", {}, "no answer"));
    text.textContent = String(error);
  }
  remember(form, status, Math.round(performance.now() - started));
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return null; }
}

function offerNext(form, token) {
  const start = form.fields.find(({ field }) => field.name === "_start");
  if (!start) return;
  const button = make("button", { type: "button", class: "quiet" }, "Next page");
  button.addEventListener("click", () => {
    start.input.value = token;
    start.input.dispatchEvent(new Event("input", { bubbles: true }));
    form.send();
  });
  form.answer.append(make("div", { class: "buttons" }, button));
}

// -- the request as code ------------------------------------------------------------------------

let language = "curl";

function code(path) {
  const shown = make("pre", { tabindex: "0", "aria-label": "The request as code" });
  const note = make("p", { class: "hint" });
  const copy = make("button", { type: "button", class: "quiet" }, "Copy");
  const place = make("div", { class: "code" });
  const node = make("details", { class: "as-code" }, make("summary", {}, "As code"), place);
  const update = () => {
    const form = forms.get(path);
    form.changed = () => node.open && update();
    const { method, path: target, body } = requestOf(form, true);
    shown.textContent = LANGUAGES[language]({ method, url: new URL(target, location.href), body, how: caller.how });
    const wanted = { session: "BKJS_LOGIN and BKJS_PASSWORD", secret: "BKJS_LOGIN and BKJS_SECRET", token: "BKJS_TOKEN" }[caller.how];
    note.textContent = wanted && !(caller.how === "session" && language === "JavaScript")
      ? `Set ${wanted} in the environment. No secret is in the code.` : "";
    note.hidden = !note.textContent;
  };
  copy.addEventListener("click", async () => {
    update();
    try {
      await navigator.clipboard.writeText(shown.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(shown);
      copy.textContent = "Selected";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  place.append(make("div", { class: "row" },
    choice("Language", Object.keys(LANGUAGES), language, (name) => { language = name; update(); }), copy), note, shown);
  node.addEventListener("toggle", () => node.open && update());
  node.update = () => node.open && update();
  return node;
}

// -- history ------------------------------------------------------------------------------------

const HISTORY = "bkjs-docs-history";
const MOST = 30;
const LONGEST_VALUE = 500;

function past() {
  try { return JSON.parse(sessionStorage.getItem(HISTORY)) || []; } catch { return []; }
}

function keep(items) {
  try { sessionStorage.setItem(HISTORY, JSON.stringify(items.slice(0, MOST))); } catch { /* it is full or closed */ }
}

function remember(form, status, took) {
  const values = {};
  for (const { field, input, operator } of form.fields) {
    const secret = isSecret(field.schema) || SECRET_NAME.test(field.name);
    if (input.value && !secret && input.value.length <= LONGEST_VALUE) values[field.name] = input.value;
    if (operator?.value) values["operator " + field.name] = operator.value;
  }
  const more = others(form.more.value).filter(([name, value]) => !SECRET_NAME.test(name) && value.length <= LONGEST_VALUE);
  if (more.length) values["?"] = String(new URLSearchParams(more));
  keep([{ at: Date.now(), method: form.method, path: form.path, status, took, values }, ...past()]);
}

function showHistory() {
  const items = past();
  const list = byId("history").querySelector("ol");
  list.replaceChildren(...items.map((item) => {
    const words = Object.entries(item.values).map(([name, value]) => `${name}=${value}`).join("  ");
    const button = make("button", { type: "button", class: "past" },
      make("span", { class: "method " + item.method }, item.method),
      make("span", { class: "path" }, item.path),
      make("b", { class: item.status && item.status < 400 ? "good" : "bad" }, String(item.status || "–")),
      make("span", { class: "when" }, new Date(item.at).toLocaleTimeString()),
      words ? make("span", { class: "values" }, words) : null);
    button.addEventListener("click", () => {
      byId("history").close();
      again(item);
    });
    return make("li", {}, button);
  }));
  if (!items.length) list.append(make("li", { class: "hint" }, "Nothing was sent yet."));
  byId("clear").hidden = !items.length;
  byId("history").showModal();
}

/** Open the endpoint of an earlier request with what was sent then. */
function again(item) {
  const node = byId(item.path);
  if (!node) {
    notice(`${item.path} is not in the description any more.`);
    return;
  }
  drafts.set(item.path, new Map([...Object.entries(item.values), ["method", item.method]]));
  clearFilter();
  node.querySelector(".body").replaceChildren();
  node.fill();
  node.open = true;
  node.scrollIntoView();
  node.querySelector("summary").focus();
}

// -- an endpoint --------------------------------------------------------------------------------

function replyOf(operation) {
  const schema = replySchema(operation);
  const { words, properties } = outline(schema);
  const list = make("dl", { class: "reply" },
    Object.entries(properties || {}).map(([name, property]) => [
      make("dt", {}, name),
      make("dd", {}, [typeName(property), resolve(property).enum?.join(", ")].filter(Boolean).join(": "),
        resolve(property).description ? " · " : "", prose(resolve(property).description)),
    ]));
  const sample = () => make("pre", { tabindex: "0", "aria-label": "Example of a reply" }, coloured(JSON.stringify(example(schema), null, 2)));
  const errors = () => make("dl", { class: "reply" },
    failures(operation).map(([status, about]) => [make("dt", {}, status), make("dd", {}, prose(about))]));
  const place = make("div");
  const views = {
    Fields: () => [make("p", { class: "hint" }, words[0].toUpperCase() + words.slice(1)), list],
    Example: () => [sample()],
    Errors: () => [make("p", { class: "hint" }, prose("`{\"status\", \"message\", \"code\", \"field\"}`, the last two where they apply")), errors()],
  };
  const offered = schema ? Object.keys(views) : ["Errors"];
  const choose = (name) => place.replaceChildren(...views[name]());
  choose(offered[0]);
  const body = bodySchema(operation);
  return make("div", { class: "reply-of" },
    make("div", { class: "row" }, make("h3", {}, "Reply"), offered.length > 1 ? choice("Reply", offered, offered[0], choose) : null), place,
    body ? make("details", { class: "more" }, make("summary", {}, "Example of a body"),
      make("pre", { tabindex: "0", "aria-label": "Example of a body" }, coloured(JSON.stringify(example(body), null, 2)))) : null);
}

/** Fill in what an opened endpoint shows: hundreds of forms are not made before they are wanted. */
function fill(body, path, operations) {
  const methods = Object.keys(operations).map((method) => method.toUpperCase());
  if (!drafts.has(path)) drafts.set(path, new Map());
  const wanted = drafts.get(path).get("method");
  const first = methods.includes(wanted) ? wanted : methods[0];
  const place = make("div");
  const reply = make("div");
  const asCode = code(path);
  const choose = (method) => {
    const operation = operations[method.toLowerCase()];
    place.replaceChildren(tryOut(path, method, operation));
    reply.replaceChildren(replyOf(operation));
    asCode.update();
  };
  const about = operations[first.toLowerCase()].description;
  body.append(...[
    about ? make("div", { class: "description" }, paragraphs(about)) : null,
    methods.length > 1 ? choice("Method", methods, first, choose, (method) => "method " + method) : null,
    place, asCode, reply,
  ].filter(Boolean));
  choose(first);
}

function endpoint(path, operations) {
  const first = Object.values(operations)[0];
  const body = make("div", { class: "body" });
  const open = Object.values(operations).every((operation) => !operation.security?.length);
  const parts = path.split(/(\{\w+\})/).map((part) => (part.startsWith("{") ? make("em", {}, part) : part));
  const node = make("details", { class: "endpoint", id: path },
    make("summary", {},
      make("span", { class: "methods" }, ...Object.keys(operations).map((method) => make("span", { class: "method " + method.toUpperCase() }, method.toUpperCase()))),
      make("span", { class: "path" }, ...parts),
      make("span", { class: "about" }, ...prose(first.summary)),
      open ? make("span", { class: "open", title: "Needs no account" }, "open") : null),
    body);
  node.dataset.search = `${path} ${first.summary || ""}`.toLowerCase();
  node.fill = () => body.firstChild || fill(body, path, operations);
  node.addEventListener("toggle", () => {
    if (!node.open) return;
    node.fill();
    history.replaceState(null, "", "#" + encodeURI(path));
  });
  return node;
}

// -- the page -----------------------------------------------------------------------------------

function notice(text, button) {
  byId("notice").replaceChildren(make("p", { role: "status" }, text), ...(button ? [button] : []));
  byId("notice").hidden = !text;
}

const WAYS = { signature: "Sign each request", session: "Session of a browser", token: "Access token" };

function explain() {
  const schemes = (spec.components || {}).securitySchemes || {};
  for (const name of Object.keys(names)) if (schemes[name]) names[name] = schemes[name].name;
  byId("signing").lastElementChild.replaceChildren(
    ...paragraphs(spec.info.description),
    make("dl", {}, Object.entries(schemes).map(([name, scheme]) => [
      make("dt", {}, WAYS[name] || name, " ", make("small", {}, `${scheme.in} `, make("code", {}, scheme.name))),
      make("dd", {}, paragraphs(scheme.description)),
    ])),
    make("p", {}, "Sign in here by any of them; the part “As code” of each endpoint is then the request for that way."));
  byId("signing").hidden = false;
}

function show() {
  document.title = spec.info.title;
  byId("title").textContent = spec.info.title;
  byId("version").textContent = spec.info.version;
  const opened = [...document.querySelectorAll(".endpoint[open]")].map((node) => node.id);
  forms.clear();
  explain();
  const groups = new Map();
  for (const [path, operations] of Object.entries(spec.paths || {})) {
    const tag = (Object.values(operations)[0].tags || ["other"])[0];
    if (!groups.has(tag)) groups.set(tag, []);
    groups.get(tag).push(endpoint(path, operations));
  }
  const sorted = [...groups].sort(([a], [b]) => a.localeCompare(b));
  byId("endpoints").replaceChildren(...sorted.map(([tag, items]) =>
    make("section", { id: "group-" + tag, "aria-label": tag }, make("h2", {}, tag), ...items)));
  byId("groups").replaceChildren(...sorted.map(([tag, items]) =>
    make("a", { href: "#group-" + tag }, tag, make("span", {}, String(items.length)))));
  const file = document.querySelector(".file");
  // what was read, since a link would be asked for without a signature
  URL.revokeObjectURL(file.href);
  file.href = URL.createObjectURL(new Blob([JSON.stringify(spec)], { type: "application/json" }));
  file.hidden = false;
  notice("");
  for (const id of opened) if (byId(id)) byId(id).open = true;
  filter(byId("filter").value.trim());
  if (!opened.length) follow();
}

function hide() {
  use({});
  byId("signing").hidden = true;
  document.querySelector(".file").hidden = true;
  byId("endpoints").replaceChildren();
  byId("groups").replaceChildren();
}

function follow() {
  let name = location.hash.slice(1);
  try { name = decodeURI(name); } catch { /* it is no path of ours, then */ }
  const target = byId(name);
  if (!target) return;
  if (target.localName === "details") target.open = true;
  target.scrollIntoView();
}

const shown = () => [...document.querySelectorAll(".endpoint")].filter((item) => !item.hidden);

function filter(text) {
  if (!spec.paths) return;
  const words = text.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section")) {
    const items = [...section.querySelectorAll(".endpoint")];
    for (const item of items) item.hidden = !words.every((word) => item.dataset.search.includes(word));
    section.hidden = items.every((item) => item.hidden);
  }
  notice(shown().length ? "" : "No endpoint has that in its path or summary.");
}

function clearFilter() {
  byId("filter").value = "";
  filter("");
}

// -- the account --------------------------------------------------------------------------------

const HINTS = {
  session: "Opens a session: a cookie that this page cannot read. It lasts when the page is reloaded.",
  secret: "This page signs each request. The secret stays in the memory of the page, until it is reloaded.",
  token: "Sent with each request. The token stays in the memory of the page, until it is reloaded.",
};

function showCaller() {
  const name = caller.account?.name || caller.login;
  byId("account").textContent = caller.how ? "Sign out" : "Sign in";
  byId("who").hidden = !caller.how;
  byId("who").textContent = name || "";
  byId("who").title = caller.how ? `${name} · ${{ session: "session", secret: "signed requests", token: "access token" }[caller.how]}` : "";
}

/** Find out again who the browser's session is of, unless another way to sign in is used. */
async function identify() {
  if (["secret", "token"].includes(caller.how)) return;
  Object.assign(caller, { how: "", login: "", account: null });
  await findSession().catch(() => null);
  showCaller();
}

const loginForm = byId("login").querySelector("form");

function chooseWay() {
  const how = loginForm.elements.how.value;
  for (const label of loginForm.querySelectorAll("[data-for]")) {
    const used = label.dataset.for.split(" ").includes(how);
    const input = label.querySelector("input");
    label.hidden = !used;
    input.disabled = !used;
    input.required = used;
  }
  loginForm.querySelector(".hint").textContent = HINTS[how];
  loginForm.querySelector(".wrong").textContent = "";
}

function openLogin() {
  loginForm.reset();
  chooseWay();
  byId("login").showModal();
  loginForm.elements.login.focus();
}

byId("account").addEventListener("click", async () => {
  if (!caller.how) {
    openLogin();
    return;
  }
  await signOut();
  drafts.clear();
  keep([]);
  hide();
  showCaller();
  await load();
});

for (const radio of loginForm.elements.how) radio.addEventListener("change", chooseWay);

loginForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { how, login, password, secret, token } = loginForm.elements;
  const button = loginForm.querySelector("[type=submit]");
  const wrong = loginForm.querySelector(".wrong");
  wrong.textContent = "";
  button.disabled = true;
  try {
    await signIn(how.value, { login: login.value.trim(), password: password.value, secret: secret.value, token: token.value.trim() });
    loginForm.reset();
    byId("login").close();
    showCaller();
    await load();
    byId("account").focus();
  } catch (error) {
    wrong.textContent = error.message;
  }
  button.disabled = false;
});

byId("past").addEventListener("click", showHistory);
byId("clear").addEventListener("click", () => {
  keep([]);
  byId("history").close();
});
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

// -- the start ----------------------------------------------------------------------------------

async function load() {
  try {
    const reply = await call("GET", "/openapi.json");
    const found = await reply.json();
    if ([401, 403, 417].includes(reply.status)) {
      hide();
      const who = caller.account?.name || caller.login;
      if (caller.how) {
        notice(`You are signed in as ${who}, who is no administrator. The description of this API is for administrators, unless a rule opens it.`);
        return;
      }
      const button = make("button", { type: "button" }, "Sign in");
      button.addEventListener("click", openLogin);
      notice("Sign in as an administrator to see the API.", button);
      return;
    }
    if (!reply.ok) throw new Error(found.message || reply.status);
    use(found);
    show();
  } catch (error) {
    notice(`The description of the API is not available: ${error.message}`);
  }
}

byId("filter").addEventListener("input", (event) => filter(event.target.value.trim()));
byId("filter").addEventListener("keydown", (event) => {
  const found = shown();
  if (!["Enter", "ArrowDown"].includes(event.key) || !found.length) return;
  event.preventDefault();
  if (event.key === "Enter" && found.length === 1) found[0].open = true;
  found[0].querySelector("summary").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select, dialog")) {
    event.preventDefault();
    byId("filter").focus();
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const summary = event.target.closest(".endpoint > summary");
  if (!step || !summary) return;
  const found = shown();
  const next = found[found.indexOf(summary.parentElement) + step];
  event.preventDefault();
  if (next) next.querySelector("summary").focus();
  else if (step < 0) byId("filter").focus();
});
addEventListener("hashchange", follow);

await identify();
await load();
