// The node's HTTP interface, and what this browser remembers about rooms.

export class ApiError extends Error {
  constructor(status, code, message) { super(message); this.status = status; this.code = code; }
}

async function call(method, path, { body, token, version } = {}) {
  const headers = { Accept: "application/json" };
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  if (method !== "GET") headers["Idempotency-Key"] = crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, "unreachable", "This node does not answer. Check your connection and try again.");
  }
  const text = await response.text();
  let parsed = null;
  try { parsed = text ? JSON.parse(text) : null; } catch { /* not JSON: reported by status below */ }
  if (!response.ok) {
    const error = parsed?.error ?? {};
    throw new ApiError(response.status, error.code ?? "error", error.message ?? `The node answered ${response.status}.`);
  }
  return parsed;
}

const ofRecording = (id, what = "") => `/recordings/${encodeURIComponent(id)}${what}`;

export const api = {
  node: () => call("GET", "/api/v1/node"),
  time: () => call("GET", "/api/v1/time"),
  create: (title, hostName) => call("POST", "/api/v1/sessions/create", { body: { title, host_name: hostName, mode: "sfu" } }),
  session: (id) => call("GET", `/api/v1/sessions/${encodeURIComponent(id)}`),
  join: (id, displayName, guestToken) => call("POST", `/api/v1/sessions/${encodeURIComponent(id)}/join`, { body: { display_name: displayName, guest_token: guestToken } }),
  invite: (id, token) => call("POST", `/api/recordings/${encodeURIComponent(id)}/guest-token`, { body: {}, token }),
  recordings: (roomId, token) => call("GET", `/api/recordings?roomId=${encodeURIComponent(roomId)}`, { token }),
  recording: (id, token) => call("GET", `/recording/${encodeURIComponent(id)}`, { token }),
  /** With what was made of it: preview, jobs, thumbnail. */
  made: (id, token) => call("GET", ofRecording(id), { token }),
  preview: (id, token) => call("POST", ofRecording(id, "/preview"), { body: { preset: "360p", segment_seconds: 2 }, token }),
  composition: (id, token) => call("GET", ofRecording(id, "/composition"), { token }),
  /** @param version the one that was edited; 0 where none was saved */
  saveComposition: (id, state, version, token) => call("PUT", ofRecording(id, "/composition"), { body: state, version, token }),
  /** An export takes a token of its own, which it uses up. */
  async export(id, format, token) {
    const once = await call("POST", ofRecording(id, "/composition/token"), { body: {}, token });
    return call("POST", ofRecording(id, "/export"), { body: { composition_id: "main", format }, token: once.token });
  },
  job: (id, token) => call("GET", `/jobs/${encodeURIComponent(id)}`, { token }),
  cancelJob: (id, token) => call("DELETE", `/jobs/${encodeURIComponent(id)}`, { token }),
  deleteRecording: (id, token) => call("DELETE", `/recording/${encodeURIComponent(id)}`, { token }),
};

// A room's credential lives as long as the tab; the list of rooms, for the recordings page, in this browser.
export const memory = {
  name: {
    get: () => localStorage.getItem("troupe.name") ?? "",
    set: (name) => localStorage.setItem("troupe.name", name),
  },
  credential(roomId) {
    try { return JSON.parse(sessionStorage.getItem(`troupe.room.${roomId}`)); } catch { return null; }
  },
  keepCredential(roomId, credential) {
    sessionStorage.setItem(`troupe.room.${roomId}`, JSON.stringify(credential));
    const rooms = memory.rooms().filter((room) => room.id !== roomId);
    rooms.unshift({ id: roomId, title: credential.title ?? "", token: credential.token, at: Date.now() });
    localStorage.setItem("troupe.rooms", JSON.stringify(rooms.slice(0, 50)));
  },
  forgetCredential: (roomId) => sessionStorage.removeItem(`troupe.room.${roomId}`),
  rooms() {
    try { return JSON.parse(localStorage.getItem("troupe.rooms")) ?? []; } catch { return []; }
  },
};
