// Elements without a framework. Text goes in as text: nothing here ever parses HTML.

import { code, money, short, t, when, day } from "./words.ts";

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | ((event: Event) => void) | null | undefined>;

const SVG = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export const h = <T extends keyof HTMLElementTagNameMap>(
  tag: T,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[T] => fill(document.createElement(tag), attributes, children);

export const s = (tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement =>
  fill(document.createElementNS(SVG, tag) as SVGElement, attributes, children);

/** A button that cannot be pressed twice while what it started goes on. */
export function button(label: string, act: () => void | Promise<void>, attributes: Attributes = {}): HTMLButtonElement {
  const made = h("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-disabled") === "true") return;
    made.setAttribute("aria-disabled", "true");
    try {
      await act();
    } finally {
      made.removeAttribute("aria-disabled");
    }
  });
  return made;
}

/** Name and value, one under another. */
export const facts = (rows: [string, Child][]): HTMLElement =>
  h("dl", {}, ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** What is opened on wish. `id` keeps it open when the page is drawn again. */
export const more = (id: string, label: string, ...children: Child[]): HTMLElement =>
  h("details", { id }, h("summary", {}, label), ...children);

/** An id or address: short for the eye, whole for the clipboard and the tooltip. */
export const hex = (value: string): HTMLElement => h("code", { title: value }, short(value));

export const tag = (state: string): HTMLElement => h("span", { class: `tag ${state}` }, code("state", state));

export interface Point { time: number; total: bigint }

/** Earnings over time: a line of steps, with words for whoever does not see it. */
export function chart(points: Point[]): HTMLElement {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return h("p", { class: "quiet" }, t("earnings.none"));
  const [width, height, left, bottom, top] = [640, 220, 4, 4, 8];
  const span = Math.max(last.time - first.time, 1);
  const most = last.total || 1n;
  const x = (time: number): number => left + ((time - first.time) / span) * (width - 2 * left);
  const y = (total: bigint): number => height - bottom - Number((total * 10_000n) / most) / 10_000 * (height - bottom - top);
  let path = `M${x(first.time).toFixed(1)} ${y(0n).toFixed(1)}`;
  for (const point of points) path += `H${x(point.time).toFixed(1)}V${y(point.total).toFixed(1)}`;
  if (points.length === 1) path += `H${width - left}`;
  const area = `${path}V${y(0n).toFixed(1)}H${left}Z`;
  const label = t("earnings.chart", {
    first: money(first.total), from: day(first.time), last: money(last.total), to: day(last.time),
  });
  // Words stand beside the picture: inside it a small screen would shrink them.
  return h(
    "figure",
    {},
    s(
      "svg",
      { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
      s("path", { class: "area", d: area }),
      s("line", { class: "axis", x1: left, x2: width - left, y1: height - bottom, y2: height - bottom }),
      s("path", { class: "line", d: path }),
    ),
    h("p", { class: "ends", "aria-hidden": "true" },
      h("span", {}, day(first.time)), h("span", {}, `${day(last.time)}: ${money(last.total)} DUT`)),
  );
}

export const moment = (seconds: number): HTMLElement =>
  h("time", { datetime: new Date(seconds * 1000).toISOString() }, when(seconds));

/** A command for the clipboard. */
export function command(text: string): HTMLElement {
  const said = h("span", { role: "status", class: "quiet" });
  return h(
    "p",
    { class: "command" },
    h("code", { tabindex: 0 }, text),
    button(t("app.copy"), async () => {
      await navigator.clipboard.writeText(text);
      said.textContent = t("app.copied");
    }),
    said,
  );
}
