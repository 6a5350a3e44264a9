// The patient's passkey (R10): enrolled with the wallet's signature, and asked for each licence of highly sensitive data.

import { approvedOnChain, callPasskeys, passkeyMoved, passkeyNonce, send } from "./chain.ts";
import { type Fields, PERMISSIONS, ZERO, digest, renderApproval } from "./messages.ts";
import type { Asked, Passkey, Passkeys } from "./service.ts";
import { post } from "./service.ts";
import { type Session, calm, complain, draw, refresh, say } from "./shell.ts";
import { button, h, hex, more } from "./ui.ts";
import { Trouble, sign } from "./wallet.ts";
import { direct, now } from "./views.ts";
import { code, day, money, several, short, t, when } from "./words.ts";

const DAY = 86_400;
const ORDER = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

const at = ({ info }: Session): string => info.contracts.Passkeys!;
const domain = (session: Session) => ({ chainId: session.info.chain_id, market: at(session) });

const bytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hexed = (data: ArrayBuffer | Uint8Array): string =>
  `0x${[...new Uint8Array(data)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
const url64 = (data: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(data))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** SHA-256 of the host that this page is served from, as authenticators state it. */
const relyingParty = async (): Promise<string> =>
  hexed(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(location.hostname)));

/** Ask the browser's authenticators; one that is not there, or says no, changes nothing. */
async function authenticator<T extends AuthenticatorResponse>(ask: () => Promise<Credential | null>): Promise<T> {
  if (!window.PublicKeyCredential) throw new Trouble("passkey.unsupported");
  try {
    return ((await ask()) as PublicKeyCredential).response as T;
  } catch (error) {
    throw new Trouble((error as Error).name === "SecurityError" ? "passkey.unsupported" : "passkey.failed");
  }
}

/** A new key on P-256 in an authenticator that knows its user. */
async function made(session: Session): Promise<{ x: string; y: string; relyingParty: string }> {
  const response = await authenticator<AuthenticatorAttestationResponse>(() => navigator.credentials.create({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      rp: { id: location.hostname, name: t("app.patient") },
      user: { id: bytes(session.account), name: session.account, displayName: short(session.account) },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
    },
  }));
  const key = response.getPublicKey();
  if (response.getPublicKeyAlgorithm() !== -7 || !key) throw new Trouble("passkey.unsupported");
  const point = new Uint8Array(key).slice(-64); // the end of a key on P-256 in DER
  return { x: hexed(point.slice(0, 32)), y: hexed(point.slice(32)), relyingParty: await relyingParty() };
}

/** Enrol, replace or remove: the wallet signs, the service brings it, the chain says so. */
async function change(session: Session, make: () => Promise<{ x: string; y: string; relyingParty: string }>): Promise<void> {
  let signature = "";
  let message: Fields = {};
  const patient = session.account;
  calm();
  const done = async (): Promise<void> => {
    await passkeyMoved(session.provider, at(session), patient, BigInt(message.nonce!));
    await finished();
  };
  try {
    const passkey = await make();
    const nonce = await passkeyNonce(session.provider, at(session), patient);
    message = { patient, ...passkey, nonce: nonce.toString(), deadline: String(now(session) + 3_600) };
    say(t("passkey.signing"));
    signature = await sign(session.provider, patient, "PasskeyChange", message, domain(session));
    say(t("grant.bringing"));
    await post("/v1/relay/passkeys", { message, signature });
    await done();
  } catch (error) {
    complain(error, ...direct(error, signature, async () => {
      const { x, y, relyingParty: party, deadline } = message;
      await send(session.provider, patient, at(session), callPasskeys("change_passkey", [patient, { x, y, relyingParty: party }, BigInt(deadline!), signature]));
      await done();
    }));
  }
}

async function cancel(session: Session): Promise<void> {
  let signature = "";
  const patient = session.account;
  calm();
  try {
    const nonce = await passkeyNonce(session.provider, at(session), patient);
    const message = { patient, nonce: nonce.toString() };
    say(t("passkey.signing"));
    signature = await sign(session.provider, patient, "PasskeyCancellation", message, domain(session));
    say(t("grant.bringing"));
    await post("/v1/relay/passkey-cancellations", { message, signature });
    await passkeyMoved(session.provider, at(session), patient, nonce);
    await finished();
  } catch (error) {
    complain(error, ...direct(error, signature, async () => {
      await send(session.provider, patient, at(session), callPasskeys("cancel_change", [patient, signature]));
      await finished();
    }));
  }
}

async function finished(): Promise<void> {
  await refresh(true).catch(() => undefined); // the service may be gone: the chain has said it
  draw();
  say(t("passkey.done"));
}

/** An order as the chain's functions take it. */
export const orderOf = (asked: Asked): Record<string, unknown> =>
  Object.fromEntries(Object.entries(asked.order).map(([name, value]) =>
    [name, typeof value === "string" && /^\d+$/.test(value) ? BigInt(value) : value]));

/** What the passkey signs for a request: this one licence, within a day. */
const approvalOf = (session: Session, asked: Asked): Fields => ({
  patient: session.account,
  consent: asked.consent,
  licensee: asked.licensee,
  ...Object.fromEntries(Object.entries(asked.order).map(([name, value]) => [name, String(value)])),
  deadline: String(now(session) + DAY),
});

/** A signature in DER as r and s, the lower of the two that are valid. */
export function rs(der: Uint8Array): { r: bigint; s: bigint } {
  const number = (from: number): [bigint, number] => {
    const end = from + 2 + der[from + 1]!;
    return [BigInt(hexed(der.slice(from + 2, end))), end];
  };
  const [r, next] = number(2);
  const [s] = number(next);
  return { r, s: s > ORDER / 2n ? ORDER - s : s };
}

async function approve(session: Session, asked: Asked): Promise<void> {
  const message = approvalOf(session, asked);
  let answer: AuthenticatorAssertionResponse | null = null;
  calm();
  const done = async (): Promise<void> => {
    await approvedOnChain(session.provider, at(session), session.account, asked.consent, asked.licensee, orderOf(asked), BigInt(message.deadline!));
    await finished();
  };
  try {
    say(t("passkey.approving"));
    answer = await authenticator<AuthenticatorAssertionResponse>(() => navigator.credentials.get({
      publicKey: {
        challenge: bytes(digest("LicenceApproval", message, domain(session))),
        rpId: location.hostname,
        userVerification: "required",
      },
    }));
    say(t("grant.bringing"));
    await post("/v1/relay/approvals", {
      message: { ...message, urgent: asked.order.urgent },
      assertion: {
        authenticatorData: url64(answer.authenticatorData),
        clientDataJSON: url64(answer.clientDataJSON),
        signature: url64(answer.signature),
      },
    });
    await done();
  } catch (error) {
    complain(error, ...direct(error, answer ? "signed" : "", async () => {
      const { r, s } = rs(new Uint8Array(answer!.signature));
      const word = (value: bigint): string => `0x${value.toString(16).padStart(64, "0")}`;
      const approval = {
        patient: session.account, consent: asked.consent, licensee: asked.licensee, order: orderOf(asked), deadline: BigInt(message.deadline!),
      };
      const assertion = {
        r: word(r), s: word(s), authenticatorData: hexed(answer!.authenticatorData), clientData: hexed(answer!.clientDataJSON),
      };
      await send(session.provider, session.account, at(session), callPasskeys("approve", [approval, assertion]));
      await done();
    }));
  }
}

/** Who asks, for what, for how much. */
export function askedFacts(asked: Asked): Node[] {
  const order = asked.order;
  const groups = several(asked.who.groups.map((one) => code("group", one)));
  const purposes = several(asked.purposes.filter((one) => one in PERMISSIONS).map((one) => code("duo", one)));
  const conditions = asked.purposes.filter((one) => !(one in PERMISSIONS)).map((one) => code("duo", one));
  const price = money(String(order.maxPrice));
  return [
    h("p", { class: "plain-words" }, t("passkey.wants", {
      who: t("passkey.institution", { groups, account: short(asked.licensee) }), purposes, date: day(Number(order.end)),
    })),
    h("p", {}, order.form === "2" ? t("passkey.metered", { units: String(order.units), price }) : t("passkey.term", { price })),
    ...(conditions.length ? [h("p", {}, t("consents.conditions", { conditions: several(conditions) }))] : []),
    ...(order.urgent ? [h("p", {}, t("passkey.urgent"))] : []),
    h("p", { class: "quiet" }, t("consents.record", { record: "" }), hex(String(order.record))),
  ];
}

let here = ""; // the relying party of this page

export function passkeyView(session: Session, told: Passkeys): Node[] {
  if (!here) void relyingParty().then((found) => { here = found; draw(); }, () => undefined);
  const key = (passkey: Passkey): string => short(passkey.x);
  const own = told.passkey;
  const enrol = (): Promise<void> => change(session, () => {
    say(t("passkey.making"));
    return made(session);
  });
  const remove = (): Promise<void> => change(session, async () => ({ x: ZERO, y: ZERO, relyingParty: ZERO }));
  return [
    h("h1", {}, t("passkey.title")),
    h("section", { class: "card" },
      h("p", {}, t("passkey.why")),
      h("p", { id: "passkey-state" }, own ? t("passkey.have", { key: key(own) }) : t("passkey.none")),
      own && here && own.relying_party !== here && h("p", { class: "bad" }, t("passkey.elsewhere")),
      told.since > 0 && h("p", { class: "bad", id: "passkey-waits" }, told.change
        ? t("passkey.waits", { key: key(told.change), time: when(told.since) })
        : t("passkey.waits-none", { time: when(told.since) })),
      h("p", { class: "actions" },
        told.since > 0
          ? button(t("passkey.cancel"), () => cancel(session), { class: "danger", id: "passkey-cancel" })
          : button(t(own ? "passkey.replace" : "passkey.enrol"), enrol, { class: own ? "" : "primary", id: "passkey-enrol" }),
        own && !told.since && button(t("passkey.remove"), remove, { class: "danger", id: "passkey-remove" }))),
    h("h2", {}, t("passkey.asked")),
    ...(told.requests.length ? [] : [h("p", { class: "quiet" }, t("passkey.nobody"))]),
    ...told.requests.map((asked) => {
      const message = approvalOf(session, asked);
      const id = `${asked.licensee}-${String(asked.order.salt)}`;
      return h("article", { class: "card", "data-request": id },
        ...askedFacts(asked),
        asked.approved_until !== null
          ? h("p", { class: "good" }, t("passkey.approved", { time: when(asked.approved_until) }))
          : own && h("p", {}, t("passkey.once")),
        more(`exact-${id}`, t("passkey.exact"), h("p", { class: "exact", lang: "en" }, renderApproval(message))),
        asked.approved_until === null && own && h("p", { class: "actions" },
          button(t("passkey.approve"), () => approve(session, asked), { class: "primary", "data-approve": id })));
    }),
  ];
}
