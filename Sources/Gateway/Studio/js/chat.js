// The chat panel.
import { byId, element } from "./ui.js";

export class Chat {
  constructor(send) {
    this.unread = 0;
    byId("chat-toggle").addEventListener("click", () => this.show(byId("chat").hidden));
    byId("chat-close").addEventListener("click", () => this.show(false));
    byId("chat-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const field = byId("chat-text");
      const text = field.value.trim();
      if (!text) return;
      field.value = "";
      try { await send(text); } catch (error) {
        field.value = text;
        this.note(`Not sent: ${error.message}`);
      }
    });
  }
  show(open) {
    byId("chat").hidden = !open;
    byId("chat-toggle").setAttribute("aria-pressed", String(open));
    if (open) {
      byId("chat-toggle").classList.remove("unread");
      byId("chat-text").focus();
    }
  }
  add({ name, text, at }, mine) {
    const time = new Date(at ?? Date.now()).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    this.append(element("li", { class: mine ? "mine" : "" }, element("span", { class: "who" }, `${mine ? "You" : name} · ${time}`), element("span", { class: "text" }, text)));
    if (byId("chat").hidden && !mine) byId("chat-toggle").classList.add("unread");
  }
  note(text) { this.append(element("li", { class: "who" }, text)); }
  append(item) {
    const list = byId("messages");
    list.append(item);
    while (list.childElementCount > 500) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
  }
}
