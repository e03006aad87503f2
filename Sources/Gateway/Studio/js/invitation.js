// Invitations: a link that admits one guest once. Its token stands in the fragment, which browsers send to no server.
import { api } from "./api.js";
import { toast } from "./ui.js";

/** The token this page was opened with; undefined where it was none. */
export const invitation = () => new URLSearchParams(location.hash.slice(1)).get("guest_token") ?? undefined;

/** It is used up: whoever copies the address now shall not copy it. */
export function forgetInvitation() {
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

export async function copyText(text, done) {
  try { await navigator.clipboard.writeText(text); toast(done); } catch { prompt("Copy this link:", text); }
}

export async function copyInvitation(roomId, token) {
  try {
    const { join_url: link, expires_at: end } = await api.invite(roomId, token);
    const until = new Date(end).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    await copyText(link, `Invitation copied. It admits one guest, until ${until}.`);
  } catch (error) { toast(error.message, "error"); }
}
