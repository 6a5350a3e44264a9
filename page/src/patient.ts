// The patient's page (R9, R25, R27): records, consents, who used what, earnings, credit, alerts.

import { creditView } from "./credit.ts";
import { passkeyView } from "./passkey.ts";
import { call, known, revocation, send } from "./chain.ts";
import {
  AUCTION_ONLY, type Fields, GROUPS, MODIFIERS, PERMISSIONS, PROFILES, REGIONS, baseUnits, duoNames, dut,
  groupNames, profileName, regionName, renderConsent, renderRevocation, structHash,
  trusteeOf,
} from "./messages.ts";
import type { Alert, ConsentState, Earnings, Moment, Passkeys, RecordState, Standing, Use } from "./service.ts";
import { get, post, whole } from "./service.ts";
import { type Session, Wrong, calm, complain, draw, go, refresh, say, start, until } from "./shell.ts";
import { type Choice, type Kept, OFFERED, daysOf, keptNames, keptOf, noPurpose, nobody, scopeOf } from "./terms.ts";
import { button, facts, h, hex, moment, more, tag } from "./ui.ts";
import { sign } from "./wallet.ts";
import { code, day, either, money, several, t, when } from "./words.ts";
import { direct, earningsView, kind, now, outcome, purposesOf, recordFacts, recordTag, region } from "./views.ts";

let records: RecordState[] = [];
let consents: ConsentState[] = [];
let uses: Use[] = [];
let earnings: Earnings;
let standing: Standing;
let alerts: Alert[] = [];
let passkeys: Passkeys;

async function load({ account }: Session): Promise<void> {
  const of = `/v1/patients/${account}`;
  const [r, c, u, e, s, a, p] = await Promise.all([
    whole<{ total: number; records: RecordState[] }, "records">(`${of}/records`, "records", "record"),
    whole<{ total: number; consents: ConsentState[] }, "consents">(`${of}/consents`, "consents", "consent"),
    whole<{ total: number; uses: Use[] }, "uses">(`${of}/uses`, "uses", "licence"),
    get<Earnings>(`/v1/accounts/${account}/earnings`),
    get<Standing>(`${of}/standing`),
    get<{ alerts: Alert[] }>(`${of}/alerts`),
    get<Passkeys>(`${of}/passkey`),
  ]);
  [records, consents, uses, earnings, standing, alerts] = [r.records, c.consents, u.uses, e, s, a.alerts];
  passkeys = p;
}

const domain = ({ info }: Session) => ({ chainId: info.chain_id, market: info.contracts.DataMarket! });

// ---------------------------------------------------------------------------- records

function drawRecords(): Node[] {
  return [
    h("h1", {}, t("records.title")),
    ...(records.length ? [] : [h("p", { class: "quiet" }, t("records.none"))]),
    ...records.map((record) =>
      h("article", { class: "card", "data-record": record.record },
        h("h2", {}, kind(record.kind), " ", recordTag(record)),
        ...recordFacts(record),
        h("p", {}, h("strong", {}, t("records.who-may")), ": ",
          record.consents.length || record.licences.length
            ? t("records.consents", { count: record.consents.length, licences: record.licences.length })
            : t("records.nobody")),
        BigInt(record.earned) > 0n && h("p", {}, t("records.earned", { amount: money(record.earned) })),
        record.outcomes.length > 0 && h("div", {}, h("h3", {}, t("records.led")), h("ul", {}, ...record.outcomes.map(outcome))),
        (record.state === "live" || record.state === "waiting") &&
          h("p", {}, h("a", { class: "button", href: `#grant/${record.record}` }, t("records.grant"))))),
  ];
}

// ---------------------------------------------------------------------------- consents

const fields = (terms: Record<string, string | number>): Fields =>
  Object.fromEntries(Object.entries(terms).map(([name, value]) => [name, String(value)]));

