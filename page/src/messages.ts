// What patients sign: the same EIP-712 types and the same words as medtoken/messages.py. The golden
// vectors in tests/vectors hold both to the same bytes.

import { getAddress, hashStruct, hashTypedData } from "viem/utils";
import vocabulary from "#built/vocabulary.json";

export interface Domain { chainId: number; market: string }

const TYPES = {
  Consent: [
    { name: "patient", type: "address" },
    { name: "records", type: "bytes32" },
    { name: "purposes", type: "uint256" },
    { name: "diseases", type: "bytes32" },
    { name: "licensees", type: "uint256" },
    { name: "fields", type: "bytes32" },
    { name: "region", type: "uint256" },
    { name: "tier", type: "uint256" },
    { name: "patientShare", type: "uint256" },
    { name: "floorPrice", type: "uint256" },
    { name: "expiry", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
  Revocation: [{ name: "consent", type: "bytes32" }],
  Withdrawal: [
    { name: "account", type: "address" },
    { name: "to", type: "address" },
    { name: "amount", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
  PasskeyChange: [
    { name: "patient", type: "address" },
    { name: "x", type: "bytes32" },
    { name: "y", type: "bytes32" },
    { name: "relyingParty", type: "bytes32" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
  PasskeyCancellation: [
    { name: "patient", type: "address" },
    { name: "nonce", type: "uint256" },
  ],
  LicenceApproval: [
    { name: "patient", type: "address" },
    { name: "consent", type: "bytes32" },
    { name: "licensee", type: "address" },
    { name: "record", type: "bytes32" },
    { name: "form", type: "uint256" },
    { name: "units", type: "uint256" },
    { name: "end", type: "uint256" },
    { name: "purposes", type: "uint256" },
    { name: "diseases", type: "bytes32" },
    { name: "urgent", type: "bool" },
    { name: "maxPrice", type: "uint256" },
    { name: "agreement", type: "bytes32" },
    { name: "salt", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
} as const;

export type Kind = keyof typeof TYPES;
export type Fields = Record<string, string>;

const DOMAIN_FIELDS = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
];

/** The whole message as `eth_signTypedData_v4` takes it; numbers are decimal text. */
export function typedData(kind: Kind, message: Fields, domain: Domain) {
  return {
    types: { EIP712Domain: DOMAIN_FIELDS, [kind]: TYPES[kind] },
    primaryType: kind,
    domain: { name: "medtoken", version: "1", chainId: domain.chainId, verifyingContract: domain.market },
    message,
  };
}

function values(kind: Kind, message: Fields): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, type } of TYPES[kind]) {
    const value = message[name];
    if (value === undefined) throw new Error(`${kind} lacks ${name}`);
    found[name] = type === "uint256" ? BigInt(value) : type === "bool" ? String(value) === "true" : value;
  }
  return found;
}

/** EIP-712 hashStruct. Of a Consent it is the consent's id on the chain. */
export function structHash(kind: Kind, message: Fields): string {
  return hashStruct({ data: values(kind, message), primaryType: kind, types: { [kind]: [...TYPES[kind]] } });
}

/** What the wallet signs. */
export function digest(kind: Kind, message: Fields, domain: Domain): string {
  return hashTypedData({
    domain: { name: "medtoken", version: "1", chainId: domain.chainId, verifyingContract: domain.market as `0x${string}` },
    types: { [kind]: [...TYPES[kind]] },
    primaryType: kind,
    message: values(kind, message),
  } as Parameters<typeof hashTypedData>[0]);
}

// ---------------------------------------------------------------------------- words

type Table = Record<string, [number, string]>;
export const PERMISSIONS = vocabulary.permissions as unknown as Table;
export const MODIFIERS = vocabulary.modifiers as unknown as Table;
export const GROUPS = vocabulary.groups as unknown as Table;
export const REGIONS = vocabulary.regions as unknown as Table;
export const PROFILES = vocabulary.profiles as Record<string, { digest: string; line: string }>;
const TIERS = vocabulary.tiers as Record<string, string>;
const HIGHLY_SENSITIVE = 3n;
export const AUCTION_ONLY = 1n << 255n;
const TRUST_SHARE = "6000";
export const ZERO = `0x${"00".repeat(32)}`;
export const DUT = 10n ** 18n;

/** The bits of names in a table. */
export const mask = (names: Iterable<string>, table: Table): bigint =>
  [...names].reduce((bits, name) => bits | (1n << BigInt(table[name]![0])), 0n);

const has = (bits: bigint, bit: number): boolean => ((bits >> BigInt(bit)) & 1n) === 1n;

/** DUO codes in a bitmask, permissions first. */
export function duoNames(bits: bigint): string[] {
  const all = { ...PERMISSIONS, ...MODIFIERS };
  const known = new Set(Object.values(all).map(([bit]) => bit));
  const names = Object.entries(all).filter(([, [bit]]) => has(bits, bit)).map(([name]) => name);
  for (let bit = 0; bit < 256; bit++) {
    if (has(bits, bit) && !known.has(bit)) names.push(`DUO:${String(bit).padStart(7, "0")}`);
  }
  return names;
}

export function groupNames(bits: bigint): string[] {
  const names = [];
  for (let bit = 0; bit < 255; bit++) {
    if (!has(bits, bit)) continue;
    names.push(Object.entries(GROUPS).find(([, [place]]) => place === bit)?.[0] ?? `group ${bit}`);
  }
  return names;
}

/** The name of a masking profile by its hash; null for one of somebody's own. */
export const profileName = (digestHex: string): string | null =>
  Object.entries(PROFILES).find(([, profile]) => profile.digest === digestHex)?.[0] ?? null;

export const regionName = (code: number): string | null =>
  Object.entries(REGIONS).find(([, [number]]) => number === code)?.[0] ?? null;

/** Base units as DUT, exactly. */
export function dut(amount: bigint): string {
  const rest = amount % DUT;
  const whole = (amount / DUT).toString();
  return rest ? `${whole}.${rest.toString().padStart(18, "0")}`.replace(/0+$/, "") : whole;
}

/** DUT as base units; null for what is no amount, or not a multiple of 10^9 base units. */
export function baseUnits(text: string): bigint | null {
  const found = /^(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!found) return null;
  return BigInt(found[1]!) * DUT + BigInt((found[2] ?? "").padEnd(9, "0")) * 10n ** 9n;
}

function date(seconds: bigint): string {
  if (seconds > 253402300799n) return `${seconds} seconds after 1970, beyond the year 9999`;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const list = (words: string[]): string =>
  words.length < 2 ? (words[0] ?? "none") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;

/** Whom a consent mandates to manage what it covers (R21); null for nobody. */
export const trusteeOf = (message: Fields): string | null =>
  String(message.patientShare) === TRUST_SHARE
    ? getAddress(`0x${(BigInt(message.nonce!) & ((1n << 160n) - 1n)).toString(16).padStart(40, "0")}`)
    : null;

/** What signing a consent means, word for word what medtoken/messages.py says. */
export function renderConsent(message: Fields): string {
  const field = (name: string): bigint => BigInt(message[name]!);
  const codes = duoNames(field("purposes"));
  const allowed = codes.filter((code) => code in PERMISSIONS).map((code) => PERMISSIONS[code]![1]);
  const limits = codes
    .filter((code) => !(code in PERMISSIONS))
    .map((code) => MODIFIERS[code]?.[1] ?? `as ${code} says`);
  const licensees = field("licensees");
  const who = groupNames(licensees & ~AUCTION_ONLY).map((name) => GROUPS[name]?.[1] ?? name);
  const region = field("region");
  const named = regionName(Number(region));
  const place = named ? REGIONS[named]![1] : `the region with UN M49 code ${region}`;
  const where = named === "WORLD" ? place : `in ${place}`;
  const profile = profileName(message.fields!);
  const tier = field("tier").toString();
  const lines = [
    `You allow ${list(who)} to use your record for ${list(allowed)}, ${where}, until ${date(field("expiry"))}.`,
    `They may see: ${profile ? PROFILES[profile]!.line : `the fields of profile ${message.fields}`}.`,
    `It covers ${TIERS[tier] ?? `data up to the unknown tier ${tier}`}.`,
  ];
  const trustee = trusteeOf(message);
  if (trustee) {
    const sale = field("tier") >= HIGHLY_SENSITIVE
      ? "You approve each sale with your passkey."
      : "You sign no further sale.";
    lines.push(
      `You mandate the trustee ${trustee} to manage this for you. It alone sells, to whom these terms allow, ` +
        `never below the tariff's price; it may ask more, or hold back. ${sale} Taking this back ends the mandate.`,
    );
  } else if (licensees & AUCTION_ONLY) {
    lines.push("Nobody can simply buy: only by an auction that you sign.");
  }
  if (message.diseases !== ZERO) {
    lines.push(`Diseases: those of the list with the fingerprint ${message.diseases}.`);
  }
  if (limits.length) lines.push(`Conditions: ${limits.join("; ")}.`);
  const share = trustee
    ? "Of the whole price, 60 % is yours and 40 % the custodian's. They pay the trustee 15 % of it on top."
    : `Of the provider's part, ${Number(field("patientShare")) / 100} % is yours.`;
  lines.push(
    `They pay at least ${dut(field("floorPrice"))} DUT for each use or licence. ${share}`,
    "You can take this back at any time with one signature; every later use then stops. " +
      "What was already released cannot be called back.",
    `Record or set of records: ${message.records}.`,
  );
  return lines.join("\n");
}

/** What signing a revocation means. */
export const renderRevocation = (consent: string): string =>
  `You take back the consent ${consent}. From the moment this reaches the chain nobody can use your ` +
  "record under it any more, and unearned money goes back to those who prepaid.";

/** What signing a withdrawal means. */
export function renderWithdrawal(message: Fields): string {
  const own = message.to!.toLowerCase() === message.account!.toLowerCase();
  const where = own ? "your own wallet" : message.to;
  return `${dut(BigInt(message.amount!))} DUT of your earnings are paid to ${where}, by ${date(BigInt(message.deadline!))}.`;
}

/** What signing a change of the passkey means. */
export const renderPasskeyChange = (message: Fields): string =>
  message.relyingParty === ZERO
    ? "You remove the passkey that approves the use of your highly sensitive data. When this counts nobody can buy a " +
      "licence to them any more, until you enrol another one."
    : "From now on the use of your highly sensitive data is approved with the passkey " +
      `${message.x}, for each licence anew. If you have a passkey already, this one counts only after a delay, ` +
      "in which your wallet or the one before can cancel it.";

/** What signing the cancellation of such a change means. */
export const renderPasskeyCancellation = (): string =>
  "You cancel the change of your passkey: the one that counts now stays.";

/** What approving a licence by passkey means. */
export function renderApproval(message: Fields): string {
  const field = (name: string): bigint => BigInt(message[name]!);
  const codes = duoNames(field("purposes"));
  const purpose = list(codes.filter((code) => code in PERMISSIONS).map((code) => PERMISSIONS[code]![1]));
  const limits = codes.filter((code) => !(code in PERMISSIONS)).map((code) => MODIFIERS[code]?.[1] ?? `as ${code} says`);
  const most = `at most ${dut(field("maxPrice"))} DUT`;
  const what = message.form === "2"
    ? `${field("units").toLocaleString("en-US")} calls or MB, each for ${most}`
    : `a licence for ${most} a year`;
  return [
    `You let ${message.licensee} buy ${what}, for ${purpose}, until ${date(field("end"))}.`,
    `It is good for this one licence, and must be bought by ${date(field("deadline"))}.`,
    ...(limits.length ? [`The buyer undertakes: ${limits.join("; ")}.`] : []),
    ...(String(message.urgent) === "true" ? ["It is bought at the price of a public-health emergency."] : []),
    `Record: ${message.record}. Consent: ${message.consent}.`,
  ].join("\n");
}
