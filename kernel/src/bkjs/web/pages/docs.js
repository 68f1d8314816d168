"use strict";

// Everything that comes from the server is put in as text, never as markup.
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (value !== false && value !== undefined) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

function resolve(spec, schema) {
  let found = schema || {};
  for (let depth = 0; found.$ref && depth < 10; depth++) {
    found = found.$ref.slice(2).split("/").reduce((node, key) => node && node[key], spec) || {};
  }
  return found;
}

function typeName(spec, schema) {
  const found = resolve(spec, schema);
  if (found.anyOf) return found.anyOf.map((item) => typeName(spec, item)).filter((t) => t !== "null").join(" or ");
  if (found.enum) return found.enum.join(" | ");
  if (found.type === "array") return "list of " + (typeName(spec, found.items) || "any");
  return found.format || found.type || "";
}

function fieldsOf(spec, operation) {
  const fields = (operation.parameters || []).map((parameter) => ({
    name: parameter.name, where: parameter.in, required: parameter.required,
    type: typeName(spec, parameter.schema), about: parameter.description || "",
  }));
  const body = operation.requestBody && operation.requestBody.content["application/json"];
  const schema = body ? resolve(spec, body.schema) : {};
  for (const [name, property] of Object.entries(schema.properties || {})) {
    fields.push({
      name, where: "body", required: (schema.required || []).includes(name),
      type: typeName(spec, property), about: property.description || "",
    });
  }
  return fields;
}

function valueOf(field, text) {
  if (field.where !== "body" || /^(string|date|date-time|uuid)?$/.test(field.type)) return text;
  try { return JSON.parse(text); } catch { return text; }
}

async function send(path, method, fields, form, output) {
  const data = new FormData(form);
  const query = new URLSearchParams();
  const body = {};
  let url = path;
  for (const field of fields) {
    const text = String(data.get(field.where + " " + field.name) || "");
    if (field.where === "path") url = url.replace(new RegExp("\\{" + field.name + "(:path)?\\}"), () => encodeURIComponent(text));
    else if (text !== "" && field.where === "query") query.append(field.name, text);
    else if (text !== "" && field.where === "body") body[field.name] = valueOf(field, text);
  }
  for (const [name, value] of new URLSearchParams(String(data.get("more") || ""))) query.append(name, value);
  if (String(query)) url += "?" + query;
  const options = { method, headers: {}, credentials: "same-origin" };
  const signature = String(data.get("signature") || "");
  if (signature) options.headers["bk-signature"] = signature;
  if (method !== "GET" && method !== "DELETE") {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  output.textContent = "…";
  const started = performance.now();
  try {
    const reply = await fetch(url, options);
    let text = await reply.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    const took = Math.round(performance.now() - started);
    output.textContent = `${method} ${url}\n${reply.status} ${reply.statusText} (${took} ms)\n\n${text}`;
  } catch (error) {
    output.textContent = `${method} ${url}\n${error}`;
  }
}

function input(label, name, about, required) {
  return element("label", {},
    element("span", { class: required ? "required" : "" }, label, about ? element("small", {}, about) : null),
    element("input", { name, autocomplete: "off", required: Boolean(required) }));
}

function endpoint(spec, path, method, operation) {
  const fields = fieldsOf(spec, operation);
  const output = element("pre", { hidden: true });
  const form = element("form", {},
    ...fields.map((field) => input(field.name, field.where + " " + field.name, [field.type, field.about].filter(Boolean).join(" · "), field.required)),
    input("other parameters", "more", "as in a URL: _count=10&_sort=name"),
    operation.security ? input("bk-signature", "signature", "header; empty uses the session cookie") : null,
    element("div", {}, element("button", {}, "Send")), output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    output.hidden = false;
    send(path, method, fields, form, output);
  });
  return element("details", { "data-search": (path + " " + (operation.summary || "")).toLowerCase() },
    element("summary", {},
      element("span", { class: "method" }, method), element("span", { class: "path" }, path),
      element("span", { class: "about" }, operation.summary || "")),
    form);
}

function show(spec) {
  document.title = spec.info.title;
  document.getElementById("title").textContent = `${spec.info.title} ${spec.info.version}`;
  const groups = new Map();
  for (const [path, methods] of Object.entries(spec.paths || {})) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = (operation.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(endpoint(spec, path, method.toUpperCase(), operation));
    }
  }
  const sections = [...groups].sort(([a], [b]) => a.localeCompare(b))
    .map(([tag, items]) => element("section", {}, element("h2", {}, tag), ...items));
  document.getElementById("groups").append(...sections);
  document.getElementById("notice").hidden = true;
}

function filter(text) {
  for (const section of document.querySelectorAll("section")) {
    let any = false;
    for (const item of section.querySelectorAll("details")) {
      item.hidden = !item.dataset.search.includes(text);
      any = any || !item.hidden;
    }
    section.hidden = !any;
  }
}

document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value.trim().toLowerCase()));
fetch("openapi.json", { credentials: "same-origin" })
  .then(async (reply) => {
    const spec = await reply.json();
    if (!reply.ok) throw new Error(spec.message || reply.status);
    show(spec);
  })
  .catch((error) => { document.getElementById("notice").textContent = `Not available: ${error.message}`; });