const profile = (digest: string): string => {
  const name = profileName(digest);
  return name ? code("profile", name) : t("profile.own", { digest: digest.slice(0, 10) });
};

/** The plain sentence about terms, and what goes with it. */
function plain(terms: Fields): { sentence: string; paid: string; conditions: string[]; who: string; purposes: string } {
  const codes = duoNames(BigInt(terms.purposes!));
  const who = either(groupNames(BigInt(terms.licensees!) & ~AUCTION_ONLY).map((name) => code("group", name)));
  const purposes = either(codes.filter((one) => one in PERMISSIONS).map((one) => code("duo", one)));
  return {
    who,
    purposes,
    sentence: t("consents.plain", { who, purposes, where: region(Number(terms.region)), date: day(Number(terms.expiry)) }),
    paid: trusteeOf(terms)
      ? t("consents.paid-trust", { floor: money(terms.floorPrice!) })
      : t("consents.paid", { floor: money(terms.floorPrice!), share: Number(terms.patientShare) / 100 }),
    conditions: codes.filter((one) => !(one in PERMISSIONS)).map((one) => code("duo", one)),
  };
}

/** Who sells, where nobody can simply buy. */
function byDesks(terms: Fields): HTMLElement | false {
  const trustee = trusteeOf(terms);
  if (trustee) return h("p", { class: "trust" }, t("consents.trust"), " ", hex(trustee));
  return (BigInt(terms.licensees!) & AUCTION_ONLY) > 0n && h("p", {}, t("consents.auction"));
}

const exact = (id: string, label: string, text: string, terms: Fields): HTMLElement =>
  more(id, label,
    h("p", { class: "exact", lang: "en" }, text),
    facts(Object.entries(terms).map(([name, value]) => [name, h("code", { class: "long" }, value)])));

const since = (key: "consents.granted" | "consents.revoked" | "consents.revoke-done" | "grant.done", at: Moment): string =>
  t(key, { block: at.block, time: when(at.time) });

function drawConsent(session: Session, one: ConsentState): HTMLElement {
  const terms = one.terms ? fields(one.terms) : null;
  const words = terms && plain(terms);
  const live = one.state === "live";
  return h("article", { class: "card", "data-consent": one.consent },
    h("h2", {}, terms ? t("consents.record", { record: "" }) : t("consents.title"), terms && hex(terms.records!), " ", tag(one.state)),
    words && h("p", { class: "plain-words" }, words.sentence),
    words && h("p", {}, words.paid),
    words && terms && h("p", {}, t("consents.sees", { fields: profile(terms.fields!) })),
    words && words.conditions.length > 0 && h("p", {}, t("consents.conditions", { conditions: several(words.conditions) })),
    terms && byDesks(terms),
    one.granted && h("p", { class: "quiet" }, since("consents.granted", one.granted)),
    one.revoked && h("p", { class: "revoked" }, since("consents.revoked", one.revoked)),
    one.licences.length > 0 && h("p", {}, t("consents.used-by", { count: one.licences.length })),
    terms && one.text && exact(`exact-${one.consent}`, t("consents.exact"), renderConsent(terms), terms),
    live && h("p", { class: "actions" },
      button(t("consents.revoke"), () => revoke(session, one.consent), { class: "danger", id: `revoke-${one.consent}` }),
      !trusteeOf(terms!) && records.some((record) => record.record === terms!.records)
        ? h("a", { class: "button", href: `#grant/${terms!.records}/${one.consent}` }, t("consents.edit"))
        : h("span", { class: "quiet" }, t(trusteeOf(terms!) ? "consents.edit-trust" : "consents.edit-not"))));
}

function drawConsents(session: Session): Node[] {
  const order = [...consents].sort((a, b) => Number(b.state === "live") - Number(a.state === "live"));
  return [
    h("h1", {}, t("consents.title")),
    ...(order.length ? [] : [h("p", { class: "quiet" }, t("consents.none"))]),
    ...order.map((one) => drawConsent(session, one)),
  ];
}

