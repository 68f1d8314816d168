// Who calls: the session of this browser, or a secret or token that stays in the memory of this page.

const ENCODER = new TextEncoder();
const EXPIRES = 60_000;

let key = null;
let token = "";
export const caller = { how: "", login: "", account: null };
export const names = { signature: "bk-signature", token: "bk-access-token", session: "bk-session" };

const base64 = (data) => btoa(String.fromCharCode(...new Uint8Array(data)));
/** A header holds bytes: those of the text in UTF-8. */
const header = (text) => String.fromCharCode(...ENCODER.encode(text));

/** The lines under the digest of a signature. */
export function linesToSign(login, method, url, expires, type, checksum) {
  const query = url.search.slice(1).split("&").filter((item) => item && !item.startsWith(names.signature)).sort();
  return ["4", "", login, method, url.host.split(":")[0].toLowerCase(), url.pathname, query.join("&"),
    expires, type.toLowerCase(), checksum, ""];
}

async function sign(method, url, type, body) {
  const expires = String(Date.now() + EXPIRES);
  const checksum = body ? base64(await crypto.subtle.digest("SHA-1", ENCODER.encode(body))) : "";
  const text = linesToSign(caller.login, method, url, expires, type, checksum).join("\n");
  const digest = base64(await crypto.subtle.sign("HMAC", key, ENCODER.encode(text)));
  return `4||${caller.login}|${digest}|${expires}|${checksum}|`;
}

/** Send a request as whoever is signed in. */
export async function call(method, path, body) {
  const url = new URL(path, location.href);
  const type = body === undefined ? "" : "application/json";
  const headers = type ? { "content-type": type } : {};
  if (caller.how === "secret") headers[names.signature] = header(await sign(method, url, type, body));
  if (caller.how === "token") headers[names.token] = token;
  const credentials = ["secret", "token"].includes(caller.how) ? "omit" : "same-origin";
  return fetch(url, { method, headers, body, credentials, cache: "no-store" });
}

async function answer(reply) {
  const data = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(data.message || `${reply.status} ${reply.statusText}`);
  return data;
}

const post = async (path, values) => answer(await call("POST", path, JSON.stringify(values)));

function forget() {
  key = null;
  token = "";
  Object.assign(caller, { how: "", login: "", account: null });
}

/** Whether the browser has a session, and of whom. */
export async function findSession() {
  const reply = await call("GET", "/auth");
  if (!reply.ok) return;
  const account = await reply.json();
  if (account.login || account.id) Object.assign(caller, { how: "session", login: account.login || "", account });
}

/** Raises an error with the words of the server when the credentials are not good. */
export async function signIn(how, values) {
  const before = { ...caller }, hadKey = key, hadToken = token;
  forget();
  try {
    if (how === "session") {
      const account = await post("/login", { login: values.login, password: values.password, _session: 1 });
      Object.assign(caller, { how, login: account.login || values.login, account });
      return;
    }
    if (how === "secret") {
      if (!globalThis.crypto?.subtle) throw new Error("Browsers sign only on https, or on localhost.");
      const algorithm = { name: "HMAC", hash: "SHA-256" };
      // not even this page can read the secret again
      key = await crypto.subtle.importKey("raw", ENCODER.encode(values.secret), algorithm, false, ["sign"]);
      caller.login = values.login;
    } else token = values.token;
    caller.how = how;
    caller.account = await answer(await call("GET", "/auth"));
    caller.login = caller.login || caller.account.login || "";
  } catch (error) {
    Object.assign(caller, before);
    key = hadKey;
    token = hadToken;
    throw error;
  }
}

export async function signOut() {
  if (caller.how === "session") await post("/logout", {}).catch(() => null);
  forget();
  await findSession();
}
