// A scenario without an SDK: answers the call, connects an agent, takes "end_call" at the control URL.
// Lambda's Node runtime calls `handler`; `node handler.mjs` polls the Runtime API itself. It needs Node 18, no package.
import { createHash } from "node:crypto";
import { request } from "node:http";
import { pathToFileURL } from "node:url";

const description = {
  schema: "cordboard.description/1",
  contract: "1",
  scenario: "javascript",
  events: [
    { type: "call.alerting" },
    { type: "http.request" },
    { type: "websocket.close", target: "agent" },
    { type: "call.disconnected", target: "caller" },
  ],
};

const on = {
  async "call.alerting"(turn, { callerid, display_name }) {
    const agent_id = process.env.CARTESIA_AGENT_ID ?? "agent_unknown";
    turn.emit("call.answer", "caller");
    const api_key = { secret: "CARTESIA_API_KEY" }; // a reference: the edge resolves it
    const opened = await turn.result(turn.emit("agent.create", "agent", { api_key, agent_id, version: "2025-04-16" }));
    if (opened.error) return void turn.emit("session.terminate", null);
    turn.emit("media.bridge", "caller+agent", { a: "caller", b: "agent" });
    const vox_session_control_url = turn.session.control_url;
    turn.emit("agent.start", "agent", { metadata: { from: callerid, name: display_name, vox_session_control_url } });
  },
  async "http.request"(turn, { content }) {
    let asked = {};
    try {
      asked = JSON.parse(content) ?? {};
    } catch {
      return { status: 400, body: '{"error":"the content is no JSON"}' };
    }
    if (asked.action !== "end_call") return { status: 422, body: '{"error":"unknown action"}' };
    turn.emit("call.hangup", "caller", { after: "playout" });
    return { status: 200, body: '{"ok":true}' };
  },
  async "websocket.close"(turn, { expected }) {
    if (!expected) turn.emit("session.terminate", null);
  },
  async "call.disconnected"(turn) {
    turn.emit("session.terminate", null);
  },
};

// -- the contract: one event in, commands out; a handler that awaits is run again with the results in the journal

class Turn {
  commands = [];
  suspend = () => {};
  #steps = 0;

  constructor({ session, event, journal = [] }) {
    Object.assign(this, { session, event, journal });
  }

  emit(type, target, args = {}) {
    const id = `${this.event.seq}.${this.#steps}`;
    const hash = createHash("sha256").update(canonical([type, target, args])).digest("hex").slice(0, 16);
    const known = this.journal[this.#steps++];
    if (known && known.hash !== hash)
      throw Object.assign(new Error(`step ${id} was ${known.type} and is now ${type}`), { name: "nondeterminism" });
    if (!known) this.commands.push({ id, type, hash, args, ...(target !== null && { target }) });
    return id;
  }

  result(id) {
    const entry = this.journal.find((each) => each.id === id);
    if (entry && entry.status !== "pending") return entry;
    this.suspend({ status: "suspended", waiting: [id] });
    return new Promise(() => {}); // for ever: the answer is fixed
  }
}

export async function handler(invocation) {
  if (invocation.schema === "cordboard.describe/1") return description;
  const { event, round = 0, attempt = 1 } = invocation;
  const answer = { schema: "cordboard.answer/1", event_id: event.id, round, attempt };
  const failed = (type, message) => ({ ...answer, status: "failed", error: { type, message } });
  if (!Object.hasOwn(on, event.type)) return failed("not_found", `no handler listens to ${event.type}`);
  const turn = new Turn(invocation);
  const suspended = new Promise((resolve) => (turn.suspend = resolve));
  const done = async () => ({ status: "done", reply: await on[event.type](turn, event.data ?? {}) });
  try {
    return { ...answer, ...(await Promise.race([done(), suspended])), commands: turn.commands };
  } catch (error) {
    return failed(error.name, error.message);
  }
}

function canonical(value) {
  const sorted = (_, v) =>
    v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(byKey)) : v;
  const escaped = (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0");
  return JSON.stringify(value, sorted).replace(/[\u007f-\uffff]/g, escaped);
}

const byKey = ([a], [b]) => (a < b ? -1 : 1);

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const url = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/${path}`;
    const sent = request(url, { method }, async (response) => {
      const parts = await response.toArray();
      resolve({ id: response.headers["lambda-runtime-aws-request-id"], body: Buffer.concat(parts).toString() });
    });
    sent.on("error", reject).end(body);
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  for (;;) {
    const { id, body } = await call("GET", "next");
    await call("POST", `${id}/response`, JSON.stringify(await handler(JSON.parse(body))));
  }