/** Take a consent back: one signature, brought by the service, or sent from the wallet. */
async function revoke(session: Session, consent: string): Promise<void> {
  const message = { consent };
  let signature = "";
  calm();
  try {
    say(`${t("consents.revoking")} ${renderRevocation(consent)}`);
    signature = await sign(session.provider, session.account, "Revocation", message, domain(session));
    say(t("grant.bringing"));
    const done = await post<{ at: Moment | null }>("/v1/relay/revocations", { consent, signature });
    await finished(session, consent, done.at?.block);
  } catch (error) {
    complain(error, ...direct(error, signature, async () => {
      const block = await send(session.provider, session.account, domain(session).market, call("revoke_consent", [consent, signature]));
      await finished(session, consent, block);
    }));
  }
}

/** Nothing is announced on the service's word: the market itself says whether, and when. */
async function finished(session: Session, consent: string, block?: number): Promise<void> {
  const time = await revocation(session.provider, domain(session).market, consent);
  let found = block;
  if (!found) {
    await until(async () => {
      found = (await get<ConsentState>(`/v1/consents/${consent}`)).revoked?.block;
      return !!found;
    }).catch(() => false);
  }
  await refresh(true).catch(() => undefined); // the service may be gone: the chain has said it
  draw();
  say(found
    ? t("consents.revoke-done", { block: found, time: when(time) })
    : t("consents.revoke-time", { time: when(time) }));
}

// ---------------------------------------------------------------------------- granting

let draft: { record: string; replaces: string | null; terms: Fields | null; done: boolean } | null = null;

function drawGrant(session: Session): Node[] {
  const [, record = "", replaces = null] = location.hash.split("/");
  const found = records.find((one) => one.record === record);
  // Without the old terms the form would begin with wider ones of its own.
  if (!found || (replaces && !replaced(replaces))) {
    return [h("h1", {}, t("grant.title")), h("p", {}, replaces ? t("consents.edit-not") : t("app.nothing")), h("a", { href: "#records" }, t("app.back"))];
  }
  if (draft?.record !== record || draft.replaces !== replaces) draft = { record, replaces, terms: null, done: false };
  return draft.terms ? drawCheck(session, draft.terms) : drawChoice(session, found);
}

/** The terms that are to be replaced; null where there are none, or none that this page can sign. */
function replaced(consent: string | null | undefined): Fields | null {
  const terms = consent && consents.find((one) => one.consent === consent)?.terms;
  const found = terms ? fields(terms) : null;
  return found && !trusteeOf(found) ? found : null;
}

/** What stays of the old terms although the form does not show it. */
function keptWords(kept: Kept): string[] {
  const { purposes, groups, auction } = keptNames(kept);
  return [
    ...purposes.map((name) => code("duo", name)), ...groups.map((name) => code("group", name)),
    ...(auction ? [t("grant.kept-auction")] : []),
  ];
}

function boxes(legend: string, name: string, table: Record<string, unknown>, words: string, chosen: Set<string>): HTMLFieldSetElement {
  return h("fieldset", { id: name }, h("legend", {}, legend),
    ...Object.keys(table).map((id) => h("label", { class: "check" },
      h("input", { type: "checkbox", name, value: id, checked: chosen.has(id) }), h("span", {}, code(words, id)))));
}

function choice(label: string, id: string, options: [string, string][], chosen: string): HTMLElement {
  return h("p", {}, h("label", { for: id }, label),
    h("select", { id, name: id }, ...options.map(([value, words]) => h("option", { value, selected: value === chosen }, words))));
}

const field = (label: string, id: string, value: string, mode: string): HTMLElement =>
  h("p", {}, h("label", { for: id }, label), h("input", { id, name: id, value, inputmode: mode, autocomplete: "off" }));

