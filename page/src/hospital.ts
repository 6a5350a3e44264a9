// The hospital's page: the records that it holds, and what they earned it.

import type { Custodian, Earnings } from "./service.ts";
import { get, whole } from "./service.ts";
import { start } from "./shell.ts";
import { command, h, hex } from "./ui.ts";
import { earningsView, kind, recordFacts, recordTag } from "./views.ts";
import { t } from "./words.ts";

let held: Custodian;
let earnings: Earnings;

start({
  page: "app.hospital",
  welcome: "app.welcome-hospital",
  load: async ({ account }) => {
    [held, earnings] = await Promise.all([
      whole<Custodian, "records">(`/v1/custodians/${account}`, "records", "record"),
      get<Earnings>(`/v1/accounts/${account}/earnings`),
    ]);
  },
  sections: [
    {
      id: "held",
      title: "tab.held",
      draw: () => [
        h("h1", {}, t("hospital.records")),
        h("p", {}, held.number ? t("hospital.number", { number: held.number }) : t("hospital.not")),
        h("section", { class: "card" }, h("p", {}, t("hospital.register")), command("medtoken record add FILE --owner ADDRESS --region TW")),
        ...(held.records.length ? [] : [h("p", { class: "quiet" }, t("hospital.none"))]),
        ...held.records.map((record) => h("article", { class: "card", "data-record": record.record },
          h("h2", {}, kind(record.kind), " ", recordTag(record)),
          h("p", {}, t("hospital.owner", { owner: "" }), hex(record.owner)),
          ...recordFacts(record))),
      ],
    },
    { id: "earnings", title: "tab.earnings", draw: (session) => earningsView(session, earnings) },
  ],
});
