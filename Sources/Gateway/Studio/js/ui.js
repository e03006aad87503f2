// Small pieces of page every view shares.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; text is always set as text. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/assets/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A round two-state button: icon and title follow `pressed`. */
export function toggle(button, { on, off }, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
  const [name, title] = pressed ? on : off;
  button.title = title;
  button.setAttribute("aria-label", title);
  button.replaceChildren(icon(name));
}

export function toast(text, kind = "") {
  const node = element("div", { class: `toast ${kind}` }, text);
  byId("toasts")?.append(node);
  setTimeout(() => node.remove(), 5000);
}

export const initials = (name) => name.trim().split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase() || "?";

/** A colour that stays with a name. */
export function colourOf(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return `hsl(${hash % 360} 55% 45%)`;
}

export const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

export async function showNode(api) {
  try {
    const node = await api.node();
    byId("node-name").textContent = node.node;
    byId("node").hidden = false;
  } catch { /* the page works without saying where it came from */ }
}
