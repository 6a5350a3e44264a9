// The licensee's page (R12, R13): find what can be licensed, see the price, license it from a deposit.

import { blockTime, call, callPasskeys, levyRate, send } from "./chain.ts";
import { MODIFIERS, PERMISSIONS, REGIONS, ZERO, mask } from "./messages.ts";
import { askedFacts, orderOf } from "./passkey.ts";
import type { Asked as Request, ConsentState, Found, Licensee, Offer, Quote, Requests } from "./service.ts";
import { get, whole } from "./service.ts";
import { type Session, attempt, refresh, say, start, until } from "./shell.ts";
import { type Cost, METERED, costOf, countOf, endOf } from "./terms.ts";
import { button, command, h, hex, tag } from "./ui.ts";
import { kind, purposesOf, region } from "./views.ts";
import { code, day, either, money, several, t, when } from "./words.ts";

let standing: Licensee;
let found: Found[] = [];
let total = 0;
let requests: Request[] = []; // what patients were asked to approve
const filter = { kind: "", region: "", dvi: "" };
let open: string | null = null; // the offer that somebody is filling in
const SHOWN = 100;
let wanted = SHOWN; // of a catalogue that may be long

async function search(): Promise<void> {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  const answer = await whole<{ found: Found[]; total: number }, "found">(`/v1/catalogue?${query}`, "found", "record", wanted);
  [found, total] = [answer.found, answer.total];
}

function pick(label: string, id: "kind" | "region", options: [string, string][]): HTMLElement {
  return h("p", {}, h("label", { for: id }, label),
    h("select", { id, change: (event) => { filter[id] = (event.target as HTMLSelectElement).value; } },
      h("option", { value: "" }, t("find.any")),
      ...options.map(([value, words]) => h("option", { value, selected: filter[id] === value }, words))));
}

function drawFind(session: Session): Node[] {
  const groups = standing.who.groups.map((one) => code("group", one));
  return [
    h("h1", {}, t("find.title")),
    h("p", {}, groups.length ? t("find.standing", { groups: several(groups) }) : t("find.no-standing")),
    h("p", {}, t("find.deposit", { amount: money(standing.deposit) })),
    h("form", { class: "card filters", submit: (event) => { event.preventDefault(); open = null; wanted = SHOWN; void attempt(() => refresh(true)); } },
      pick(t("find.kind"), "kind", [1, 2, 3, 4, 5, 6, 7, 8].map((one) => [String(one), kind(one)])),
      pick(t("find.region"), "region", Object.entries(REGIONS).filter(([name]) => name !== "WORLD").map(([name, [number]]) => [String(number), code("region", name)])),
      h("p", {}, h("label", { for: "dvi" }, t("find.dvi")),
        h("input", { id: "dvi", type: "number", min: 0, max: 100, value: filter.dvi, change: (event) => { filter.dvi = (event.target as HTMLInputElement).value; } })),
      h("button", { class: "primary", id: "search" }, t("find.search"))),
    h("p", { class: "quiet" }, t("find.count", { count: total })),
    ...found.map((one) => h("article", { class: "card", "data-record": one.record },
      h("h2", {}, kind(one.kind), " ", h("span", { class: "quiet" }, code("tier", String(one.tier)))),
      h("p", { class: "quality" }, h("meter", { min: 0, max: 100, value: one.dvi, "aria-label": t("records.quality", { dvi: one.dvi }) }), t("records.quality", { dvi: one.dvi }), ", ", region(one.region), " ", hex(one.record)),
      ...one.offers.map((offer) => drawOffer(session, one, offer)))),
    ...(found.length < total
      ? [button(t("find.more", { shown: found.length, count: total }), async () => {
          wanted = found.length + SHOWN;
          open = null;
          await attempt(() => refresh(true));
        }, { id: "more" })]
      : []),
  ];
}

