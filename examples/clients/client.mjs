// A client that signs its requests: a browser, or Node 20 and newer, nothing else.
//
//     BK_LOGIN=anna BK_SECRET=… node client.mjs METHOD URL [BODY [CONTENT-TYPE]]
//
// prints the body of the reply and ends with 1 unless the status is below 400.
// Browsers have crypto.subtle on https and on localhost only.

const FORM = "application/x-www-form-urlencoded";
const LIFETIME = 60_000; // milliseconds for which a signature is good

const utf8 = (text) => new TextEncoder().encode(text);
const latin1 = (bytes) => Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join("");
const base64 = (bytes) => btoa(latin1(bytes));

async function hmac(secret, text) {
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", utf8(secret), how, false, ["sign"]);
  return crypto.subtle.sign("HMAC", key, utf8(text));
}

/** The value of the header `bk-signature` for one request; `body` is text. */
export async function signature(
  login, secret, method, url, body = "", contentType = "", options = {},
) {
  const { host: authority, pathname, search } = new URL(url);
  const host = authority.split(":")[0].toLowerCase();
  const form = method === "POST" && contentType.split(";")[0].trim().toLowerCase() === FORM;
  const items = (form ? body : search.slice(1)).split("&");
  const query = items.filter((i) => i && !i.startsWith("bk-signature")).sort().join("&");
  const checksum = body && !form ? base64(await crypto.subtle.digest("SHA-1", utf8(body))) : "";
  const expires = options.expires ?? Date.now() + LIFETIME;
  const tag = options.tag ?? crypto.randomUUID();
  const type = contentType.toLowerCase();
  const signed = [4, tag, login, method, host, pathname, query, expires, type, checksum];
  const digest = base64(await hmac(secret, signed.map((line) => `${line}\n`).join("")));
  return `4|${tag}|${login}|${digest}|${expires}|${checksum}|`;
}

/** The Response to a signed request. */
export async function call(
  login, secret, method, url, body = "", contentType = "application/json",
) {
  const headers = body ? { "content-type": contentType } : {};
  const signed = await signature(login, secret, method, url, body, headers["content-type"]);
  // header values are bytes: a login with other letters than ASCII goes out as UTF-8
  headers["bk-signature"] = latin1(utf8(signed));
  return fetch(url, { method, headers, body: body || undefined });
}

if (globalThis.process?.argv[1]?.endsWith("client.mjs")) {
  const [method, url, ...rest] = process.argv.slice(2);
  const reply = await call(process.env.BK_LOGIN, process.env.BK_SECRET, method, url, ...rest);
  process.stdout.write(await reply.text());
  process.exitCode = reply.status < 400 ? 0 : 1;
}
