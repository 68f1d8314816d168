"use strict";

let spec = {};
let signatureHeader = "bk-signature";

const byId = (id) => document.getElementById(id);

// Everything that comes from the server is put in as text, never as markup.
function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

/** Text with `code` in it. */
function prose(text) {
  return (text || "").split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

// -- the document -------------------------------------------------------------------------------

/** The schema behind references, without the null of an optional one. */
function resolve(schema) {
  let found = schema || {};
  for (let depth = 0; depth < 10; depth++) {
    const others = (found.anyOf || []).filter((item) => item.type !== "null");
    if (found.$ref) found = found.$ref.slice(2).split("/").reduce((node, key) => node && node[key], spec) || {};
    else if (others.length === 1) found = { ...found, anyOf: undefined, ...others[0] };
    else break;
  }
  return found;
}

function typeName(schema) {
  const found = resolve(schema);
  if (found.anyOf) return found.anyOf.map(typeName).filter((name) => name !== "null").join(" or ");
  if (found.enum) return found.enum.join(" | ");
  if (found.type === "array") return "list of " + (typeName(found.items) || "anything");
  return found.format || found.type || "";
}

function limits(schema) {
  const words = {
    minLength: "length from %s", maxLength: "length up to %s", minimum: "from %s",
    maximum: "up to %s", exclusiveMinimum: "above %s", exclusiveMaximum: "below %s",
    minItems: "at least %s", maxItems: "at most %s", pattern: "like %s",
  };
  const found = resolve(schema);
  return Object.keys(words).filter((key) => found[key] !== undefined)
    .map((key) => words[key].replace("%s", () => found[key]));
}

function fieldsOf(operation) {
  const fields = (operation.parameters || []).filter((item) => item.in === "path" || item.in === "query").map((item) => ({
    name: item.name, where: item.in, required: item.required, schema: item.schema, about: item.description,
  }));
  const content = (operation.requestBody || {}).content || {};
  const schema = resolve((content["application/json"] || {}).schema);
  for (const [name, property] of Object.entries(schema.properties || {})) {
    const required = (schema.required || []).includes(name);
    fields.push({ name, where: "body", required, schema: property, about: property.description });
  }
  return fields;
}

// -- trying an endpoint -------------------------------------------------------------------------

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

function request(path, method, inputs, more, signature) {
  const query = new URLSearchParams();
  const body = {};
  const hasBody = !["GET", "HEAD", "DELETE"].includes(method);
  let url = path;
  for (const [field, input] of inputs) {
    const text = input.value;
    if (field.where === "path") url = url.replace(`{${field.name}}`, () => encodeURIComponent(text));
    else if (text === "") continue;
    else if (field.where === "query") query.append(field.name, text);
    else body[field.name] = valueOf(field.schema, text);
  }
  for (const [name, value] of new URLSearchParams(more)) {
    if (hasBody) body[name] = value;
    else query.append(name, value);
  }
  if (String(query)) url += "?" + query;
  const options = { method, headers: {}, credentials: "same-origin" };
  if (signature) options.headers[signatureHeader] = signature;
  if (hasBody) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  return [url, options];
}

async function send(url, options, answer) {
  const head = make("p", {}, make("span", { class: "url" }, `${options.method} ${url}`));
  const shown = make("pre", { tabindex: "0" }, "…");
  answer.replaceChildren(head, shown);
  answer.hidden = false;
  const started = performance.now();
  try {
    const reply = await fetch(url, options);
    const text = await reply.text();
    const took = Math.round(performance.now() - started);
    head.append(
      make("b", { class: reply.ok ? "good" : "bad" }, `${reply.status} ${reply.statusText}`),
      make("span", {}, `${took} ms`), make("span", {}, reply.headers.get("content-type")));
    shown.textContent = pretty(text) || "(empty)";
  } catch (error) {
    head.append(make("b", {}, "no answer"));
    shown.textContent = String(error);
  }
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
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
  return make("input", { placeholder, required: field.where === "path", autocomplete: "off", spellcheck: "false" });
}

function labelled(name, about, input, required) {
  return make("label", { class: "field" },
    make("span", {}, make("code", { class: required ? "needed" : "" }, name), make("small", {}, about)), input);
}

/** The form for one method of a path, and what it answers. */
function tryOut(path, method, operation) {
  const inputs = fieldsOf(operation).map((field) => [field, control(field)]);
  const more = make("input", { placeholder: "_count=10&_sort=name", autocomplete: "off", spellcheck: "false" });
  const signature = make("input", { autocomplete: "off", spellcheck: "false" });
  const answer = make("div", { class: "answer", role: "status", hidden: true });
  const button = make("button", {}, "Send");
  const form = make("form", { class: "try" },
    ...inputs.map(([field, input]) => labelled(field.name,
      [typeName(field.schema), ...limits(field.schema), field.about].filter(Boolean).join(" · "), input, field.required)),
    make("details", { class: "more" }, make("summary", {}, "More"),
      labelled("other parameters", "as in a URL", more),
      labelled(signatureHeader, "header; without it the session counts", signature)),
    make("div", {}, button), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await send(...request(path, method, inputs, more.value, signature.value), answer);
    button.disabled = false;
  });
  return form;
}

function replyOf(operation) {
  const content = ((operation.responses || {})["200"] || {}).content || {};
  const schema = resolve((content["application/json"] || {}).schema);
  const list = schema.type === "array";
  const fields = Object.entries(resolve(list ? schema.items : schema).properties || {});
  if (!fields.length) return null;
  return make("div", {}, make("h3", {}, list ? "Reply: a list of" : "Reply"), make("dl", { class: "reply" },
    ...fields.flatMap(([name, property]) => [make("dt", {}, name),
      make("dd", {}, [typeName(property), property.description].filter(Boolean).join(" · "))])));
}

