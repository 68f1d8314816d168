"use strict";

const $ = (id) => document.getElementById(id);
const say = (text) => ($("message").textContent = text);

/** The answer as an object; an error has `status`, `code` and `field` of the server's. */
async function api(path, body) {
  const options = {};
  if (body instanceof FormData) {
    Object.assign(options, { method: "POST", body }); // the browser sets the type with its boundary
  } else if (body) {
    const headers = { "content-type": "application/json" }; // without it the server answers 415
    Object.assign(options, { method: "POST", headers, body: JSON.stringify(body) });
  }
  const reply = await fetch(path, options); // the cookie goes along: same-origin is the default
  const answer = await reply.json();
  if (!reply.ok) throw Object.assign(new Error(answer.message), answer);
  return answer;
}

/** Show the form to sign in, or the notes of the account. */
async function start() {
  try {
    const account = await api("/auth");
    $("who").textContent = account.name;
    await show();
  } catch (error) {
    if (error.status !== 417 && error.status !== 401) throw error; // 417: nobody is signed in
    $("sign-in").hidden = false;
    $("notes").hidden = true;
  }
}

let next = ""; // where the next page begins

async function show(start = "") {
  const page = await api(`/note/select?_sort=text&_count=10&_start=${encodeURIComponent(start)}`);
  $("sign-in").hidden = true;
  $("notes").hidden = false;
  if (!start) $("list").replaceChildren();
  for (const note of page.data) {
    const item = document.createElement("li");
    item.append(note.text); // text, never innerHTML
    if (note.photo) {
      const image = document.createElement("img");
      Object.assign(image, { src: `/note/photo?id=${note.id}`, alt: "", height: 80 });
      item.append(image);
    }
    $("list").append(item);
  }
  next = page.next_token || "";
  $("more").hidden = !next;
}

function on(id, event, action) {
  $(id).addEventListener(event, async (occured) => {
    occured.preventDefault();
    say("");
    try {
      await action(occured.target);
    } catch (error) {
      say(error.field ? `${error.field}: ${error.message}` : error.message);
    }
  });
}

on("sign-in", "submit", async (form) => {
  const { login, password } = Object.fromEntries(new FormData(form));
  await api("/login", { login, password, _session: 1 });
  form.reset();
  await start();
});

on("add", "submit", async (form) => {
  const { text, photo } = Object.fromEntries(new FormData(form));
  const { id } = await api("/note/add", { text });
  if (photo.size) {
    const parts = new FormData();
    parts.append("id", id);
    parts.append("photo", photo);
    await api("/note/photo/put", parts);
  }
  form.reset();
  await show();
});

on("more", "click", () => show(next));

on("sign-out", "click", async () => {
  await api("/logout", {});
  await start();
});

start().catch((error) => say(error.message));
