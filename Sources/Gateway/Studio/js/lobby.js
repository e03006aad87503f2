// The lobby: look at yourself, name yourself, open a room or join one.
import { api, memory } from "./api.js";
import { byId, showNode } from "./ui.js";
import { Devices, Preview } from "./devices.js";
import { goOn } from "./uploads.js";

const preview = new Preview(new Devices());

function fail(error) {
  byId("error").textContent = error.message;
  byId("error").hidden = false;
}

/** A room id or meeting code out of what people paste. */
function roomOf(text) {
  const match = text.trim().match(/\/session\/([^/?#]+)/);
  return match ? decodeURIComponent(match[1]) : text.trim();
}

byId("name").value = memory.name.get();
preview.setName(byId("name").value || "You");
byId("name").addEventListener("input", (event) => preview.setName(event.target.value || "You"));

byId("create").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("create-button").disabled = true;
  try {
    const name = byId("name").value.trim();
    memory.name.set(name);
    const title = byId("title").value.trim() || `${name}'s room`;
    const created = await api.create(title, name);
    memory.keepCredential(created.session_id, {
      participantId: created.host.participant_id, token: created.host.token, name, title, role: "host",
      audio: preview.devices.wanted.audio, video: preview.devices.wanted.video,
    });
    location.assign(`/session/${encodeURIComponent(created.session_id)}`);
  } catch (error) {
    fail(error);
    byId("create-button").disabled = false;
  }
});

byId("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    memory.name.set(byId("name").value.trim());
    const { session_id: id } = await api.session(roomOf(byId("code").value));
    location.assign(`/session/${encodeURIComponent(id)}`);
  } catch (error) { fail(error); }
});

showNode(api);
goOn(document.querySelector("header.site"));
preview.start();