function drawChoice(session: Session, record: RecordState): Node[] {
  const before = replaced(draft!.replaces);
  const kept = keptWords(keptOf(before));
  const codes = new Set(before ? duoNames(BigInt(before.purposes!)) : ["HMB", "NCU"]);
  const groups = new Set(before ? groupNames(BigInt(before.licensees!)) : ["research"]);
  // A region or profile of which there is no name is a choice of its own, and stays what it was.
  const place = before ? regionName(Number(before.region)) ?? before.region! : "WORLD";
  const places = Object.keys(REGIONS).map((name): [string, string] => [name, code("region", name)]);
  if (!(place in REGIONS)) places.push([place, region(Number(place))]);
  const seen = before
    ? profileName(before.fields!) ?? before.fields!
    : record.copies.map(profileName).find((name) => name) ?? "de-identified";
  const profiles = Object.keys(PROFILES).map((name): [string, string] => [name, code("profile", name)]);
  if (!(seen in PROFILES)) profiles.push([seen, profile(seen)]);
  const form = h("form", { class: "card", novalidate: true },
    h("p", { class: "step" }, t("grant.step-choose")),
    boxes(t("grant.who"), "who", GROUPS, "group", groups),
    boxes(t("grant.what-for"), "purpose", OFFERED, "duo", codes),
    more("conditions", t("grant.conditions"), boxes(t("grant.conditions"), "condition", MODIFIERS, "duo", codes)),
    choice(t("grant.fields"), "fields", profiles, seen),
    choice(t("grant.region"), "region", places, place),
    field(t("grant.floor"), "floor", before ? dut(BigInt(before.floorPrice!)) : "50", "decimal"),
    field(t("grant.share"), "share", before ? String(Number(before.patientShare) / 100) : "75", "decimal"),
    field(t("grant.days"), "days", String(daysOf(before, now(session))), "numeric"),
    kept.length > 0 && h("p", { id: "kept" }, t("grant.kept", { kept: several(kept) })),
    record.tier === 3 && h("p", {}, t("grant.tier-3")),
    draft!.replaces && h("p", { class: "quiet" }, t("consents.edit-hint")),
    h("p", { class: "actions" }, h("button", { class: "primary", id: "check" }, t("grant.check")),
      h("a", { class: "button", href: draft!.replaces ? "#consents" : "#records" }, t("app.back"))));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = takeUp(session, record, new FormData(form));
    if (wrong) {
      complain(new Wrong(wrong.text));
      (form.querySelector<HTMLElement>(`#${wrong.id} input`) ?? form.querySelector<HTMLElement>(`#${wrong.id}`))?.focus();
    } else {
      calm();
      draw();
      window.scrollTo(0, 0);
      document.getElementById("main")?.focus({ preventScroll: true });
    }
  });
  return [h("h1", {}, t("grant.title")), h("p", {}, kind(record.kind), " ", hex(record.record)), form];
}

/** The terms that were chosen; else what is wrong, and where. */
function takeUp(session: Session, record: RecordState, data: FormData): { id: string; text: string } | null {
  const before = replaced(draft!.replaces);
  const kept = keptOf(before);
  const chosen: Choice = {
    who: data.getAll("who").map(String),
    purposes: data.getAll("purpose").map(String),
    conditions: data.getAll("condition").map(String),
    fields: String(data.get("fields")),
    region: String(data.get("region")),
  };
  const floor = baseUnits(String(data.get("floor")));
  const share = Math.round(Number(data.get("share")) * 100);
  const days = Number(data.get("days"));
  if (nobody(chosen, kept)) return { id: "who", text: t("grant.missing-who") };
  if (noPurpose(chosen, kept)) return { id: "purpose", text: t("grant.missing-purpose") };
  if (floor === null) return { id: "floor", text: t("grant.bad-floor") };
  if (!(share >= 7000 && share <= 8000)) return { id: "share", text: t("grant.bad-share") };
  if (!(Number.isInteger(days) && days >= 1 && days <= 3650)) return { id: "days", text: t("grant.bad-days") };
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  draft!.terms = {
    patient: record.owner,
    records: record.record,
    ...scopeOf(chosen, before, record.tier),
    patientShare: String(share),
    floorPrice: floor.toString(),
    expiry: String(now(session) + days * 86_400),
    nonce: BigInt(`0x${[...nonce].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`).toString(),
    deadline: String(now(session) + 3_600),
  };
  return null;
}

