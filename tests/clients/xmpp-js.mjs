// Drives xmpp.js for the scenarios: one JSON command per line in, one JSON event per line out.
//
//   node xmpp-js.mjs NODE_MODULES
//
// The first line says how to log in, later ones what to send.

import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The server under test has a certificate that it signed itself.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";

const packages = pathToFileURL(join(process.argv[2], "@xmpp/client/index.js"));
const { client, xml } = await import(packages);

const tell = (event) => console.log(JSON.stringify(event));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const login = JSON.parse((await lines.next()).value);
const xmpp = client(login);

xmpp.on("error", (error) => tell({ event: "error", text: String(error) }));
xmpp.on("offline", () => tell({ event: "offline" }));
xmpp.on("online", async (jid) => {
  // Who has read the roster hears of subscriptions (RFC 6121 §2.2).
  await xmpp.iqCaller.get(xml("query", "jabber:iq:roster"));
  await xmpp.send(xml("presence"));
  tell({ event: "online", jid: jid.toString() });
});
xmpp.on("stanza", (stanza) => {
  const { from = "", type = "" } = stanza.attrs;
  tell({
    event: stanza.name,
    from,
    bare: from.split("/")[0],
    type,
    body: stanza.getChildText("body"),
    delayed: Boolean(stanza.getChild("delay", "urn:xmpp:delay")),
  });
  if (stanza.is("presence") && type === "subscribe") {
    xmpp.send(xml("presence", { type: "subscribed", to: from }));
  }
});

// It takes an answer that comes before its own write is reported for none, but goes on all the same.
xmpp.start().catch((error) => tell({ event: "error", text: String(error) }));
for await (const line of lines) {
  const { send, to, type, body } = JSON.parse(line);
  if (send === "stop") await xmpp.stop();
  if (send === "presence") await xmpp.send(xml("presence", { to, type }));
  if (send === "message") await xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, body)));
}