function drawOffer(session: Session, record: Found, offer: Offer): HTMLElement {
  const permissions = offer.purposes.filter((one) => one in PERMISSIONS);
  const conditions = offer.purposes.filter((one) => !(one in PERMISSIONS));
  const key = offer.consent;
  const quoted = h("div", { role: "status" });
  const form = h("form", { class: "offer" },
    h("p", {}, h("label", { for: `purpose-${key}` }, t("find.purpose")),
      h("select", { id: `purpose-${key}`, name: "purpose" }, ...permissions.map((one) => h("option", { value: one }, code("duo", one))))),
    h("p", {}, h("label", { for: `form-${key}` }, t("find.form")),
      h("select", { id: `form-${key}`, name: "form" }, ...([2, 1, 3] as const).map((one) => h("option", { value: one }, t(`find.form-${one}`))))),
    h("p", {}, h("label", { for: `units-${key}` }, t("find.units")),
      h("input", { id: `units-${key}`, name: "units", type: "number", min: 1, value: 10 })),
    h("p", {}, h("label", { for: `days-${key}` }, t("find.days")),
      h("input", { id: `days-${key}`, name: "days", type: "number", min: 1, value: 60 })),
    conditions.length > 0 && h("p", {}, t("find.undertake", { conditions: several(conditions.map((one) => code("duo", one))) })),
    h("button", { id: `quote-${key}` }, t("find.quote")),
    quoted);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const asked = {
      form: Number(data.get("form")), units: String(data.get("units")), days: Number(data.get("days")),
      purposes: [String(data.get("purpose")), ...conditions],
    };
    void attempt(async () => {
      const query = new URLSearchParams({
        record: record.record, consent: key, licensee: session.account, form: String(asked.form),
        units: asked.units, days: String(asked.days), purposes: asked.purposes.join(","),
      });
      const quote = await get<Quote>(`/v1/quote?${query}`);
      const time = await blockTime(session.provider);
      const count = countOf(asked.form, asked.units, time, endOf(time, asked.days, offer.expiry));
      const cost = costOf(quote, count, await levyRate(session.provider, session.info.contracts.DataMarket!));
      quoted.replaceChildren(...drawQuote(session, record, offer, quote, cost, asked));
    });
  });
  return h("details", { id: `offer-${key}`, toggle: (event) => { open = (event.target as HTMLDetailsElement).open ? key : null; } },
    h("summary", {}, t("find.offer", {
      who: either(offer.groups.map((one) => code("group", one))), where: region(offer.region), date: day(offer.expiry), floor: money(offer.floor),
    })),
    offer.trustee ? h("p", {}, t("find.trust"), " ", hex(offer.trustee)) : offer.auction_only ? h("p", {}, t("consents.auction")) : form);
}

interface Asked { form: number; units: string; days: number; purposes: string[] }

/** The price as the order itself makes it: the market takes no more than its unit for each. */
function drawQuote(session: Session, record: Found, offer: Offer, quote: Quote, cost: Cost, asked: Asked): Node[] {
  const sum = { unit: money(cost.unit), count: String(cost.count), price: money(cost.price), levy: money(cost.levy) };
  const lines = [h("p", {}, h("strong", {}, t("find.price", sum)))];
  if (!cost.same) return [...lines, h("p", { class: "bad" }, t("find.differs", { price: money(quote.price) }))];
  lines.push(
    h("p", { class: "quiet" }, t("find.split", { patient: money(quote.patient), custodian: money(quote.custodian), annotator: money(quote.annotator), platform: money(quote.platform) })),
  );
  if (!quote.allowed) return [...lines, h("p", { class: "bad" }, t("find.not-allowed", { reason: quote.reason ?? "" }))];
  const highly = offer.tier === 3;
  return [...lines,
    h("p", {}, t("find.agreement", { hash: session.info.agreement.slice(0, 18) })),
    ...(highly ? [h("p", {}, t("find.tier-3"))] : []),
    button(t(highly ? "find.ask" : "find.buy"), () => buy(session, record, offer, quote, asked).then(() => undefined), { class: "primary", id: `buy-${offer.consent}` })];
}

