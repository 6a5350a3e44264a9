// Reads messages from standard input and says what the pages make of each: hash, digest, words.

import { readFileSync } from "node:fs";
import {
  type Fields, type Kind, digest, renderApproval, renderConsent, renderPasskeyCancellation, renderPasskeyChange,
  renderRevocation, renderWithdrawal, structHash,
} from "../src/messages.ts";

interface Asked { kind: Kind; message: Fields; chainId: number; market: string }

const WORDS: Record<Kind, (message: Fields) => string> = {
  Consent: renderConsent,
  Revocation: (message) => renderRevocation(message.consent!),
  Withdrawal: renderWithdrawal,
  PasskeyChange: renderPasskeyChange,
  PasskeyCancellation: renderPasskeyCancellation,
  LicenceApproval: renderApproval,
};

const asked = JSON.parse(readFileSync(0, "utf8")) as Asked[];
const told = asked.map(({ kind, message, chainId, market }) => ({
  hash: structHash(kind, message),
  digest: digest(kind, message, { chainId, market }),
  text: WORDS[kind](message),
}));
process.stdout.write(JSON.stringify(told));