function drawCheck(session: Session, terms: Fields): Node[] {
  const words = plain(terms);
  return [
    h("h1", {}, t("grant.title")),
    h("section", { class: "card" },
      h("p", { class: "step" }, t("grant.step-check")),
      h("h2", {}, t("grant.sentence")),
      h("p", { class: "plain-words" }, words.sentence),
      h("h2", {}, t("grant.scope")),
      facts([
        [t("grant.scope-who"), words.who],
        [t("grant.scope-purpose"), words.purposes],
        [t("grant.scope-conditions"), words.conditions.length ? several(words.conditions) : t("grant.none")],
        [t("grant.scope-fields"), profile(terms.fields!)],
        [t("grant.scope-where"), region(Number(terms.region))],
        [t("grant.scope-until"), moment(Number(terms.expiry))],
        [t("grant.scope-price"), `${money(terms.floorPrice!)} DUT`],
        [t("grant.scope-share"), `${Number(terms.patientShare) / 100} %`],
        [t("grant.scope-tier"), code("covers", terms.tier!)],
      ]),
      byDesks(terms),
      exact("exact", t("consents.exact-sign"), renderConsent(terms), terms),
      noCopy(terms) && h("p", { class: "bad" }, t("grant.no-copy")),
      h("p", {}, t("grant.can-end")),
      h("p", { class: "step" }, t("grant.step-sign")),
      h("p", { class: "actions" },
        button(t("grant.sign"), () => grant(session, terms), { class: "primary", id: "sign" }),
        button(t("app.back"), () => {
          draft!.terms = null;
          draw();
        }, { id: "back" })),
      h("p", { class: "quiet" }, t("grant.free"))),
  ];
}

/** Whether nobody could open the record under these terms yet: whole files open whole, others by copies. */
function noCopy(terms: Fields): boolean {
  const record = records.find((one) => one.record === terms.records);
  return !record?.copies.includes(terms.fields!) && terms.fields !== PROFILES.all!.digest;
}

async function grant(session: Session, terms: Fields): Promise<void> {
  const id = structHash("Consent", terms);
  let signature = "";
  calm();
  try {
    say(t("grant.signing"));
    signature = await sign(session.provider, session.account, "Consent", terms, domain(session));
    say(t("grant.bringing"));
    const done = await post<{ consent: string; at: Moment | null }>("/v1/relay/consents", { message: terms, signature });
    if (done.consent !== id) throw new Error("the service names another consent");
    await known(session.provider, domain(session).market, id);
    await granted(done.at);
  } catch (error) {
    complain(error, ...direct(error, signature, async () => {
      const message = Object.fromEntries(Object.entries(terms).map(([name, value]) =>
        [name, /^\d+$/.test(value) ? BigInt(value) : value]));
      await send(session.provider, session.account, domain(session).market, call("grant_consent", [message, signature]));
      let at: Moment | null = null;
      await until(async () => {
        at = await get<ConsentState>(`/v1/consents/${id}`).then((one) => one.granted, () => null);
        return at !== null;
      });
      await granted(at);
    }));
  }
}

async function granted(at: Moment | null): Promise<void> {
  const replaces = draft?.replaces;
  draft = null;
  await refresh(true).catch(() => undefined); // the service may be gone: the chain has said it
  go("consents");
  // The hash's own event draws and clears first.
  await new Promise((resolve) => setTimeout(resolve, 50));
  say(`${at ? since("grant.done", at) : t("grant.done-soon")}${replaces ? ` ${t("consents.edit-revoke")}` : ""}`);
  if (replaces) document.getElementById(`revoke-${replaces}`)?.focus();
}