// -- the page -----------------------------------------------------------------------------------

/** Fill in what an opened endpoint shows: hundreds of forms are not made before they are wanted. */
function fill(body, path, operations) {
  const first = Object.values(operations)[0];
  const methods = Object.keys(operations);
  const place = make("div");
  const choose = (method) => place.replaceChildren(tryOut(path, method.toUpperCase(), operations[method]));
  const choice = make("fieldset", { class: "choice", "aria-label": "Method" }, ...methods.map((method) => {
    const radio = make("input", { type: "radio", name: "method " + path });
    radio.checked = method === methods[0];
    radio.addEventListener("change", () => choose(method));
    return make("label", { class: "method " + method.toUpperCase() }, radio, method.toUpperCase());
  }));
  const about = first.description && make("p", {}, ...prose(first.description));
  body.append(...[about, methods.length > 1 && choice, place, replyOf(first)].filter(Boolean));
  choose(methods[0]);
}

function endpoint(path, operations) {
  const first = Object.values(operations)[0];
  const body = make("div", { class: "body" });
  const open = Object.values(operations).some((operation) => !operation.security);
  const parts = path.split(/(\{\w+\})/).map((part) => (part.startsWith("{") ? make("em", {}, part) : part));
  const node = make("details", { class: "endpoint", id: path },
    make("summary", {},
      make("span", { class: "methods" }, ...Object.keys(operations).map((method) => make("span", { class: "method " + method.toUpperCase() }, method.toUpperCase()))),
      make("span", { class: "path" }, ...parts),
      make("span", { class: "about" }, ...prose(first.summary)),
      open ? make("span", { class: "open", title: "Needs no account" }, "open") : null),
    body);
  node.dataset.search = `${path} ${first.summary || ""}`.toLowerCase();
  node.addEventListener("toggle", () => {
    if (!node.open) return;
    if (!body.firstChild) fill(body, path, operations);
    history.replaceState(null, "", "#" + encodeURI(path));
  });
  return node;
}

function show() {
  document.title = spec.info.title;
  byId("title").textContent = spec.info.title;
  byId("version").textContent = spec.info.version;
  const scheme = ((spec.components || {}).securitySchemes || {}).signature;
  if (scheme) signatureHeader = scheme.name;
  const groups = new Map();
  for (const [path, operations] of Object.entries(spec.paths || {})) {
    const tag = (Object.values(operations)[0].tags || ["other"])[0];
    if (!groups.has(tag)) groups.set(tag, []);
    groups.get(tag).push(endpoint(path, operations));
  }
  for (const [tag, items] of [...groups].sort(([a], [b]) => a.localeCompare(b))) {
    const id = "group-" + tag;
    byId("endpoints").append(make("section", { id, "aria-label": tag }, make("h2", {}, tag), ...items));
    byId("groups").append(make("a", { href: "#" + id }, tag, make("span", {}, String(items.length))));
  }
  byId("notice").hidden = true;
  follow();
}

function follow() {
  const target = byId(decodeURI(location.hash.slice(1)));
  if (!target) return;
  if (target.localName === "details") target.open = true;
  target.scrollIntoView();
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/);
  let count = 0;
  for (const section of document.querySelectorAll("section")) {
    const items = [...section.querySelectorAll(".endpoint")];
    for (const item of items) item.hidden = !words.every((word) => item.dataset.search.includes(word));
    section.hidden = items.every((item) => item.hidden);
    count += items.filter((item) => !item.hidden).length;
  }
  byId("notice").textContent = "No endpoint has that in its path or summary.";
  byId("notice").hidden = count > 0;
}

// -- the account --------------------------------------------------------------------------------

async function api(path, values) {
  const headers = { "content-type": "application/json" };
  const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(values), credentials: "same-origin" });
  const data = await reply.json();
  if (!reply.ok) throw new Error(data.message || reply.status);
  return data;
}

function signedIn(account) {
  const button = byId("account");
  button.dataset.known = account ? "1" : "";
  button.textContent = account ? `Sign out ${account.name || account.login || ""}` : "Sign in";
  byId("login").hidden = true;
  button.setAttribute("aria-expanded", "false");
}

byId("account").addEventListener("click", async (event) => {
  const form = byId("login");
  if (event.target.dataset.known) {
    await api("/logout", {}).catch(() => null);
    signedIn(null);
    return;
  }
  form.hidden = !form.hidden;
  event.target.setAttribute("aria-expanded", String(!form.hidden));
  if (!form.hidden) form.elements.login.focus();
});

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const status = form.querySelector("[role=status]");
  status.textContent = "";
  try {
    const values = { login: form.elements.login.value, password: form.elements.password.value, _session: 1 };
    signedIn(await api("/login", values));
    form.reset();
    byId("account").focus();
    if (!spec.info) await load();
  } catch (error) {
    status.textContent = error.message;
  }
});

// -- the start ----------------------------------------------------------------------------------

async function load() {
  try {
    const reply = await fetch("/openapi.json", { credentials: "same-origin" });
    const found = await reply.json();
    if ([401, 403, 417].includes(reply.status)) {
      byId("notice").textContent = "Sign in as an administrator to see the API.";
      return;
    }
    if (!reply.ok) throw new Error(found.message || reply.status);
    spec = found;
    show();
  } catch (error) {
    byId("notice").textContent = `The description of the API is not available: ${error.message}`;
  }
}

byId("filter").addEventListener("input", (event) => filter(event.target.value.trim()));
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select")) return;
  event.preventDefault();
  byId("filter").focus();
});
addEventListener("hashchange", follow);
load();