async function buy(session: Session, record: Found, offer: Offer, quote: Quote, asked: Asked): Promise<void> {
  await attempt(async () => {
    const terms = await termsOf(offer.consent);
    const { form, units, days, purposes } = asked;
    const chosen = purposes.filter((one) => one in PERMISSIONS);
    const salt = crypto.getRandomValues(new Uint32Array(3)).reduce((sum, part) => (sum << 32n) | BigInt(part), 0n);
    const order = {
      record: record.record,
      form: BigInt(form),
      units: form === METERED ? BigInt(units) : 0n,
      end: BigInt(endOf(await blockTime(session.provider), days, offer.expiry)),
      purposes: mask(chosen, PERMISSIONS) | mask(purposes.filter((one) => one in MODIFIERS), MODIFIERS),
      diseases: ZERO,
      urgent: false,
      maxPrice: BigInt(quote.unit),
      agreement: session.info.agreement,
      salt: salt << 160n, // no key for vouchers
    };
    if (offer.tier === 3) {
      say(t("find.asking"));
      await send(session.provider, session.account, session.info.contracts.Passkeys!, callPasskeys("request", [offer.consent, order]));
      const before = requests.length;
      await until(async () => {
        await refresh(true);
        return requests.length > before;
      });
      say(t("find.asked"));
      return;
    }
    await bought(session, order, terms);
  });
}

/** Buy, and wait until the service has read it. */
async function bought(session: Session, order: unknown, terms: unknown): Promise<void> {
  say(t("find.buying"));
  const block = await send(session.provider, session.account, session.info.contracts.DataMarket!,
    call("buy_licence", [order, terms, []]));
  const before = standing.total;
  await until(async () => {
    await refresh(true);
    return standing.total > before;
  });
  say(t("find.bought", { block }));
}

/** Buy what a patient has approved, exactly as it was asked for. */
async function buyApproved(session: Session, asked: Request): Promise<void> {
  await attempt(async () => bought(session, orderOf(asked), await termsOf(asked.consent)));
}

async function termsOf(id: string): Promise<Record<string, unknown>> {
  const consent = await get<ConsentState>(`/v1/consents/${id}`);
  return Object.fromEntries(Object.entries(consent.terms!).map(([name, value]) =>
    [name, /^\d+$/.test(String(value)) ? BigInt(value) : value]));
}

function drawLicences(session: Session): Node[] {
  return [
    h("h1", {}, t("licences.title")),
    ...(requests.length ? [h("h2", {}, t("licences.requests"))] : []),
    ...requests.map((asked) => h("article", { class: "card", "data-request": String(asked.order.salt) },
      ...askedFacts(asked),
      asked.approved_until === null
        ? h("p", { class: "quiet" }, t("licences.waiting"))
        : h("p", { class: "good" }, t("licences.approved", { time: when(asked.approved_until) })),
      asked.approved_until !== null &&
        button(t("licences.buy"), () => buyApproved(session, asked), { class: "primary", "data-buy": String(asked.order.salt) }))),
    ...(standing.uses.length ? [] : [h("p", { class: "quiet" }, t("licences.none"))]),
    ...standing.uses.map((use) => h("article", { class: "card", "data-licence": use.licence },
      h("h2", {}, t(`uses.form-${use.form as 1 | 2 | 3}`, { used: use.used, units: use.units }), " ", tag(use.state)),
      ...purposesOf(use),
      h("p", {}, t("uses.paid", { amount: money(use.paid) }), " · ", t("consents.until", { date: day(use.end) })),
      use.state === "running" && h("p", {}, t("licences.open")),
      use.state === "running" && command(`medtoken record open ${use.licence} copy`))),
  ];
}

start({
  page: "app.licensee",
  welcome: "app.welcome-licensee",
  load: async ({ account }) => {
    requests = (await get<Requests>(`/v1/licensees/${account}/requests`)).requests;
    standing = await whole<Licensee, "uses">(`/v1/licensees/${account}`, "uses", "licence");
    await search();
  },
  sections: [
    { id: "find", title: "tab.find", draw: drawFind, busy: () => open !== null },
    { id: "licences", title: "tab.licences", draw: drawLicences },
  ],
});