// ---------------------------------------------------------------------------- uses, alerts

const STEPS = { bought: "step.bought", used: "step.used", "topped-up": "step.topped-up", settled: "step.settled", closed: "step.closed" } as const;

function drawUses(): Node[] {
  return [
    h("h1", {}, t("uses.title")),
    ...(uses.length ? [] : [h("p", { class: "quiet" }, t("uses.none"))]),
    ...uses.map((use) =>
      h("article", { class: "card", "data-licence": use.licence },
        h("h2", {},
          use.who.account
            ? t("uses.who", { groups: several(use.who.groups.map((one) => code("group", one))), account: "" })
            : t("uses.anonymous"),
          use.who.account && hex(use.who.account), " ", tag(use.state)),
        ...purposesOf(use),
        h("p", {}, t(`uses.form-${use.form as 1 | 2 | 3}`, { used: use.used, units: use.units })),
        h("p", { class: "quiet" }, t("uses.bought", { time: when(use.bought.time) }), " · ",
          use.last_used ? t("uses.last", { time: when(use.last_used.time) }) : t("uses.never")),
        h("p", { class: "money" }, h("span", {}, t("uses.paid", { amount: money(use.paid) })), " · ",
          h("strong", {}, t("uses.mine", { amount: money(use.earned) }))),
        BigInt(use.refund) > 0n && h("p", {}, t("uses.refund", { amount: money(use.refund) })),
        h("h3", {}, t("uses.outcome")),
        use.outcomes.length ? h("ul", {}, ...use.outcomes.map(outcome)) : h("p", { class: "quiet" }, t("uses.no-outcome")),
        more(`steps-${use.licence}`, t("uses.history"),
          h("ol", {}, ...use.steps.map((step) => h("li", {}, moment(step.at.time), " – ",
            step.event === "suspended"
              ? t(step.suspended ? "step.suspended" : "step.resumed")
              : t(STEPS[step.event as keyof typeof STEPS], { units: step.units ?? 0, amount: money(step.amount ?? "0") }))))),
        h("p", { class: "quiet" }, t("consents.record", { record: "" }), hex(use.record)))),
  ];
}

function drawAlerts(): Node[] {
  const words = (alert: Alert): string => {
    const numbers: Record<string, string | number> = { ...alert.numbers };
    if (alert.numbers.expiry) numbers.date = day(alert.numbers.expiry);
    return t(`alerts.${alert.kind as "suspended"}`, numbers);
  };
  return [
    h("h1", {}, t("alerts.title")),
    ...(alerts.length ? [] : [h("p", { class: "quiet" }, t("alerts.none"))]),
    ...alerts.map((alert) => h("article", { class: "card alert", "data-alert": alert.kind },
      h("p", {}, words(alert)),
      h("p", { class: "quiet" }, alert.at && moment(alert.at.time), " ", alert.record && hex(alert.record),
        alert.consent && !alert.record && hex(alert.consent)))),
  ];
}

start({
  page: "app.patient",
  welcome: "app.welcome-text",
  load,
  sections: [
    { id: "records", title: "tab.records", draw: drawRecords },
    { id: "consents", title: "tab.consents", draw: drawConsents },
    { id: "passkey", title: "tab.passkey", draw: (session) => passkeyView(session, passkeys) },
    { id: "uses", title: "tab.uses", draw: drawUses },
    { id: "earnings", title: "tab.earnings", draw: (session) => earningsView(session, earnings) },
    { id: "credit", title: "tab.credit", draw: () => creditView(standing) },
    { id: "alerts", title: "tab.alerts", draw: drawAlerts },
    { id: "grant", title: "grant.title", draw: drawGrant, busy: () => true },
  ],
});
