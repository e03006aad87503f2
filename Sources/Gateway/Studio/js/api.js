// The node's HTTP interface, and what this browser remembers about rooms.

export class ApiError extends Error {
  constructor(status, code, message) { super(message); this.status = status; this.code = code; }
}

async function call(method, path, { body, token } = {}) {
  const headers = { Accept: "application/json" };
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

export const api = {
  node: () => call("GET", "/api/v1/node"),
  create: (title, hostName) => call("POST", "/api/v1/sessions/create", { body: { title, host_name: hostName, mode: "sfu" } }),
  session: (id) => call("GET", `/api/v1/sessions/${encodeURIComponent(id)}`),
  join: (id, displayName) => call("POST", `/api/v1/sessions/${encodeURIComponent(id)}/join`, { body: { display_name: displayName } }),
  recordings: (roomId, token) => call("GET", `/api/recordings?roomId=${encodeURIComponent(roomId)}`, { token }),
  recording: (id, token) => call("GET", `/recording/${encodeURIComponent(id)}`, { token }),
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
