// A patient's credit (R25) and what can be had for it (R26): points and where they came from, badges, services.

import type { Standing } from "./service.ts";
import { command, hex, facts, h, moment, more, tag } from "./ui.ts";
import { code, day, money, number, t } from "./words.ts";

const MONTH = 30 * 86_400;

/** The first day of a badge's month or year, both of 30-day months counted from 1970. */
export const began = (period: number, year: boolean): number => period * MONTH * (year ? 12 : 1);

const tile = (label: string, value: string, id: string): HTMLElement =>
  h("div", { class: "tile" }, h("span", {}, label), h("data", { id, value }, value));

export function creditView(found: Standing): Node[] {
  return [
    h("h1", {}, t("credit.title")),
    h("section", { class: "card" },
      h("div", { class: "tiles" },
        tile(t("credit.points"), number(found.points), "points"),
        tile(t("credit.month"), number(found.month), "month"),
        tile(t("credit.run"), number(found.run), "run"),
        tile(t("credit.contribution"), `${money(found.contribution)} DCT`, "contribution")),
      h("p", {}, found.place ? t("credit.place", { place: number(found.place) }) : t("credit.no-place")),
      h("p", { class: "quiet" }, t("credit.what")),
      found.history.length > 0 && more("points-history", t("credit.history"),
        h("ol", { reversed: true }, ...[...found.history].reverse().map((one) =>
          h("li", {}, moment(one.at.time), " – ", code("points", one.source), ": ", number(one.points)))))),
    h("section", { class: "card" },
      h("h2", {}, t("credit.badges")),
      found.badges.length
        ? h("ul", {}, ...found.badges.map((one) => h("li", { "data-badge": one.badge },
            t(one.year ? "credit.badge-year" : "credit.badge-month", { rank: one.rank, date: day(began(one.period, one.year)) }), " ",
            t(one.donated ? "credit.donated" : "credit.donate"))))
        : h("p", { class: "quiet" }, t("credit.no-badge"))),
    h("section", { class: "card" },
      h("h2", {}, t("credit.services")),
      ...(found.services.length ? [] : [h("p", { class: "quiet" }, t("credit.no-service"))]),
      ...found.services.map((one) => h("article", { "data-service": one.service },
        h("h3", {}, t("credit.service", { service: one.service }), " ", tag(one.open ? "open" : "closed-to-you")),
        facts([
          [t("credit.price"), BigInt(one.price) ? `${money(one.price)} ${one.token}` : t("credit.free")],
          [t("credit.score"), number(one.points)],
          [t("credit.provider"), hex(one.provider)],
        ]),
        one.open && command(`medtoken rewards redeem ${one.service}`))),
      found.vouchers.length > 0 && h("h3", {}, t("credit.vouchers")),
      found.vouchers.length > 0 && h("ul", {}, ...found.vouchers.map((one) => h("li", { "data-voucher": one.voucher },
        t("credit.voucher", { voucher: one.voucher, service: one.service }), " ", code("voucher", one.served ? "served" : "waiting"))))),
  ];
}
