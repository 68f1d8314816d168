// backendjs from npm as its documentation shows it: small JSON and a row of either database, open
const { app, api, db } = require("backendjs");
const bench = { id: { type: "int", primary: 1 }, name: {}, email: {}, num: { type: "int" }, mtime: { type: "bigint" } };

app.addModule({
    name: "bench",
    tables: { person: bench },
    configureMiddleware(options, callback) {
        const get = (pool) => (ctx) => {
            db.get("person", { id: 1 + Math.floor(Math.random() * 1000) }, { pool }, (err, row) => { ctx.reply(err, row) });
        };
        api.app.get("/small", (ctx) => { ctx.reply(null, { status: "ok", id: 12345, name: "bench", ts: 1700000000000 }) });
        api.app.get("/lite", get("sqlite"));
        api.app.get("/get", get("pg"));
        callback();
    },
});
app.repl.webPort = 0; // no console on a port of its own
app.start({ api: 1 });
