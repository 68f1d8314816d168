// A request as code. What opens an account is never in it: programs get that from their environment.

import { linesToSign, names } from "./docs-caller.js";

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const python = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
const script = (text) => JSON.stringify(text);
/** One line of a text to sign for printf, which knows % and backslashes. */
const printf = (text) => text.replaceAll("\\", "\\\\").replaceAll("%", "%%");

function curl({ method, url, body, how }) {
  const lines = [];
  const options = [method === (body ? "POST" : "GET") ? "" : `-X ${method}`];
  if (body) options.push("-H 'content-type: application/json'", `-d ${shell(body)}`);
  if (how === "session") {
    lines.push("# once: the session is kept in the file cookies",
      `curl -sS -o /dev/null -c cookies -d _session=1 --data-urlencode "login=$BKJS_LOGIN" \\`,
      `  --data-urlencode "password=$BKJS_PASSWORD" ${shell(url.origin + "/login")}`);
    options.push("-b cookies");
  }
  if (how === "token") options.push(`-H "${names.token}: $BKJS_TOKEN"`);
  if (how === "secret") {
    const type = body ? "application/json" : "";
    const text = linesToSign("%s", method, url, "%s", type, "%s").map((line) => (line === "%s" ? line : printf(line))).join("\\n");
    lines.push("expires=$(date +%s)000; expires=$((expires + 60000))",
      body ? `checksum=$(printf %s ${shell(body)} | openssl dgst -sha1 -binary | base64)` : "checksum=",
      `digest=$(printf ${shell(text)} "$BKJS_LOGIN" "$expires" "$checksum" |`,
      `  openssl dgst -sha256 -hmac "$BKJS_SECRET" -binary | base64)`);
    options.push(`-H "${names.signature}: 4||$BKJS_LOGIN|$digest|$expires|$checksum|"`);
  }
  lines.push(["curl -sS", ...options.filter(Boolean), shell(String(url))].join(" \\\n  "));
  return lines.join("\n");
}

function pythonCode({ method, url, body, how }) {
  const imports = ["import urllib.request"];
  const lines = [`url = ${python(String(url))}`];
  const headers = body ? ["'content-type': 'application/json'"] : [];
  let open = "urllib.request.urlopen(request)";
  lines.push(body ? `body = ${python(body)}.encode()` : "body = None");
  if (how === "session") {
    imports.unshift("import os");
    imports.push("from http.cookiejar import CookieJar", "from urllib.parse import urlencode");
    lines.push("client = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))",
      "login, password = os.environ['BKJS_LOGIN'], os.environ['BKJS_PASSWORD']",
      "form = urlencode({'login': login, 'password': password, '_session': 1})",
      `client.open(${python(url.origin + "/login")}, form.encode()).close()`);
    open = "client.open(request)";
  }
  if (how === "token") {
    imports.unshift("import os");
    headers.push(`${python(names.token)}: os.environ['BKJS_TOKEN']`);
  }
  lines.push(`headers = {${headers.join(", ")}}`);
  if (how === "secret") {
    imports.unshift("import base64", "import hashlib", "import hmac", "import os", "import time");
    const signed = linesToSign("", method, url, "", body ? "application/json" : "", "");
    lines.push("",
      "login, secret = os.environ['BKJS_LOGIN'], os.environ['BKJS_SECRET']",
      "expires = str(int(time.time() * 1000) + 60_000)",
      body ? "checksum = base64.b64encode(hashlib.sha1(body).digest()).decode()" : "checksum = ''",
      `lines = ['4', '', login, ${signed.slice(3, 7).map(python).join(", ")}, expires, ${python(signed[8])}, checksum, '']`,
      "mac = hmac.new(secret.encode(), '\\n'.join(lines).encode(), hashlib.sha256)",
      "digest = base64.b64encode(mac.digest()).decode()",
      `headers[${python(names.signature)}] = f'4||{login}|{digest}|{expires}|{checksum}|'`);
  }
  lines.push("", `request = urllib.request.Request(url, body, headers, method=${python(method)})`,
    `with ${open} as reply:`, "    print(reply.read().decode())");
  return [...imports, "", ...lines].join("\n");
}

function javascript({ method, url, body, how }) {
  const lines = [`const url = ${script(String(url))};`];
  const headers = body ? [`"content-type": "application/json"`] : [];
  const more = [];
  if (body) {
    lines.push(`const body = JSON.stringify(${JSON.stringify(JSON.parse(body), null, 2)});`);
    more.push("body");
  }
  if (how === "session") {
    lines.unshift("// in a page of this server, whose session counts");
    more.push(`credentials: "same-origin"`);
  }
  if (how === "token") headers.push(`${script(names.token)}: process.env.BKJS_TOKEN`);
  lines.push(`const headers = {${headers.length ? ` ${headers.join(", ")} ` : ""}};`);
  if (how === "secret") {
    const signed = linesToSign("", method, url, "", body ? "application/json" : "", "");
    lines.push("",
      "const { BKJS_LOGIN: login, BKJS_SECRET: secret } = process.env;",
      "const bytes = (text) => new TextEncoder().encode(text);",
      "const base64 = (data) => btoa(String.fromCharCode(...new Uint8Array(data)));",
      "const expires = String(Date.now() + 60_000);",
      body ? `const checksum = base64(await crypto.subtle.digest("SHA-1", bytes(body)));` : `const checksum = "";`,
      `const lines = ["4", "", login, ${signed.slice(3, 7).map(script).join(", ")}, expires, ${script(signed[8])}, checksum, ""];`,
      `const key = await crypto.subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);`,
      `const digest = base64(await crypto.subtle.sign("HMAC", key, bytes(lines.join("\\n"))));`,
      `headers[${script(names.signature)}] = \`4||\${login}|\${digest}|\${expires}|\${checksum}|\`;`);
  }
  lines.push("", `const reply = await fetch(url, { ${[`method: ${script(method)}`, "headers", ...more].join(", ")} });`,
    "console.log(reply.status, await reply.text());");
  return lines.join("\n");
}

export const LANGUAGES = { curl, Python: pythonCode, JavaScript: javascript };
